"""The training loop: order, precision, choice on validation, checkpoint, resume."""

from commonspace.training.checkpoint import CHECKPOINT
from commonspace.training.history import EpochRecord, Observer, best_epoch
from commonspace.training.loop import Objective, Run, epoch_seed, train
from commonspace.training.progress import ProgressBar
from commonspace.training.samples import Batch, Samples
from commonspace.training.selection import ValidationScore
from commonspace.training.settings import (
    Precision,
    TrainingSettings,
    choose_device,
    choose_precision,
)

__all__ = [
    "CHECKPOINT",
    "Batch",
    "EpochRecord",
    "Objective",
    "Observer",
    "Precision",
    "ProgressBar",
    "Run",
    "Samples",
    "TrainingSettings",
    "ValidationScore",
    "best_epoch",
    "choose_device",
    "choose_precision",
    "epoch_seed",
    "train",
]

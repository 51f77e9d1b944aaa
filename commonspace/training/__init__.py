"""The training loop: order, precision, choice on validation, checkpoint, resume."""

from commonspace.training.checkpoint import CHECKPOINT
from commonspace.training.history import EpochRecord, Observer, Preparation, best_epoch
from commonspace.training.loop import Objective, Run, chosen_epoch, epoch_seed, train
from commonspace.training.progress import PreparationBar, ProgressBar
from commonspace.training.samples import Batch, Samples
from commonspace.training.selection import ValidationScore
from commonspace.training.settings import TrainingSettings

__all__ = [
    "CHECKPOINT",
    "Batch",
    "EpochRecord",
    "Objective",
    "Observer",
    "Preparation",
    "PreparationBar",
    "ProgressBar",
    "Run",
    "Samples",
    "TrainingSettings",
    "ValidationScore",
    "best_epoch",
    "chosen_epoch",
    "epoch_seed",
    "train",
]

"""Training loop: seeded batches, precision, selection on validation, checkpoint and resume.

Importing this package loads no torch: each name is fetched when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commonspace.callbacks import EpochRecord, best_epoch
    from commonspace.training.batch import Batch
    from commonspace.training.checkpoint import CHECKPOINT
    from commonspace.training.loop import (
        BatchLoss,
        RunConfig,
        chosen_epoch,
        epoch_seed,
        train,
    )
    from commonspace.training.samples import Samples
    from commonspace.training.settings import TrainingSettings
    from commonspace.training.validation import ValidationScore

__all__ = [
    "CHECKPOINT",
    "Batch",
    "BatchLoss",
    "EpochRecord",
    "RunConfig",
    "Samples",
    "TrainingSettings",
    "ValidationScore",
    "best_epoch",
    "chosen_epoch",
    "epoch_seed",
    "train",
]

_MODULES = {
    "CHECKPOINT": "commonspace.training.checkpoint",
    "Batch": "commonspace.training.batch",
    "BatchLoss": "commonspace.training.loop",
    "EpochRecord": "commonspace.callbacks",
    "RunConfig": "commonspace.training.loop",
    "Samples": "commonspace.training.samples",
    "TrainingSettings": "commonspace.training.settings",
    "ValidationScore": "commonspace.training.validation",
    "best_epoch": "commonspace.callbacks",
    "chosen_epoch": "commonspace.training.loop",
    "epoch_seed": "commonspace.training.loop",
    "train": "commonspace.training.loop",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is that of the name
    """Fetch a public name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module 'commonspace.training' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)

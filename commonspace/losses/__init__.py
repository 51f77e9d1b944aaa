"""The terms of the objectives, one loss a file, each with its formula."""

from commonspace.losses.common_space import common_space_loss, shares_class
from commonspace.losses.label_space import Reduction, label_space_loss, residual_norm
from commonspace.losses.modality_invariance import modality_invariance_loss

__all__ = [
    "Reduction",
    "common_space_loss",
    "label_space_loss",
    "modality_invariance_loss",
    "residual_norm",
    "shares_class",
]

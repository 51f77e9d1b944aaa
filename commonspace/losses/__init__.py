"""The terms of the objectives, one loss a file, each with its formula."""

from commonspace.losses.common_space import common_space_loss, shares_class
from commonspace.losses.gradient_reversal import reversed_gradient
from commonspace.losses.info_nce import info_nce_loss
from commonspace.losses.label_space import Reduction, label_space_loss, residual_norm
from commonspace.losses.modality_invariance import modality_invariance_loss
from commonspace.losses.multi_positive_info_nce import multi_positive_info_nce_loss
from commonspace.losses.supervised_contrastive import supervised_contrastive_loss
from commonspace.losses.total_correlation import total_correlation, whitened_covariance
from commonspace.losses.triplet import distances, triplet_loss
from commonspace.losses.unit_rows import unit_rows

__all__ = [
    "Reduction",
    "common_space_loss",
    "distances",
    "info_nce_loss",
    "label_space_loss",
    "modality_invariance_loss",
    "multi_positive_info_nce_loss",
    "residual_norm",
    "reversed_gradient",
    "shares_class",
    "supervised_contrastive_loss",
    "total_correlation",
    "triplet_loss",
    "unit_rows",
    "whitened_covariance",
]

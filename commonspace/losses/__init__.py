"""Losses for cross-modal training, one a file, each with its formula and source.

Each is a function of tensors that works in any training loop. Embeddings are ``first`` and
``second``, or ``embeddings`` where all modalities come in one matrix; ``labels`` are (n, c), 1
where a sample has a class and 0 elsewhere; ``reduction`` is that of torch.
"""

from commonspace.losses.base import Reduction, euclidean_distances, normalize_rows, shares_class
from commonspace.losses.class_cross_entropy import class_cross_entropy
from commonspace.losses.common_space import common_space_loss
from commonspace.losses.gradient_reversal import reverse_gradient
from commonspace.losses.info_nce import info_nce_loss, paired_cross_entropy
from commonspace.losses.label_space import ResidualNorm, label_space_loss, residual_norm
from commonspace.losses.modality_invariance import modality_invariance_loss
from commonspace.losses.multi_positive_info_nce import (
    multi_positive_cross_entropy,
    multi_positive_info_nce_loss,
)
from commonspace.losses.multimodal_contrastive import multimodal_contrastive_loss
from commonspace.losses.reconstruction import unexplained_variance
from commonspace.losses.sigmoid_contrastive import (
    paired_binary_cross_entropy,
    sigmoid_contrastive_loss,
)
from commonspace.losses.supervised_contrastive import supervised_contrastive_loss
from commonspace.losses.total_correlation import (
    total_correlation,
    total_correlation_loss,
    whitened_covariance,
)
from commonspace.losses.triplet import triplet_loss

__all__ = [
    "Reduction",
    "ResidualNorm",
    "class_cross_entropy",
    "common_space_loss",
    "euclidean_distances",
    "info_nce_loss",
    "label_space_loss",
    "modality_invariance_loss",
    "multi_positive_cross_entropy",
    "multi_positive_info_nce_loss",
    "multimodal_contrastive_loss",
    "normalize_rows",
    "paired_binary_cross_entropy",
    "paired_cross_entropy",
    "residual_norm",
    "reverse_gradient",
    "shares_class",
    "sigmoid_contrastive_loss",
    "supervised_contrastive_loss",
    "total_correlation",
    "total_correlation_loss",
    "triplet_loss",
    "unexplained_variance",
    "whitened_covariance",
]

"""FUME: Fuzzy Multimodal Learning.

Duan, Sun, Peng, Liu, Song, Hu: Fuzzy Multimodal Learning for Trusted Cross-modal Retrieval, CVPR
2025.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from commonspace.losses import label_space_loss, multimodal_contrastive_loss, normalize_rows
from commonspace.methods.base.gradient import GradientMethod, zero_loss
from commonspace.methods.base.hyperparameters import LEARNING_RATE, Between, OneOf, SearchSpace
from commonspace.methods.base.orthonormal_head import orthonormal_head
from commonspace.methods.base.training_data import TrainingData
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.settings import setting
from commonspace.training.batch import Batch

__all__ = ["FUME", "category_credibility"]


class FUME(GradientMethod):
    """Fuzzy multimodal learning: classes as fuzzy sets, and contrast of pairs.

        min sum over modalities of mean_i ||r_i - y_i|| + a L_c
        m = max(P'u, 0),   r_k = (m_k + 1 - max_(l in other) m_l) / 2

    u is the output of a branch at unit length and P (d x c) a fixed random matrix with an
    orthonormal column for each class. m_k is the membership of an item in class k, r_k the
    credibility of that class: the mean of its possibility m_k and its necessity. The classes of the
    sample are the competitors of every other class, and the best other class that of its own:
    "other" is one or the other. L_c is the contrastive loss of ``MRL`` at temperature 1.

    Source: Duan, Sun, Peng, Liu, Song, Hu: Fuzzy Multimodal Learning for Trusted Cross-modal
    Retrieval, CVPR 2025; equations, P, depth and d = c follow its official code. Where d is larger,
    items of some classes can become orthogonal to all columns of P, where no membership has a
    gradient. That code has layers of 4,096 units. It sets a for each data set, from 0.05 to 10; the
    default is that of Wikipedia. Its uncertainty of a result, the entropy of the
    credibilities, is not used in ranking and is left out: a space has calibrated probabilities.
    A sample with several labels has the largest of their memberships as its possibility.

    Needs labels and two or more modalities; no equal sizes. Pairs are used, in L_c. Unlabeled
    samples take part in L_c only.

    The best published mAP on deep Wikipedia features known here, average of both directions: 0.530.
    """

    name: ClassVar[str] = "fume"
    search_space: ClassVar[SearchSpace] = {
        "learning_rate": LEARNING_RATE,
        "batch_size": OneOf((50, 100, 200, 400)),
        "alpha": Between(0.01, 10.0),
    }

    alpha: float = setting(0.05, help="Weight a of the contrast of pairs.", low=0)
    embedding_dim: int | None = setting(  # type: ignore[assignment]
        None, help="Size of the space, d; None: the number of classes.", low=1
    )

    def build_network(self, data: TrainingData) -> nn.Module:
        """Return branches with three hidden layers, and the fixed matrix P.

        Raises:
            SettingError: If the space has fewer dimensions than there are classes.
        """
        classes = len(data.train.class_names)
        size = classes if self.embedding_dim is None else self.embedding_dim
        return BranchesNetwork(
            BranchesConfig(
                data.backbones,
                self.hidden_dim,
                size,
                depth=3,
                heads={"classes": orthonormal_head(size, classes)},
            )
        )

    def batch_loss(self, network: nn.Module, batch: Batch, data: TrainingData) -> dict[str, Tensor]:
        """Return the loss, and the errors of classes and of pairs before weighting."""
        assert isinstance(network, BranchesNetwork)
        outputs = batch.outputs(network)
        with torch.autocast(batch.labels.device.type, enabled=False):
            embeddings = {name: normalize_rows(u) for name, u in outputs.items()}
            errors = zero_loss(embeddings)
            for name, u in embeddings.items():
                known, labels = batch.labeled(u, name)
                memberships = network.heads["classes"](known).relu()
                credibility = category_credibility(memberships, labels)
                errors = errors + label_space_loss(credibility, labels, "rows")
            contrast = multimodal_contrastive_loss(embeddings, batch.present, 1.0)
        return {"loss": errors + self.alpha * contrast, "classes": errors, "contrast": contrast}


def category_credibility(memberships: Tensor, labels: Tensor) -> Tensor:
    """Return r, the credibility of each class in training, where the labels are known.

        r_k = (m_k + 1 - max_(other classes) m) / 2    for the classes of the sample
        r_k = (m_k + 1 - max_(its classes) m) / 2      for every other class

    Args:
        memberships: (n, c) floats from 0 to 1, m.
        labels: (n, c), 1 where a sample has a class, else 0.

    Returns:
        (n, c) of the same type, from 0 to 1.

    Example:
        >>> m, y = torch.tensor([[0.75, 0.25, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
        >>> category_credibility(m, y)
        tensor([[0.7500, 0.2500, 0.1250]])
    """
    if not len(memberships):
        return memberships
    own = (memberships * labels).amax(dim=1, keepdim=True)
    other = (memberships * (1 - labels)).amax(dim=1, keepdim=True)
    necessity = 1 - torch.where(labels > 0, other, own)
    return (memberships + necessity) / 2

"""Contrastive loss over the samples of all modalities at once."""

from collections.abc import Mapping

import torch
from torch import Tensor

from commonspace.losses.base import check_temperature

__all__ = ["multimodal_contrastive_loss"]


def multimodal_contrastive_loss(
    embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], temperature: float
) -> Tensor:
    """Return the contrastive loss of all modalities at once.

        L_c = -2 mean_i log [ sum_(j in P(i)) exp(u_i'u_j / t) / sum_(j != i) exp(u_i'u_j / t) ]

    i and j run over the samples of all modalities together; P(i) is the same sample in the other
    modalities, and i over those for which it is not empty.

    Source: Hu, Peng, Zhu, Zhen, Lin: Learning Cross-Modal Retrieval with Noisy Labels, CVPR 2021;
    the factor 2 is that of its official code.

    Args:
        embeddings: Modality -> (n_m, d) float32, L2-normalized.
        present: Modality -> (n,) bool, the samples of the batch that have it.
        temperature: t > 0.

    Returns:
        A scalar; 0 if no sample has two modalities.

    Raises:
        SettingError: If ``temperature`` is not above 0.

    Example:
        >>> both = {"image": torch.eye(2), "text": torch.eye(2)}
        >>> here = {"image": torch.ones(2) > 0, "text": torch.ones(2) > 0}
        >>> round(float(multimodal_contrastive_loss(both, here, 1.0)), 4)  # -2 log e / (e + 2)
        1.1029
    """
    check_temperature(temperature)
    z = torch.cat(list(embeddings.values()))
    rows = torch.cat([present[name].nonzero()[:, 0] for name in embeddings])
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = (rows[:, None] == rows) & ~itself
    paired = positive.any(dim=1)
    if not bool(paired.any()):
        return z.sum() * 0
    scores = (z[paired] @ z.T / temperature).masked_fill(itself[paired], -torch.inf)
    matches = scores.masked_fill(~positive[paired], -torch.inf).logsumexp(dim=1)
    return -2 * (matches - scores.logsumexp(dim=1)).mean()

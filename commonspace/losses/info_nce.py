"""InfoNCE: each sample picks its own pair among all of the batch, in both directions."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from commonspace.losses.unit_rows import unit_rows

__all__ = ["info_nce_loss"]


def info_nce_loss(first: Tensor, second: Tensor, scale: Tensor | float) -> Tensor:
    """Return the symmetric contrastive loss of paired representations.

        L = -(1/2n) sum_i [ log softmax_j(s cos(u_i, v_j))_i + log softmax_j(s cos(u_j, v_i))_i ]

    Source: van den Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding,
    2018, eq. 4, with the cosine over a temperature 1/s as its score, and both directions as in
    Radford et al.: Learning Transferable Visual Models From Natural Language Supervision, ICML
    2021, figure 3. All other samples of the batch count as wrong, those of the same class too.

    Args:
        first: (n, d) representations in one modality.
        second: (n, d) representations of the same samples in another.
        scale: s above 0, one over the temperature.

    Returns:
        A scalar, 0 for fewer than two pairs; log n where the representations say nothing.

    Example:
        >>> apart = torch.eye(2)
        >>> float(info_nce_loss(apart, apart, 100.0))
        0.0
    """
    if len(first) < 2:
        return first.sum() * 0 + second.sum() * 0
    scores = scale * unit_rows(first) @ unit_rows(second).T
    own = torch.arange(len(scores), device=scores.device)
    return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2

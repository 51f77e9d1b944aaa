"""InfoNCE: the symmetric contrastive loss of paired embeddings."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from commonspace.losses.base import (
    Reduction,
    check_paired,
    check_reduction,
    check_temperature,
    normalize_rows,
)

__all__ = ["info_nce_loss", "paired_cross_entropy"]


def info_nce_loss(
    first: Tensor,
    second: Tensor,
    temperature: Tensor | float = 0.07,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the symmetric contrastive loss of paired embeddings.

        L = -(1/2n) sum_i [ log softmax_j(cos(u_i, v_j) / t)_i
                          + log softmax_j(cos(u_j, v_i) / t)_i ]

    All other samples of the batch are negatives, also those of the same class.

    Source: van den Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding,
    2018, eq. 4, with the cosine over a temperature as its score; both directions as in Radford et
    al.: Learning Transferable Visual Models From Natural Language Supervision, ICML 2021, figure 3.

    Args:
        first: (n, d) float, embeddings of one modality, of any length.
        second: (n, d) float, embeddings of the same samples in another modality.
        temperature: t > 0; a tensor may be learned.
        reduction: "mean" or "sum" over the samples, or "none" for the (n,) terms.

    Returns:
        A scalar, or the terms; 0 for fewer than two pairs, and log n if all embeddings are equal.

    Raises:
        DataError: If the shapes differ.
        SettingError: If ``temperature`` is not above 0, or ``reduction`` is unknown.

    Example:
        >>> round(float(info_nce_loss(torch.eye(2), torch.eye(2), temperature=0.5)), 4)
        0.1269
    """
    check_paired(first, second)
    check_temperature(temperature)
    cosines = normalize_rows(first) @ normalize_rows(second).T
    return paired_cross_entropy(cosines / temperature, reduction=reduction)


def paired_cross_entropy(scores: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """Return the cross-entropy in both directions of a square score matrix with a right diagonal.

    This is ``info_nce_loss`` for scores that are already computed, for example with a learned
    factor in place of the temperature.

    Args:
        scores: (n, n) float, the logits of sample i of one modality for sample j of the other.
        reduction: "mean" or "sum" over the samples, or "none" for the (n,) terms.

    Returns:
        A scalar, or the terms; 0 for n < 2.

    Raises:
        SettingError: If ``reduction`` is unknown.

    Example:
        >>> round(float(paired_cross_entropy(torch.zeros(3, 3))), 4)  # log 3
        1.0986
    """
    check_reduction(reduction)
    if len(scores) < 2:
        return scores.sum(dim=1) * 0 if reduction == "none" else scores.sum() * 0
    own = torch.arange(len(scores), device=scores.device)
    forward = cross_entropy(scores, own, reduction=reduction)
    backward = cross_entropy(scores.T, own, reduction=reduction)
    return (forward + backward) / 2

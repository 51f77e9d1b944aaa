"""Sigmoid loss of paired embeddings: each pair of the batch is classified on its own."""

from torch import Tensor, eye
from torch.nn.functional import softplus

from commonspace.losses.base import (
    Reduction,
    check_paired,
    check_reduction,
    check_temperature,
    normalize_rows,
    reduce_loss,
)

__all__ = ["paired_binary_cross_entropy", "sigmoid_contrastive_loss"]


def sigmoid_contrastive_loss(
    first: Tensor,
    second: Tensor,
    temperature: Tensor | float = 0.1,
    bias: Tensor | float = -10.0,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the sigmoid loss of paired embeddings.

        L = -(1/n) sum_i sum_j log sigmoid(z_ij (cos(u_i, v_j) / t + b))

    with z_ij = 1 where i = j and -1 elsewhere. Unlike ``info_nce_loss`` it compares no scores with
    each other. The bias keeps the many pairs that do not belong together from dominating the first
    steps.

    Source: Zhai, Mustafa, Kolesnikov, Beyer: Sigmoid Loss for Language Image Pre-Training,
    ICCV 2023, eq. 2 and algorithm 1, with their initial temperature and bias as defaults.

    Args:
        first: (n, d) float, embeddings of one modality, of any length.
        second: (n, d) float, embeddings of the same samples in another modality.
        temperature: t > 0; a tensor may be learned.
        bias: b; a tensor may be learned.
        reduction: "mean" or "sum" over the samples, or "none" for the (n,) terms of ``first``.

    Returns:
        A scalar, or the terms; 0 for fewer than two pairs.

    Raises:
        DataError: If the shapes differ.
        SettingError: If ``temperature`` is not above 0, or ``reduction`` is unknown.

    Example:
        >>> import torch
        >>> round(float(sigmoid_contrastive_loss(torch.eye(2), torch.eye(2), 0.5, -1.0)), 4)
        0.6265
    """
    check_paired(first, second)
    check_temperature(temperature)
    cosines = normalize_rows(first) @ normalize_rows(second).T
    return paired_binary_cross_entropy(cosines / temperature + bias, reduction=reduction)


def paired_binary_cross_entropy(scores: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """Return the sigmoid loss of a square score matrix, whose diagonal is right.

    This is ``sigmoid_contrastive_loss`` for scores that are already computed, for example with a
    learned factor in place of the temperature.

    Args:
        scores: (n, n) float, the logits of sample i of one modality for sample j of the other.
        reduction: "mean" or "sum" over the samples, or "none" for the (n,) terms.

    Returns:
        A scalar, or the terms; 0 for n < 2.

    Raises:
        SettingError: If ``reduction`` is unknown.

    Example:
        >>> import torch
        >>> round(float(paired_binary_cross_entropy(torch.zeros(3, 3))), 4)  # 3 log 2
        2.0794
    """
    check_reduction(reduction)
    if len(scores) < 2:
        return scores.sum(dim=1) * 0 if reduction == "none" else scores.sum() * 0
    signs = 2 * eye(len(scores), dtype=scores.dtype, device=scores.device) - 1
    return reduce_loss(softplus(-signs * scores).sum(dim=1), reduction)

"""InfoNCE with several positives for each sample."""

from torch import Tensor

from commonspace.losses.base import (
    Reduction,
    check_paired,
    check_reduction,
    check_temperature,
    normalize_rows,
    reduce_loss,
)

__all__ = ["multi_positive_cross_entropy", "multi_positive_info_nce_loss"]


def multi_positive_info_nce_loss(
    first: Tensor,
    second: Tensor,
    positives: Tensor,
    temperature: Tensor | float = 0.07,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the symmetric contrastive loss of paired embeddings with several positives a sample.

        L = -(1/2n) sum_i [ sum_j T_ij log softmax_j(cos(u_i, v_j) / t)
                            + sum_j T_ij log softmax_j(cos(u_j, v_i) / t) ]

    with T_ij = 1 / |positives of i| if j is a positive of i, else 0. If each sample has only its
    own pair as a positive, this is ``info_nce_loss``. Catalogs repeat texts word for word: without
    T, a model is penalized for finding a text that equals the right one.

    Source: Radford et al.: Learning Transferable Visual Models From Natural Language Supervision,
    ICML 2021, figure 3, with the soft targets T in place of the identity.

    Args:
        first: (n, d) float, embeddings of one modality, of any length.
        second: (n, d) float, embeddings of the same samples in another modality.
        positives: (n, n) bool, symmetric, true on the diagonal.
        temperature: t > 0; a tensor may be learned.
        reduction: "mean" or "sum" over the samples, or "none" for the (n,) terms.

    Returns:
        A scalar, or the terms; 0 for fewer than two pairs.

    Raises:
        DataError: If the shapes differ.
        SettingError: If ``temperature`` is not above 0, or ``reduction`` is unknown.

    Example:
        >>> import torch
        >>> u = torch.eye(2)
        >>> positives = torch.eye(2, dtype=torch.bool)
        >>> round(float(multi_positive_info_nce_loss(u, u, positives, temperature=0.5)), 4)
        0.1269
    """
    check_paired(first, second)
    check_temperature(temperature)
    cosines = normalize_rows(first) @ normalize_rows(second).T
    return multi_positive_cross_entropy(cosines / temperature, positives, reduction=reduction)


def multi_positive_cross_entropy(
    scores: Tensor, positives: Tensor, *, reduction: Reduction = "mean"
) -> Tensor:
    """Return the cross-entropy of a square score matrix with several right answers a row.

    This is ``multi_positive_info_nce_loss`` for scores that are already computed, for example with
    a learned factor in place of the temperature.

    Args:
        scores: (n, n) float, the logits of sample i of one modality for sample j of the other.
        positives: (n, n) bool, symmetric, true on the diagonal.
        reduction: "mean" or "sum" over the samples, or "none" for the (n,) terms.

    Returns:
        A scalar, or the terms; 0 for n < 2.

    Raises:
        SettingError: If ``reduction`` is unknown.

    Example:
        >>> import torch
        >>> round(float(multi_positive_cross_entropy(torch.zeros(3, 3), torch.eye(3) > 0)), 4)
        1.0986
    """
    check_reduction(reduction)
    if len(scores) < 2:
        return scores.sum(dim=1) * 0 if reduction == "none" else scores.sum() * 0
    targets = positives.to(scores.dtype)
    targets = targets / targets.sum(dim=1, keepdim=True)
    forward = (targets * scores.log_softmax(dim=1)).sum(dim=1)
    backward = (targets * scores.T.log_softmax(dim=1)).sum(dim=1)
    if reduction == "none":
        return -(forward + backward) / 2
    return -(reduce_loss(forward, reduction) + reduce_loss(backward, reduction)) / 2

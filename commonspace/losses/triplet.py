"""Triplet loss across modalities, the inter-modal invariance loss of ACMR."""

from torch import Tensor

from commonspace.losses.base import Reduction, euclidean_distances, reduce_loss, shares_class

__all__ = ["triplet_loss"]


def triplet_loss(
    first: Tensor,
    second: Tensor,
    labels: Tensor,
    second_labels: Tensor | None = None,
    *,
    margin: float = 1.0,
    negative_weight: float = 1.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the inter-modal invariance loss of ACMR, from one modality to another.

        L = mean over i of the mean over its triplets (i, j, k) of
            ||v_i - t_j|| + w max(0, m - ||v_i - t_k||),    j shares a class with i, k does not

    Source: Wang, Yang, Xu, Hanjalic, Shen: Adversarial Cross-Modal Retrieval, ACM MM 2017, the
    loss L_imi,V; L_imi,T is the same with the modalities exchanged. The paper sums over sampled
    triplets; here all triplets of the batch count, and means keep the loss from growing with the
    cube of the batch size. The margin bounds the distance itself, not a difference of two.

    Args:
        first: (n, d) float, v, the anchors.
        second: (m, d) float, t, positives and negatives.
        labels: (n, c) float, the labels of ``first``: 1 where a sample has a class, 0 elsewhere.
        second_labels: (m, c) float, the labels of ``second``; None: the same as ``labels``.
        margin: m > 0, in the unit of the embeddings.
        negative_weight: w >= 0, the weight of the second term.
        reduction: "mean" or "sum" over the anchors with triplets, or "none" for their terms.

    Returns:
        A scalar, or one term for each anchor that has a triplet; 0 if there is no triplet.

    Raises:
        SettingError: If ``reduction`` is unknown.

    Example:
        >>> import torch
        >>> first, second = torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 1.0]])
        >>> labels, second_labels = torch.tensor([[1.0, 0.0]]), torch.eye(2)
        >>> float(triplet_loss(first, second, labels, second_labels, margin=3.0))
        7.0
    """
    similar = shares_class(labels, labels if second_labels is None else second_labels)
    positive_counts, negative_counts = similar.sum(dim=1), (1 - similar).sum(dim=1)
    complete = (positive_counts > 0) & (negative_counts > 0)
    if not bool(complete.any()) and reduction != "none":
        return first.sum() * 0 + second.sum() * 0
    distances = euclidean_distances(first[complete], second)
    positive = similar[complete]
    # The sum over triplets separates: its first term does not depend on k, nor its second on j.
    pull = (positive * distances).sum(dim=1) / positive_counts[complete]
    push = ((1 - positive) * (margin - distances).relu()).sum(dim=1) / negative_counts[complete]
    return reduce_loss(pull + negative_weight * push, reduction)

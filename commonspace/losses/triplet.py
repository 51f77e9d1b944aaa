"""Triplets across modalities: near what shares a class, at least a margin from what does not."""

import torch
from torch import Tensor

__all__ = ["distances", "triplet_loss"]


def triplet_loss(
    anchors: Tensor, others: Tensor, similar: Tensor, margin: float, negatives: float = 1.0
) -> Tensor:
    """Return the inter-modal invariance loss of ACMR, from one modality to another.

        L = mean over i of the mean over its triplets (i, j, k) of
            ||v_i - t_j|| + w max(0, m - ||v_i - t_k||),    j shares a class with i, k does not

    Source: Wang, Yang, Xu, Hanjalic, Shen: Adversarial Cross-Modal Retrieval, ACM MM 2017, the
    loss L_imi,V; L_imi,T is the same with the modalities exchanged. The paper sums over sampled
    triplets; here all triplets of the batch count, and means keep the size of the loss from growing
    with the cube of the batch. The margin bounds the distance itself, not a difference of two.

    Args:
        anchors: (n, d), v.
        others: (m, d), t.
        similar: (n, m) float: 1 where two samples share a class, else 0.
        margin: m, above 0.
        negatives: w, the weight of the second term.

    Returns:
        A scalar; 0 where there is no triplet.

    Example:
        >>> anchor, others = torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 1.0]])
        >>> float(triplet_loss(anchor, others, torch.tensor([[1.0, 0.0]]), margin=3.0))
        7.0
    """
    positives, others_count = similar.sum(dim=1), (1 - similar).sum(dim=1)
    whole = (positives > 0) & (others_count > 0)
    if not bool(whole.any()):
        return anchors.sum() * 0 + others.sum() * 0
    far = distances(anchors[whole], others)
    near = similar[whole]
    # The sum over triplets falls apart: its first term knows no k, and its second no j.
    pull = (near * far).sum(dim=1) / positives[whole]
    push = ((1 - near) * (margin - far).relu()).sum(dim=1) / others_count[whole]
    return (pull + negatives * push).mean()


def distances(first: Tensor, second: Tensor) -> Tensor:
    """Return the Euclidean distance of each row to each; where it is 0, so is its gradient.

    Args:
        first: (n, d).
        second: (m, d).

    Returns:
        (n, m).
    """
    squares = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1) - 2 * first @ second.T
    apart = squares > 0  # rounding may leave less than nothing
    return torch.where(apart, torch.where(apart, squares, 1.0).sqrt(), 0.0)

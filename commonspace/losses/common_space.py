"""Discrimination loss in the common space (J2 of DSCMR)."""

from torch import Tensor
from torch.nn.functional import softplus

from commonspace.losses.base import Reduction, normalize_rows, reduce_loss, shares_class

__all__ = ["common_space_loss"]


def common_space_loss(
    first: Tensor,
    second: Tensor,
    labels: Tensor,
    second_labels: Tensor | None = None,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the discrimination loss in the common space for one pair of modalities.

        J2 = (1/nm) sum_ij [ log(1 + exp(G_ij)) - S_ij G_ij ],   G_ij = cos(u_i, v_j) / 2

    the negative log-likelihood of S, which is 1 where two samples share a class and 0 elsewhere,
    under the probability sigmoid(G). Samples of one class are drawn together.

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, eq. 2, one of its three
    pairings (image-text, image-image, text-text).

    Args:
        first: (n, d) float, embeddings of one modality, of any length.
        second: (m, d) float, embeddings of the same or another modality.
        labels: (n, c) float, the labels of ``first``: 1 where a sample has a class, 0 elsewhere.
        second_labels: (m, c) float, the labels of ``second``; None: the same as ``labels``.
        reduction: "mean" or "sum" over all pairs, or "none" for the (n, m) terms.

    Returns:
        A scalar, or the terms; 0 if there are no pairs. An embedding of zeros has cosine 0 to all
        others, and gradient 0.

    Raises:
        SettingError: If ``reduction`` is unknown.

    Example:
        >>> import torch
        >>> labels = torch.eye(2)
        >>> float(common_space_loss(torch.eye(2), torch.eye(2), labels)) < float(
        ...     common_space_loss(torch.eye(2), torch.eye(2).flip(0), labels))
        True
    """
    similar = shares_class(labels, labels if second_labels is None else second_labels)
    if similar.numel() == 0 and reduction != "none":
        return first.sum() * 0 + second.sum() * 0
    G = normalize_rows(first) @ normalize_rows(second).T / 2
    return reduce_loss(softplus(G) - similar * G, reduction)

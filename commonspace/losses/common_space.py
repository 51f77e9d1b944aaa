"""J2: discrimination in the common space. Samples of one class should point the same way."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from commonspace.losses.unit_rows import unit_rows

__all__ = ["common_space_loss", "shares_class"]


def shares_class(first: Tensor, second: Tensor) -> Tensor:
    """Return S: 1 where two samples share at least one class, else 0.

    Args:
        first: (n, c) float labels, 1 where a sample carries a class.
        second: (m, c) float labels.

    Returns:
        (n, m) float.

    Example:
        >>> shares_class(torch.eye(2), torch.tensor([[1.0, 1.0]])).tolist()
        [[1.0], [1.0]]
    """
    return (first @ second.T > 0).to(first.dtype)


def common_space_loss(first: Tensor, second: Tensor, similar: Tensor) -> Tensor:
    """Return the discrimination loss in the common space of one pairing of modalities.

        J2 = (1/n^2) sum_ij [ log(1 + exp(G_ij)) - S_ij G_ij ],   G_ij = cos(u_i, v_j) / 2

    which is the negative log likelihood of S under the probability sigmoid(G).
    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, eq. 2, one of its three
    pairings (image-text, image-image, text-text).

    Args:
        first: (n, d) representations in one modality.
        second: (m, d) representations in the same or another modality.
        similar: (n, m) float, S: 1 where two samples share a class, else 0.

    Returns:
        A scalar; 0 where there is no pair. A representation of zeros has cosine 0 to everything,
        and no gradient.
    """
    if similar.numel() == 0:
        return first.sum() * 0 + second.sum() * 0
    G = unit_rows(first) @ unit_rows(second).T / 2
    return torch.mean(softplus(G) - similar * G)

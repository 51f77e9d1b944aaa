"""J1: discrimination in the label space. How far the classifier's outputs are from the labels."""

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Reduction", "label_space_loss", "residual_norm"]

Reduction = Literal["frobenius", "rows"]


def residual_norm(residual: Tensor, reduction: Reduction) -> Tensor:
    """Return the size of a residual matrix, in one of the two readings of DSCMR.

        "frobenius":  (1/n) ||R||_F            as the paper prints it
        "rows":       (1/n) sum_i ||r_i||_2    as the released code computes it

    The second is about sqrt(n) larger, so weights do not carry over from one to the other.

    Args:
        residual: (n, k) floating point; n = 0 gives 0.
        reduction: "frobenius" or "rows".

    Returns:
        A scalar; its gradient at a residual of exactly zero is zero.

    Example:
        >>> float(residual_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "frobenius"))
        2.5
    """
    if residual.shape[0] == 0:
        return residual.sum()
    norm: Tensor
    if reduction == "frobenius":
        norm = torch.linalg.vector_norm(residual) / residual.shape[0]
    else:
        norm = torch.linalg.vector_norm(residual, dim=1).mean()
    return norm


def label_space_loss(prediction: Tensor, labels: Tensor, reduction: Reduction) -> Tensor:
    """Return the discrimination loss in the label space of one modality.

        J1 = (1/n) ||P'U - Y||_F

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, eq. 1, one of its two
    terms. The released code takes the mean of the rows' norms instead: ``reduction="rows"``.

    Args:
        prediction: (n, c) outputs of the linear classifier, P'U transposed.
        labels: (n, c) float, 1 where a sample carries a class and 0 elsewhere.
        reduction: "frobenius" (the paper) or "rows" (the released code).

    Returns:
        A scalar.
    """
    return residual_norm(prediction - labels, reduction)

"""Discrimination loss in the label space (J1 of DSCMR)."""

from typing import Literal, get_args

import torch
from torch import Tensor

from commonspace.errors import SettingError

__all__ = ["ResidualNorm", "label_space_loss", "residual_norm"]

ResidualNorm = Literal["frobenius", "rows"]
"""How the size of a residual is measured: as in the paper of DSCMR, or as in its official code."""


def label_space_loss(
    predictions: Tensor, labels: Tensor, norm: ResidualNorm = "frobenius"
) -> Tensor:
    """Return the discrimination loss in the label space for one modality.

        J1 = (1/n) ||P'U - Y||_F

    Source: Zhen et al., Deep Supervised Cross-modal Retrieval, CVPR 2019, eq. 1, one of its two
    terms. The official code takes the mean of the norms of the rows instead: ``norm="rows"``.

    Args:
        predictions: (n, c) float, outputs of the linear classifier, P'U transposed.
        labels: (n, c) float, 1 where a sample has a class and 0 elsewhere.
        norm: "frobenius" (the paper) or "rows" (the official code).

    Returns:
        A scalar; 0 for n = 0.

    Raises:
        SettingError: If ``norm`` is unknown.

    Example:
        >>> label_space_loss(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 1.0]]))
        tensor(1.)
    """
    return residual_norm(predictions - labels, norm)


def residual_norm(residual: Tensor, norm: ResidualNorm = "frobenius") -> Tensor:
    """Return the size of a residual matrix, divided by its number of rows.

        "frobenius":  (1/n) ||R||_F            as printed in the paper
        "rows":       (1/n) sum_i ||r_i||_2    as computed by the official code

    The second is about sqrt(n) times larger, so weights tuned for one do not fit the other.

    Args:
        residual: (n, k) floating point.
        norm: "frobenius" or "rows".

    Returns:
        A scalar; 0 for n = 0. Its gradient at a residual of exactly zero is zero.

    Raises:
        SettingError: If ``norm`` is unknown.

    Example:
        >>> float(residual_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]])))
        2.5
    """
    if norm not in get_args(ResidualNorm):
        raise SettingError(
            f"`norm` must be one of {', '.join(map(repr, get_args(ResidualNorm)))}, got {norm!r}",
            advice="leave it out for the default",
        )
    if residual.shape[0] == 0:
        return residual.sum()
    size: Tensor
    if norm == "frobenius":
        size = torch.linalg.vector_norm(residual) / residual.shape[0]
    else:
        size = torch.linalg.vector_norm(residual, dim=1).mean()
    return size

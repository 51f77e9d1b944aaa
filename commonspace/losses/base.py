"""Similarities, reductions and argument checks shared by the losses."""

from typing import Literal, get_args

import torch
from torch import Tensor

from commonspace.errors import DataError, SettingError

__all__ = [
    "Reduction",
    "check_paired",
    "check_reduction",
    "check_temperature",
    "euclidean_distances",
    "normalize_rows",
    "reduce_loss",
    "shares_class",
]

Reduction = Literal["mean", "sum", "none"]
"""As in torch: the mean or the sum of all terms, or the terms themselves."""


def normalize_rows(vectors: Tensor) -> Tensor:
    """Return the rows scaled to unit length; a row of zeros stays zero, with gradient 0.

    Unlike ``torch.nn.functional.normalize``, whose gradient at zero is 1 / eps.

    Args:
        vectors: (n, d) floating point.

    Returns:
        (n, d), L2-normalized.

    Example:
        >>> normalize_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    length: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / length.masked_fill(length == 0, torch.inf)


def shares_class(first: Tensor, second: Tensor) -> Tensor:
    """Return S: 1 where two samples share at least one class, else 0.

    Args:
        first: (n, c) float labels, 1 where a sample has a class and 0 elsewhere.
        second: (m, c) float labels.

    Returns:
        (n, m), of the type of the labels.

    Example:
        >>> shares_class(torch.eye(2), torch.tensor([[1.0, 1.0]])).tolist()
        [[1.0], [1.0]]
    """
    return (first @ second.T > 0).to(first.dtype)


def euclidean_distances(first: Tensor, second: Tensor) -> Tensor:
    """Return the Euclidean distance of each row of one matrix to each row of another.

    Args:
        first: (n, d) floating point.
        second: (m, d).

    Returns:
        (n, m); where a distance is 0, its gradient is 0.

    Example:
        >>> euclidean_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
        tensor([[5.]])
    """
    squares = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1) - 2 * first @ second.T
    positive = squares > 0  # rounding may leave a negative number
    return torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), 0.0)


def reduce_loss(terms: Tensor, reduction: Reduction) -> Tensor:
    """Return the mean or the sum of the terms, or the terms themselves.

    Raises:
        SettingError: If ``reduction`` is not "mean", "sum" or "none".
    """
    check_reduction(reduction)
    if reduction == "mean":
        return terms.mean()
    return terms.sum() if reduction == "sum" else terms


def check_reduction(reduction: str) -> None:
    """Check the name of a reduction.

    Raises:
        SettingError: If it is not "mean", "sum" or "none".
    """
    if reduction not in get_args(Reduction):
        raise SettingError(
            f"`reduction` must be one of {', '.join(map(repr, get_args(Reduction)))},"
            f" got {reduction!r}",
            advice="leave it out for the default",
        )


def check_paired(first: Tensor, second: Tensor) -> None:
    """Check that two batches of vectors belong together row by row.

    Raises:
        DataError: If they are not matrices of one shape.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise DataError(
            "`first` and `second` must be matrices of one shape",
            expected="(n, d) for both, row i of each from one sample",
            found=f"{tuple(first.shape)} and {tuple(second.shape)}",
            advice="select the samples that have both modalities",
        )


def check_temperature(temperature: Tensor | float) -> None:
    """Check a temperature that is a number; a tensor, such as a learned one, is not checked.

    Raises:
        SettingError: If it is not above 0.
    """
    if not isinstance(temperature, Tensor) and not temperature > 0:
        raise SettingError(
            f"`temperature` must be > 0, got {temperature!r}",
            advice="cosine similarities are divided by it; common values are 0.01 to 0.5",
        )

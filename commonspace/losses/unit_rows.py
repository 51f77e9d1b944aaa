"""Rows at length 1, for losses that know nothing of lengths."""

import torch
from torch import Tensor

__all__ = ["unit_rows"]


def unit_rows(vectors: Tensor) -> Tensor:
    """Return the rows at length 1; a row of zeros stays, and its gradient is 0, not 1 / eps.

    Args:
        vectors: (n, d) floating point.

    Returns:
        (n, d), L2-normalised.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    length: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / length.masked_fill(length == 0, torch.inf)

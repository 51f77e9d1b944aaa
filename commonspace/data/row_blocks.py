"""Rows of a table in blocks, so that what is computed on the way stays small."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["contiguous", "largest_by_row", "row_blocks"]

BLOCK = 2**24
"""Bytes of the rows of a block."""


def row_blocks(values: NDArray[np.float32]) -> Iterator[slice]:
    """Yield the rows of a table in order, as slices of at most 16 MiB, or one row.

    Args:
        values: (n, d).

    Example:
        >>> list(row_blocks(np.zeros((3, 2**21), dtype=np.float32)))
        [slice(0, 2, None), slice(2, 3, None)]
    """
    step = max(1, BLOCK // max(1, values[:1].nbytes))
    for start in range(0, len(values), step):
        yield slice(start, min(start + step, len(values)))


def largest_by_row(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n,), the largest absolute value of each row of (n, d).

    Example:
        >>> largest_by_row(np.array([[1.0, -3.0], [0.0, 0.0]], dtype=np.float32)).tolist()
        [3.0, 0.0]
    """
    largest = np.zeros(len(values), dtype=np.float32)
    for rows in row_blocks(values):
        largest[rows] = np.abs(values[rows]).max(axis=1, initial=0)
    return largest


def contiguous(rows: NDArray[np.intp]) -> slice | None:
    """Return rows that follow one another as a slice; None for others.

    Example:
        >>> contiguous(np.array([4, 5, 6])), contiguous(np.array([4, 6]))
        (slice(4, 7, None), None)
    """
    if len(rows) and (np.diff(rows) == 1).all() and rows[0] >= 0:
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return None

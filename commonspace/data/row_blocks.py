"""Rows of a table in blocks, so that what is computed on the way stays small; rows on disk."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commonspace.atomic import write_error

__all__ = ["contiguous", "largest_by_row", "row_blocks", "rows_on_disk"]

BLOCK = 2**24
"""Bytes of the rows of a block."""
ON_DISK = 2**26
"""Bytes from which rows are kept on disk."""


def rows_on_disk(count: int, size: int) -> NDArray[np.float32]:
    """Return zeros to be filled; large ones lie in a temporary file that ends with the process.

    The operating system holds those of its pages in memory that are in use. The file is in $TMPDIR,
    or in /var/tmp, because /tmp may itself lie in memory.

    Args:
        count: n.
        size: d.

    Returns:
        (n, d) float32.

    Raises:
        OutputError: the disk is full.

    Example:
        >>> rows_on_disk(2, 3).shape
        (2, 3)
    """
    total = 4 * count * size
    if total < ON_DISK or not total:
        return np.zeros((count, size), dtype=np.float32)
    large = Path("/var/tmp")
    folder = None if "TMPDIR" in os.environ or not large.is_dir() else str(large)
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            file.truncate(total)
            if hasattr(os, "posix_fallocate"):  # a full disk is an error now, not a crash later
                os.posix_fallocate(file.fileno(), 0, total)
        except OSError as exc:
            raise write_error(Path(folder or tempfile.gettempdir()) / "features", exc) from exc
        return np.memmap(file, np.float32, mode="r+", shape=(count, size))


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

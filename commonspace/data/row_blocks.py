"""Rows of a table in blocks, so that what is computed on the way stays small; rows on disk."""

import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import DTypeLike, NDArray

from commonspace.atomic import write_error

__all__ = [
    "contiguous",
    "largest_by_row",
    "random_rows",
    "release_rows",
    "row_blocks",
    "rows_on_disk",
    "scratch_folder",
    "taken",
    "to_rows",
    "watched",
]

BLOCK = 2**24
"""Bytes of the rows of a block."""
ON_DISK = 2**26
"""Bytes from which rows are kept on disk."""

TOGETHER = 64
"""Rows in random order after which pages are released: Linux may map 2 MiB around each of them."""

_TABLES: "WeakValueDictionary[int, np.memmap[Any, Any]]" = WeakValueDictionary()
"""Tables on disk that are in use."""


def rows_on_disk(count: int, size: int, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return zeros to be filled; large ones lie in a temporary file that ends with the process.

    The operating system holds those of its pages in memory that are in use. The file is in
    ``scratch_folder``.

    Args:
        count: n.
        size: d.
        dtype: of the numbers.

    Returns:
        (n, d).

    Raises:
        OutputError: the disk is full.

    Example:
        >>> rows_on_disk(2, 3).shape
        (2, 3)
    """
    total = np.dtype(dtype).itemsize * count * size
    if total < ON_DISK or not total:
        return np.zeros((count, size), dtype=dtype)
    folder = scratch_folder()
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            file.truncate(total)
            if hasattr(os, "posix_fallocate"):  # a full disk is an error now, not a crash later
                os.posix_fallocate(file.fileno(), 0, total)
        except OSError as exc:
            raise write_error(Path(folder or tempfile.gettempdir()) / "features", exc) from exc
        return watched(np.memmap(file, dtype, mode="r+", shape=(count, size)))


def scratch_folder() -> str | None:
    """Return the folder of large temporary files; None: that of ``tempfile``.

    It is $TMPDIR, or /var/tmp, because /tmp may itself lie in memory.
    """
    return None if "TMPDIR" in os.environ or not Path("/var/tmp").is_dir() else "/var/tmp"


def watched(table: "np.memmap[Any, Any]") -> "np.memmap[Any, Any]":
    """Return a table whose pages ``release_rows`` may take out of memory.

    Args:
        table: mapped from a file with mode "r" or "r+", so that the file has all that was written.
    """
    _TABLES[id(table)] = table
    return table


def to_rows(values: NDArray[Any], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return a copy of a table of another type; a large one on disk.

    Args:
        values: (n, d).
        dtype: of the copy.

    Raises:
        OutputError: the disk is full.
    """
    if values.ndim != 2 or np.dtype(dtype).itemsize * values.size < ON_DISK:
        return np.array(values, dtype=dtype, order="C")
    found = rows_on_disk(len(values), values.shape[1], dtype)
    for rows in row_blocks(found):
        found[rows] = values[rows]
    return found


def taken(values: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return some rows of a table: a view where they follow one another, a large copy on disk.

    Args:
        values: (n, d).
        rows: (k,) int or bool.

    Raises:
        OutputError: the disk is full.
    """
    chosen = contiguous(rows)
    if chosen is not None:
        return values[chosen]
    rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
    if values[:1].nbytes * len(rows) < ON_DISK:
        return values[rows]
    found = rows_on_disk(len(rows), values.shape[1], values.dtype)
    for block in row_blocks(found):
        part = rows[block]
        ascending = bool((np.diff(part) >= 0).all())
        found[block] = values[part] if ascending else random_rows(values, part)
    return found


def release_rows() -> None:
    """Take the pages of all tables on disk out of the memory of this process.

    They stay in the memory of the operating system as long as it has room, and come back when they
    are used. Without it, a process that has read a table once seems to hold it.
    """
    for table in list(_TABLES.values()):
        pages: Any = table.base
        if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)  # shared with the file: nothing is lost


def random_rows(values: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
    """Return ``values[rows]`` with few pages of a table on disk in memory.

    Args:
        values: (n, ...).
        rows: (k,), in any order.

    Example:
        >>> random_rows(np.arange(5), np.array([3, 0])).tolist()
        [3, 0]
    """
    if values.nbytes < ON_DISK:
        return values[rows]
    found = np.empty((len(rows), *values.shape[1:]), dtype=values.dtype)
    for start in range(0, len(rows), TOGETHER):
        part = slice(start, start + TOGETHER)
        found[part] = values[rows[part]]
        release_rows()
    return found


def row_blocks(values: NDArray[Any]) -> Iterator[slice]:
    """Yield the rows of a table in order, as slices of at most 16 MiB, or one row.

    What lies on disk leaves the memory of the process after each block.

    Args:
        values: (n, d).

    Example:
        >>> list(row_blocks(np.zeros((3, 2**21), dtype=np.float32)))
        [slice(0, 2, None), slice(2, 3, None)]
    """
    step = max(1, BLOCK // max(1, values[:1].nbytes))
    for start in range(0, len(values), step):
        yield slice(start, min(start + step, len(values)))
        release_rows()


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
    if len(rows) and rows.dtype != np.bool_ and (np.diff(rows) == 1).all() and rows[0] >= 0:
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return None

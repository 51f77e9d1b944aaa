"""Vectors that pass through a file, so that memory and workers read parts of them."""

from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from commonspace.data.row_blocks import release_rows, watched
from commonspace.retrieval.backends import VectorBatches

__all__ = ["spool"]


def spool(batches: VectorBatches, dimension: int, file: IO[bytes]) -> NDArray[np.float32]:
    """Return vectors as one array that is mapped from a file.

    Args:
        batches: the n vectors.
        dimension: d.
        file: an empty file with a name, which must stay as long as the array is used.

    Returns:
        (n, d) float32; a ``numpy.memmap`` unless n is 0.
    """
    for batch in batches:
        file.write(np.ascontiguousarray(batch, dtype=np.float32).data)
        release_rows()
    file.flush()
    count = file.tell() // (4 * dimension)
    if not count:
        return np.empty((0, dimension), dtype=np.float32)
    return watched(np.memmap(Path(file.name), np.float32, mode="r", shape=(count, dimension)))

"""Bulk load of vectors into a server of Milvus: an engine inserts parts of them side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.engines import Engine

__all__ = ["InsertPart", "insert_parts"]

ROWS_EACH = 100_000
"""Vectors of a part: a lost worker repeats no more."""


@dataclass(frozen=True)
class InsertPart:
    """Inserts rows of a file into a collection: the work of an engine.

    Args:
        insert: inserts (m, d) vectors at the positions from a number on; picklable. It replaces
            what a lost worker has inserted.
        vectors: name of the file, float32.
        dimension: d.
    """

    insert: Callable[[int, NDArray[np.float32]], None]
    vectors: str
    dimension: int

    def __call__(self, part: tuple[int, int]) -> int:
        """Insert the rows from one number up to another; return how many they are."""
        start, stop = part
        rows: np.memmap[Any, Any] = np.memmap(self.vectors, np.float32, mode="r")
        self.insert(start, rows.reshape(-1, self.dimension)[start:stop])
        return stop - start


def insert_parts(
    values: NDArray[np.float32],
    insert: Callable[[int, NDArray[np.float32]], None],
    engine: Engine,
) -> int:
    """Insert vectors in parts; return how many they are.

    Args:
        values: (n, d), mapped from a file that the workers of the engine can read.
        insert: as of ``InsertPart``.
        engine: runs the parts.
    """
    if not len(values):
        return 0
    assert isinstance(values, np.memmap)
    count = max(min(engine.workers, len(values)), -(-len(values) // ROWS_EACH))
    bounds = np.linspace(0, len(values), count + 1).astype(int).tolist()
    work = InsertPart(insert, str(values.filename), values.shape[1])
    return sum(engine.map(work, list(pairwise(bounds))))

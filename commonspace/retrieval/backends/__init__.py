"""Vector backends: exact and approximate search by inner product."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["VectorBackend", "VectorBatches"]

VectorBatches = Iterator[NDArray[np.float32]]
"""(m, d) vectors each."""


class VectorBackend(Protocol):
    """Searches n vectors by inner product."""

    kind: str
    """"exact", "hnsw", "ivf" or "milvus"."""
    effort: int
    """hnsw: candidates of a search (efSearch); ivf: lists that are searched (nprobe); else 0."""
    lossy: bool
    """Whether vectors are compressed, so that scores are approximate."""

    @property
    def values(self) -> NDArray[np.float32] | None:
        """(n, d), if the vectors are in memory as one uncompressed array."""

    def __len__(self) -> int:
        """Return n."""

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the vectors with the largest inner products.

        Args:
            queries: (q, d).
            k: results for each query, from 1 to n.
            allowed: (n,), the positions that may be returned; None for all.

        Returns:
            Scores, highest first, and positions, both (q, k); -inf and -1 where there are fewer.
        """

    def write(self, path: Path) -> None:
        """Write a file that the backend can be read from again."""

"""FAISS: vectors in, the nearest ones out; made, written and read here and nowhere else.

    exact  IndexFlatIP: every vector is looked at
    hnsw   IndexHNSWFlat (Malkov and Yashunin, 2020, arXiv:1603.09320): a graph is walked
    ivf    IndexIVFFlat (Sivic and Zisserman, 2003; Jégou et al., 2011): the nearest lists alone

It knows positions from 0 to n - 1, and nothing of items, stores or files' names.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import StoreError
from commonspace.extras import optional

__all__ = ["KINDS", "Kind", "Nearest", "nearest_among", "nearest_of"]

Kind = Literal["exact", "hnsw", "ivf"]

KINDS: tuple[Kind, ...] = ("exact", "hnsw", "ivf")

Found = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores, highest first, and positions, both (q, k); where there is nothing, -inf and -1."""

_LINKS = 32  # of a vector in the graph
_WIDTH_BUILDING = 100  # candidates while the graph is made
_FEW = 0.05
"""Below this share of allowed vectors, all of them are compared, whatever the kind."""


class Nearest:
    """Vectors that can be searched.

    Args:
        index: of FAISS.
        kind: of which kind it is.
        effort: for hnsw the candidates that are kept while searching (efSearch), for ivf the
            lists that are looked at (nprobe); 0 for exact.
    """

    def __init__(self, index: Any, kind: Kind, effort: int) -> None:  # noqa: ANN401 - untyped
        """Keep the parts."""
        self.index = index
        self.kind: str = kind
        self.effort = effort
        self._rows = self._lying()

    @property
    def values(self) -> NDArray[np.float32] | None:
        """(n, d), the vectors where they lie in one piece; None for lists."""
        return self._rows

    def __len__(self) -> int:
        """Return n."""
        return int(self.index.ntotal)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Found:
        """Return the vectors with the largest inner products.

        Args:
            queries: (q, d).
            k: how many for each, from 1 to n.
            allowed: (n,), which positions may be found; None for all.
        """
        if allowed is not None:
            few = int(np.count_nonzero(allowed)) < _FEW * len(allowed)
            if self.values is not None and few:
                return self._among(queries, k, np.flatnonzero(allowed))
            scores, positions = self._searched(queries, k, allowed, every=few)
        else:
            scores, positions = self._searched(queries, k, None, every=False)
        scores[positions < 0] = -np.inf
        return scores, positions

    def write(self, path: Path) -> None:
        """Write the index into a file.

        Raises:
            OSError: the operating system refused; FAISS says so with a RuntimeError.
        """
        try:
            _faiss().write_index(self.index, str(path))
        except RuntimeError as exc:
            raise OSError(str(exc).rpartition(":")[2].strip() or str(exc)) from exc

    @classmethod
    def read(cls, path: Path, kind: Kind, effort: int) -> "Nearest":
        """Read an index, mapped into memory: pages are loaded when they are first used.

        Raises:
            StoreError: the file is damaged.
        """
        faiss = _faiss()
        flags = faiss.IO_FLAG_MMAP if kind == "ivf" else faiss.IO_FLAG_MMAP_IFC
        try:
            return cls(faiss.read_index(str(path), flags), kind, effort)
        except RuntimeError as exc:
            raise StoreError(
                f"{path} is damaged",
                expected="an index of FAISS",
                found=str(exc).rpartition("Error: ")[2] or str(exc),
                advice="commonspace verify INDEX makes it anew from the store",
            ) from exc

    def _searched(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None,
        *,
        every: bool,
    ) -> Found:
        faiss = _faiss()
        chosen: dict[str, Any] = {}
        if allowed is not None:  # FAISS keeps the bits alive no longer than they live here
            bits = np.packbits(allowed, bitorder="little")
            chosen["sel"] = faiss.IDSelectorBitmap(bits)
        if self.kind == "hnsw":
            chosen["efSearch"] = max(self.effort, k)
            settings = faiss.SearchParametersHNSW(**chosen)
        elif self.kind == "ivf":
            chosen["nprobe"] = self.index.nlist if every else self.effort
            settings = faiss.SearchParametersIVF(**chosen)
        else:
            settings = faiss.SearchParameters(**chosen) if chosen else None
        found: Found = self.index.search(queries, k, params=settings)
        return found

    def _among(self, queries: NDArray[np.float32], k: int, positions: NDArray[np.intp]) -> Found:
        """Compare a few vectors with all queries."""
        assert self.values is not None
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        found = np.full((len(queries), k), -1, dtype=np.int64)
        depth = min(k, len(positions))
        if depth:
            nearest, places = nearest_among(queries, self.values[positions], depth)
            scores[:, :depth], found[:, :depth] = nearest, positions[places]
        return scores, found

    def _lying(self) -> NDArray[np.float32] | None:
        faiss = _faiss()
        if self.kind == "ivf":
            return None
        index = self.index
        flat = faiss.downcast_index(index.storage) if self.kind == "hnsw" else index
        if not flat.ntotal:
            return np.empty((0, flat.d), dtype=np.float32)
        lying = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
        rows: NDArray[np.float32] = lying.reshape(flat.ntotal, flat.d)
        return rows


def nearest_among(queries: NDArray[np.float32], values: NDArray[np.float32], k: int) -> Found:
    """Return the rows of an array with the largest inner products, from 1 to all of them.

    Args:
        queries: (q, d).
        values: (n, d).
        k: how many for each query, from 1 to n.
    """
    faiss = _faiss()
    found: Found = faiss.knn(queries, values, k, faiss.METRIC_INNER_PRODUCT)
    return found


def nearest_of(portions: Iterator[NDArray[np.float32]], dimension: int, kind: Kind) -> Nearest:
    """Make an index of vectors.

    Args:
        portions: of (m, d) vectors each, which together are the n vectors.
        dimension: d.
        kind: "exact", "hnsw" or "ivf".

    Raises:
        MissingExtraError: FAISS is not installed.
    """
    faiss = _faiss()
    if kind == "ivf":
        return _lists(np.concatenate(list(portions)), dimension)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, _LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _WIDTH_BUILDING
    else:
        index = faiss.IndexFlatIP(dimension)
    for portion in portions:
        index.add(portion)
    return Nearest(index, kind, 64 if kind == "hnsw" else 0)


def _lists(values: NDArray[np.float32], dimension: int) -> Nearest:
    faiss = _faiss()
    count = max(1, min(round(4 * len(values) ** 0.5), len(values) // 39))
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(dimension), dimension, count, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed, index.cp.min_points_per_centroid = 0, 1  # few points: no warning on stderr
    index.train(values)
    index.add(values)
    return Nearest(index, "ivf", max(1, count // 16))


def _faiss() -> Any:  # noqa: ANN401 - a module without types
    return optional("faiss", "searching an index", "index")

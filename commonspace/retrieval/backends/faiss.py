"""FAISS backend.

    exact  IndexFlatIP: compares the query with every vector
    hnsw   IndexHNSWFlat (Malkov and Yashunin, 2020, arXiv:1603.09320): searches a graph
    ivf    IndexIVFFlat (Sivic and Zisserman, 2003; Jégou et al., 2011): searches the nearest lists

With compression, vectors are stored as float16 or as one byte per number (scalar quantization), or
as product quantization codes (Jégou, Douze and Schmid, 2011), whatever fits into the given bytes.
"""

import math
from pathlib import Path
from shutil import copyfile, rmtree
from tempfile import NamedTemporaryFile, mkdtemp
from typing import Any, Literal
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from commonspace.data.row_blocks import release_rows, scratch_folder
from commonspace.engines import Engine, InProcess
from commonspace.errors import StoreError
from commonspace.retrieval.backends import VectorBatches
from commonspace.retrieval.backends.faiss_parts import (
    add_rows,
    build_parts,
    faiss_module,
    pad_rows,
    part_count,
)
from commonspace.retrieval.backends.spool import spool

__all__ = ["FaissBackend", "Kind", "knn", "list_count"]

Kind = Literal["exact", "hnsw", "ivf"]

Ranking = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores, highest first, and positions, both (q, k); -inf and -1 where there are fewer."""

_LINKS = 32
"""Links of each vector in the graph."""
_EF_CONSTRUCTION = 100
_EF_SEARCH = 64
_FEW = 0.05
"""Below this fraction of allowed vectors, all of them are compared, whatever the kind."""
_TRAINING = 100_000
"""Maximum number of vectors that a quantizer is trained on."""
IN_PARTS = 100_000
"""Number of vectors from which an engine builds parts of an index."""


class FaissBackend:
    """Vectors in an index of FAISS.

    Args:
        index: of FAISS.
        kind: its kind.
        effort: hnsw: candidates of a search (efSearch); ivf: lists that are searched (nprobe).
        lossy: whether vectors are compressed.
        padding: zeros behind each vector, so that product quantization divides them evenly.
    """

    def __init__(
        self,
        index: Any,  # noqa: ANN401 - untyped
        kind: Kind,
        effort: int,
        *,
        lossy: bool = False,
        padding: int = 0,
    ) -> None:
        self.index = index
        self.kind: str = kind
        self.effort = effort
        self.lossy = lossy
        self.padding = padding
        self._rows = self._array()
        self._written: Path | None = None

    @classmethod
    def build(
        cls,
        batches: VectorBatches,
        dimension: int,
        kind: Kind,
        compress: int | None = None,
        engine: Engine | None = None,
    ) -> "FaissBackend":
        """Build an index of vectors.

        Args:
            batches: the n vectors.
            dimension: d.
            kind: "exact", "hnsw" or "ivf".
            compress: maximum number of bytes of a vector; None for float32.
            engine: builds parts of "ivf" and of compressed "exact" indexes of 100,000 vectors or
                more, which are then joined on the disk; it must see the temporary files of this
                machine. None: threads of this process, part by part where the codes are larger than
                1 GiB. The index is the same.

        Raises:
            MissingExtraError: If FAISS is not installed.
        """
        faiss = faiss_module()
        code, padding = _code(dimension, compress)
        if kind != "ivf" and not code:
            index = (
                faiss.IndexFlatIP(dimension)
                if kind == "exact"
                else faiss.IndexHNSWFlat(dimension, _LINKS, faiss.METRIC_INNER_PRODUCT)
            )
            if kind == "hnsw":
                index.hnsw.efConstruction = _EF_CONSTRUCTION
            for batch in batches:
                index.add(batch)
            return cls(index, kind, _EF_SEARCH if kind == "hnsw" else 0)
        with NamedTemporaryFile(dir=scratch_folder()) as file:
            values = spool(batches, dimension, file)
            return cls._train_and_add(values, kind, code, padding, engine)

    @classmethod
    def _train_and_add(
        cls,
        values: NDArray[np.float32],
        kind: Kind,
        code: str,
        padding: int,
        engine: Engine | None,
    ) -> "FaissBackend":
        """Build an index that is trained, from vectors that may lie on the disk."""
        faiss = faiss_module()
        size = values.shape[1] + padding
        lists = list_count(len(values))
        if kind == "exact" and code.startswith("PQ"):  # IndexPQ does not support filters
            prefix = "IVF1,"
        else:
            prefix = {"exact": "", "hnsw": f"HNSW{_LINKS},", "ivf": f"IVF{lists},"}[kind]
        index = faiss.index_factory(size, prefix + (code or "Flat"), faiss.METRIC_INNER_PRODUCT)
        _quiet(index)
        if prefix == "IVF1,":
            faiss.downcast_index(index).by_residual = False  # there is one list: no better, slower
        if kind == "hnsw":
            index.hnsw.efConstruction = _EF_CONSTRUCTION
        draw = np.random.default_rng(0).permutation(len(values))[:_TRAINING]
        sample = values if kind == "ivf" and not code else values[np.sort(draw)]
        index.train(pad_rows(sample, padding))
        release_rows()
        effort = {"exact": 0, "hnsw": _EF_SEARCH, "ivf": max(1, lists // 16)}[kind]
        if engine is None and kind != "hnsw" and part_count(index, len(values)) > 1:
            engine = InProcess()  # one part after the other, so that memory holds only one
        if engine is not None and kind != "hnsw" and len(values) >= IN_PARTS:
            folder = Path(mkdtemp(dir=scratch_folder()))
            try:
                joined = build_parts(index, values, padding, engine, folder)
                found = cls.read(joined, kind, effort, lossy=bool(code), padding=padding)
            except BaseException:
                rmtree(folder, ignore_errors=True)
                raise
            found._written = joined
            finalize(found, rmtree, folder, ignore_errors=True)
            return found
        add_rows(index, values, padding)
        return cls(index, kind, effort, lossy=bool(code), padding=padding)

    @property
    def values(self) -> NDArray[np.float32] | None:
        """(n, d), if the vectors are in memory as one uncompressed array."""
        return self._rows

    def __len__(self) -> int:
        """Return n."""
        return int(self.index.ntotal)

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> Ranking:
        """Return the vectors with the largest inner products; see ``VectorBackend``."""
        if allowed is not None:
            few = int(np.count_nonzero(allowed)) < _FEW * len(allowed)
            if self._rows is not None and few:
                return self._search_few(queries, k, np.flatnonzero(allowed))
            scores, positions = self._search(queries, k, allowed, every=few)
        else:
            scores, positions = self._search(queries, k, None, every=False)
        scores[positions < 0] = -np.inf
        return scores, positions

    def write(self, path: Path) -> None:
        """Write the index.

        Raises:
            OSError: If the operating system fails to write; FAISS raises a RuntimeError for it.
        """
        if self._written:
            copyfile(self._written, path)
            return
        try:
            faiss_module().write_index(self.index, str(path))
        except RuntimeError as exc:
            raise OSError(str(exc).rpartition(":")[2].strip() or str(exc)) from exc

    @classmethod
    def read(
        cls, path: Path, kind: Kind, effort: int, *, lossy: bool = False, padding: int = 0
    ) -> "FaissBackend":
        """Read an index, mapped into memory: pages are loaded when they are first used.

        Raises:
            StoreError: If the file is damaged.
        """
        faiss = faiss_module()
        flags = faiss.IO_FLAG_MMAP if kind == "ivf" or lossy else faiss.IO_FLAG_MMAP_IFC
        try:
            index = faiss.read_index(str(path), flags)
            return cls(index, kind, effort, lossy=lossy, padding=padding)
        except RuntimeError as exc:
            raise StoreError(
                f"{path} is damaged",
                expected="an index of FAISS",
                found=str(exc).rpartition("Error: ")[2] or str(exc),
                advice="commonspace verify INDEX builds it again from the store",
            ) from exc

    def _search(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None,
        *,
        every: bool,
    ) -> Ranking:
        faiss = faiss_module()
        options: dict[str, Any] = {}
        if allowed is not None:  # the bits must stay in memory as long as the selector
            bits = np.packbits(allowed, bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(bits)
        parameters: Any = None
        if self.kind == "hnsw":
            parameters = faiss.SearchParametersHNSW(**options, efSearch=max(self.effort, k))
        elif self.kind == "ivf":
            lists = self.index.nlist if every else self.effort
            parameters = faiss.SearchParametersIVF(**options, nprobe=lists)
        elif hasattr(self._downcast(), "nprobe"):
            parameters = faiss.SearchParametersIVF(**options)
        elif options:
            parameters = faiss.SearchParameters(**options)
        found: Ranking = self.index.search(pad_rows(queries, self.padding), k, params=parameters)
        return found

    def _search_few(
        self, queries: NDArray[np.float32], k: int, positions: NDArray[np.intp]
    ) -> Ranking:
        """Compare all queries with a few vectors."""
        assert self._rows is not None
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        found = np.full((len(queries), k), -1, dtype=np.int64)
        depth = min(k, len(positions))
        if depth:
            nearest, places = knn(queries, self._rows[positions], depth)
            scores[:, :depth], found[:, :depth] = nearest, positions[places]
        return scores, found

    def _downcast(self) -> Any:  # noqa: ANN401 - untyped
        return faiss_module().downcast_index(self.index)

    def _array(self) -> NDArray[np.float32] | None:
        faiss = faiss_module()
        inner = self._downcast()
        if self.kind == "hnsw":
            inner = faiss.downcast_index(inner.storage)
        if not isinstance(inner, faiss.IndexFlat):
            return None
        if not inner.ntotal:
            return np.empty((0, inner.d), dtype=np.float32)
        flat = faiss.rev_swig_ptr(inner.get_xb(), inner.ntotal * inner.d)
        rows: NDArray[np.float32] = flat.reshape(inner.ntotal, inner.d)
        return rows


def knn(queries: NDArray[np.float32], values: NDArray[np.float32], k: int) -> Ranking:
    """Return the rows of an array with the largest inner products, by comparing with all.

    Args:
        queries: (q, d).
        values: (n, d).
        k: results for each query, from 1 to n.
    """
    faiss = faiss_module()
    found: Ranking = faiss.knn(queries, values, k, faiss.METRIC_INNER_PRODUCT)
    return found


def list_count(count: int) -> int:
    """Return the number of inverted lists of so many vectors.

    Example:
        >>> list_count(1000), list_count(1_000_000)
        (25, 4000)
    """
    return max(1, min(round(4 * math.sqrt(count)), count // 39))


def _code(dimension: int, compress: int | None) -> tuple[str, int]:
    """Return the quantizer of ``index_factory`` for so many bytes, and the padding that it needs.

    Example:
        >>> _code(64, None), _code(64, 200), _code(64, 64), _code(100, 32)
        (('', 0), ('SQfp16', 0), ('SQ8', 0), ('PQ32np', 28))
    """
    if compress is None or compress >= 4 * dimension:
        return "", 0
    if compress >= 2 * dimension:
        return "SQfp16", 0
    if compress >= dimension:
        return "SQ8", 0
    return f"PQ{compress}np", -dimension % compress


def _quiet(index: Any) -> None:  # noqa: ANN401 - untyped
    """Fix the seeds, and turn off the warnings of k-means about few vectors."""
    faiss = faiss_module()
    inner = faiss.downcast_index(index)
    if hasattr(inner, "storage"):
        inner = faiss.downcast_index(inner.storage)
    for clustering in (getattr(inner, "cp", None), getattr(getattr(inner, "pq", None), "cp", None)):
        if clustering is not None:
            clustering.seed, clustering.min_points_per_centroid, clustering.niter = 0, 1, 12

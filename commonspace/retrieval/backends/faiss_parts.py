"""Parts of an index of FAISS: added by an engine to one trained index, and joined on the disk.

Memory holds one part for each worker, and nothing of the joined index, which is a file like those
that ``faiss.write_index`` writes: head, trained quantizer, and the codes at its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.row_blocks import release_rows
from commonspace.engines import Engine
from commonspace.extras import optional

__all__ = ["add_rows", "build_parts", "faiss_module", "join_parts", "pad_rows", "part_count"]

ADDED = 65_536
"""Vectors that are added at a time; FAISS takes as many at a time itself."""
PART_BYTES = 2**30
"""Largest size of the codes of a part."""


def build_parts(
    trained: Any,  # noqa: ANN401 - untyped
    values: NDArray[np.float32],
    padding: int,
    engine: Engine,
    folder: Path,
) -> Path:
    """Add vectors to a trained index in parts; return the file of the index of all of them.

    Args:
        trained: without vectors: inverted lists, or scalar quantization.
        values: (n, d), mapped from a file that the workers of the engine can read.
        padding: zeros behind each vector.
        engine: adds the parts.
        folder: of temporary files and the result.
    """
    faiss = faiss_module()
    assert isinstance(values, np.memmap)
    path = folder / "trained"
    faiss.write_index(trained, str(path))
    count = max(engine.workers, part_count(trained, len(values)))
    bounds = np.linspace(0, len(values), count + 1).astype(int).tolist()
    work = _AddPart(str(path), str(values.filename), values.shape[1], padding)
    files = [Path(file) for file in engine.map(work, list(pairwise(bounds)))]
    return join_parts(trained, files, folder / "joined")


def part_count(trained: Any, count: int) -> int:  # noqa: ANN401 - untyped
    """Return the smallest number of parts of so many vectors, each of 1 GiB of codes at most."""
    return max(1, -(-count * (_code_size(trained) + 8) // PART_BYTES))


def join_parts(trained: Any, files: Sequence[Path], target: Path) -> Path:  # noqa: ANN401 - untyped
    """Write the index of all parts, which are deleted; positions continue from part to part.

    Args:
        trained: the index without vectors that the parts were added to.
        files: of the parts, in order.
        target: the new file.

    Raises:
        OSError: the disk is full.
    """
    faiss = faiss_module()
    parts = [faiss.read_index(str(file), faiss.IO_FLAG_MMAP) for file in files]
    counts = [part.ntotal for part in parts]
    head = faiss.clone_index(trained)
    faiss.downcast_index(head).ntotal = sum(counts)
    lists = _lists(head)
    written = bytes(faiss.serialize_index(head))
    with target.open("wb") as file:
        if lists is None:  # the codes are a vector of bytes: its length, then the bytes
            size = _code_size(trained)
            file.write(written[:-8] + np.uint64(sum(counts) * size).tobytes())
            for part in parts:
                codes = faiss.downcast_index(part).codes
                file.write(faiss.rev_swig_ptr(codes.data(), codes.size()).data)
        else:
            file.write(written[: written.rindex(b"ilar")])
            _write_lists(file, [_lists(part) for part in parts], counts)
    del parts
    for one in files:
        one.unlink()
    return target


def _write_lists(file: IO[bytes], parts: Sequence[Any], counts: Sequence[int]) -> None:
    """Write inverted lists: number and size of the lists, then codes and positions of each."""
    faiss = faiss_module()
    count, size = parts[0].nlist, parts[0].code_size
    lengths = np.array([[part.list_size(one) for one in range(count)] for part in parts])
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
    file.write(b"ilar" + np.array([count, size], dtype=np.uint64).tobytes() + b"full")
    file.write(np.uint64(count).tobytes() + lengths.sum(axis=0).astype(np.uint64).tobytes())
    for one in range(count):
        there = [number for number in range(len(parts)) if lengths[number, one]]
        for number in there:
            codes = parts[number].get_codes(one)
            file.write(faiss.rev_swig_ptr(codes, int(lengths[number, one]) * size).data)
        for number in there:
            found = faiss.rev_swig_ptr(parts[number].get_ids(one), int(lengths[number, one]))
            file.write((found + starts[number]).astype(np.int64).data)


def _lists(index: Any) -> Any:  # noqa: ANN401 - untyped
    """Return the inverted lists of an index; None if it has none."""
    found = faiss_module().downcast_index(index)
    return found.invlists if hasattr(found, "invlists") else None


def _code_size(index: Any) -> int:  # noqa: ANN401 - untyped
    return int(faiss_module().downcast_index(index).code_size)


@dataclass(frozen=True)
class _AddPart:
    """Adds rows of a file to a trained index, and writes it: the work of an engine."""

    trained: str
    vectors: str
    dimension: int
    padding: int

    def __call__(self, part: tuple[int, int]) -> str:
        """Return the file of the index of the rows from one number up to another."""
        faiss = faiss_module()
        start, stop = part
        index = faiss.read_index(self.trained)
        rows = np.memmap(self.vectors, np.float32, mode="r").reshape(-1, self.dimension)
        add_rows(index, rows[start:stop], self.padding)
        target = f"{self.trained}.{start}"
        faiss.write_index(index, target)
        return target


def add_rows(index: Any, values: NDArray[np.float32], padding: int) -> None:  # noqa: ANN401
    """Add vectors to an index; those that lie on the disk leave the memory of the process."""
    for start in range(0, len(values), ADDED):
        index.add(pad_rows(values[start : start + ADDED], padding))
        release_rows()


def pad_rows(rows: NDArray[np.float32], padding: int) -> NDArray[np.float32]:
    """Return vectors with zeros behind them, so that product quantization divides them evenly."""
    if not padding:
        return rows
    zeros = np.zeros((len(rows), padding), dtype=np.float32)
    return np.concatenate([rows, zeros], axis=1)


@cache
def faiss_module() -> Any:  # noqa: ANN401 - a module without types
    """Return FAISS, imported when it is first needed.

    Raises:
        MissingExtraError: If it is not installed.
    """
    return optional("faiss", "searching an index", "index")

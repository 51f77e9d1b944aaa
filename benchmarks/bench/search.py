"""Exact and compressed search against bare FAISS on the same vectors, with and without a filter."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.measure import Bar, Rival, Size, Work
from commonspace.retrieval.backends.faiss import FaissBackend

__all__ = ["works"]

K, SIZE, BYTES = 10, 256, 60
QUERIES = 32
SHARES = (0.01, 0.1, 0.5)
"""Shares of vectors that a filter lets pass."""


def works(size: Size) -> Iterator[Work]:
    """Yield the works of a size."""
    counts = {"smallest": (2000,), "usual": (100_000,), "full": (100_000, 1_000_000)}[size]
    for count in counts:
        yield from _compressed(count)


def unit_vectors(count: int, seed: int) -> NDArray[np.float32]:
    """Return (count, 256) random vectors of unit length."""
    rows = np.random.default_rng(seed).standard_normal((count, SIZE), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _compressed(count: int) -> Iterator[Work]:
    ours = FaissBackend.build(iter([unit_vectors(count, 0)]), SIZE, "exact", BYTES)
    queries = unit_vectors(QUERIES, 1)
    bare = ours.index
    padded = np.pad(queries, ((0, 0), (0, ours.padding)))

    def search(allowed: NDArray[np.bool_] | None = None) -> list[Any]:
        return [ours.search(queries[at : at + 1], K, allowed) for at in range(QUERIES)]

    def plain(_: object = None) -> list[Any]:
        return [bare.search(padded[at : at + 1], K) for at in range(QUERIES)]

    def check() -> None:
        for (scores, places), (other, same) in zip(search(), plain(), strict=True):
            np.testing.assert_array_equal(places, same)
            np.testing.assert_allclose(scores, other, rtol=1e-6)

    name = f"{QUERIES} single queries of {count:,} x {BYTES} bytes"
    yield Work(name, search, Rival("bare FAISS", plain), bars=(Bar("peer", 1.1),), check=check)
    for share in SHARES:
        allowed = np.random.default_rng(2).random(count) < share

        def filtered(allowed: NDArray[np.bool_] = allowed) -> list[Any]:
            return search(allowed)

        def right(allowed: NDArray[np.bool_] = allowed) -> None:
            """Filtered results are the best of the allowed ones in a ranking of all."""
            whole = bare.search(padded[:1], count)[1][0]
            expected = whole[allowed[whole]][:K]
            np.testing.assert_array_equal(filtered(allowed)[0][1][0], expected)
            plain()

        yield Work(
            f"{name}, a filter passes {share:.0%}",
            filtered,
            Rival("without a filter", plain),
            bars=(Bar("peer", 2.0),),
            check=right,
        )

"""Mean average precision against the released metric, a plain argsort, and the bare product."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.measure import Bar, Rival, Size, Work
from benchmarks.bench.released import released_map
from commonspace.evaluation import mean_average_precision

__all__ = ["works"]

CLASSES = 20
PIECE = 2000
"""Rows of a piece of the bare product, so that no whole matrix of scores is held."""


def works(size: Size) -> Iterator[Work]:
    """Yield the works of a size."""
    yield _work(*{"smallest": (200, 64)}.get(size, (2000, 1024)), released=True)
    if size != "smallest":
        yield _work(10_000, 64, released=False)
    if size == "full":
        yield _work(20_000, 1024, released=False)


def clustered(items: int, size: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return unit vectors around weak class centers, and their classes."""
    rng = np.random.default_rng(seed)
    labels: NDArray[np.intp] = rng.integers(0, CLASSES, items)
    centers = np.random.default_rng(0).standard_normal((CLASSES, size), dtype=np.float32) / 4
    vectors: NDArray[np.float32] = rng.standard_normal((items, size), dtype=np.float32)
    vectors += centers[labels]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, labels


def _work(items: int, size: int, *, released: bool) -> Work:
    (query, query_labels), (gallery, gallery_labels) = (clustered(items, size, s) for s in (1, 2))
    task = query, gallery, query_labels, gallery_labels

    def ours() -> float:
        return mean_average_precision(*task)

    def argsort() -> float:
        values = []
        for start in range(0, items, PIECE):
            scores = query[start : start + PIECE] @ gallery.T
            for row, label in zip(scores, query_labels[start : start + PIECE], strict=True):
                ranks = np.flatnonzero(gallery_labels[np.argsort(-row)] == label) + 1
                values.append((np.arange(1, ranks.size + 1) / ranks).mean() if ranks.size else 0.0)
        return float(np.mean(values))

    def product() -> None:
        for start in range(0, items, PIECE):
            query[start : start + PIECE] @ gallery.T

    peer = (
        Rival("released code", lambda: released_map(*task))
        if released
        else Rival("argsort of float32", argsort)
    )

    def check() -> None:
        found, expected = ours(), peer.run()
        product()
        assert isinstance(expected, float)
        # In float32 a vector is of unit length to 1e-7, and cosine and product differ by as much.
        assert abs(found - expected) < 1e-6, (found, expected)

    return Work(
        f"mAP {items:,} x {items:,} x {size:,}, exact",
        ours,
        peer,
        Rival("bare product, float32", product),
        (Bar("limit", 2.0),) if size >= 1024 else (),
        check,
    )

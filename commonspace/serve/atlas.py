"""The map of an index: every item on a plane, made once and kept in its folder.

t-SNE of a sample, stratified by class; what is not in the sample is laid between its three nearest
that are. It knows no HTTP.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.atomic import replacing
from commonspace.plots import stratified_sample, tsne
from commonspace.retrieval import Index

__all__ = ["MAP", "lay_between", "make_map", "read_map"]

MAP = "map.json"
NEAREST = 3
BLOCK = 1000


def make_map(
    index: Index,
    *,
    most: int = 10_000,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> int:
    """Lay out all items of an index, and keep the map in its folder.

    Args:
        index: the index.
        most: points that t-SNE lays out; the time grows faster than this number.
        seed: of the sample and of t-SNE.
        progress: hears the share that is done, from 0 to 1.

    Returns:
        How many points there are: one for each modality of each item.

    Raises:
        DataError: there are fewer than five.
        OutputError: the map cannot be written.
    """
    all_of = index.all_vectors()
    lengths = np.linalg.norm(all_of.values, axis=1, keepdims=True)
    units = all_of.values / np.maximum(lengths, 1e-30)
    names = sorted({labels[0] for labels in all_of.labels if labels})
    place = {name: number for number, name in enumerate(names)}
    classes = np.array([place[labels[0]] if labels else -1 for labels in all_of.labels], dtype=int)
    chosen = stratified_sample(classes, max(1, most), np.random.default_rng(seed))
    laid = tsne(units[chosen], seed, progress)
    points = np.empty((len(units), 2))
    points[chosen] = laid
    others = np.setdiff1d(np.arange(len(units)), chosen)
    points[others] = lay_between(units[others], units[chosen], laid)
    points -= (points.max(axis=0) + points.min(axis=0)) / 2
    points /= max(float(np.abs(points).max()), 1e-30)
    found = {
        "generation": all_of.generation,
        "x": np.round(points[:, 0], 5).tolist(),
        "y": np.round(points[:, 1], 5).tolist(),
        "modality": all_of.modality.tolist(),
        "class": classes.tolist(),
        "ids": list(all_of.ids),
        "modalities": list(all_of.modalities),
        "classes": names,
    }
    with replacing(index.path / MAP, overwrite=True) as draft:
        draft.write_text(json.dumps(found, ensure_ascii=False), "utf-8")
    return len(units)


def lay_between(
    vectors: NDArray[np.float32], known: NDArray[np.float32], laid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n, 2): each vector at the mean of its nearest known ones, weighed by 1 / distance.

    Args:
        vectors: (n, d) of unit length.
        known: (m, d) of unit length.
        laid: (m, 2), where those are.

    Example:
        >>> known = np.eye(3, dtype=np.float32)
        >>> lay_between(known[1:2], known, np.array([[0.0, 0], [1, 0], [0, 1]])).round(3).tolist()
        [[1.0, 0.0]]
    """
    placed = np.empty((len(vectors), 2))
    count = min(NEAREST, len(known))
    for start in range(0, len(vectors), BLOCK):
        scores = vectors[start : start + BLOCK] @ known.T
        nearest = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        cosines = np.take_along_axis(scores, nearest, axis=1)
        weights = 1 / (np.sqrt(np.maximum(0, 2 - 2 * cosines)) + 1e-6)
        weights /= weights.sum(axis=1, keepdims=True)
        placed[start : start + BLOCK] = np.einsum("nk,nkc->nc", weights, laid[nearest])
    return placed


def read_map(folder: Path) -> dict[str, Any] | None:
    """Return the map that is kept in the folder of an index; None where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / MAP).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found

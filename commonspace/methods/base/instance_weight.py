"""Choice of the instance weight of a search without one, on the validation split."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.space import CommonSpace

__all__ = ["INSTANCE_WEIGHTS", "choose_instance_weight"]

INSTANCE_WEIGHTS = tuple(step / 20 for step in range(21))
"""Instance weights to choose the default of search from."""

PRECISION_LOSS = 0.01
"""Class precision at 10 that the default of search may lose against instance weight 0."""

SAMPLES = 1000
"""Largest number of samples that are ranked for each of the instance weights."""


def choose_instance_weight(
    space: CommonSpace,
    embeddings: Mapping[str, NDArray[np.float32]],
    validation: Dataset,
) -> float | None:
    """Return the instance weight of a search without one, chosen on validation.

    Of the weights whose class precision at 10 is at most 0.01 below that of weight 0, the one that
    ranks a query's counterpart in another modality best, by mean reciprocal rank; the smallest of
    several. Precision is measured as a search ranks items: over all modalities, an item by its best
    one, the item of the query included. Of many samples, 1,000 are compared.

    Args:
        space: With an instance block.
        embeddings: Modality -> (n_m, d), of the validation samples that have it.
        validation: The samples.

    Returns:
        A multiple of 0.05 in [0, 1]; None without two labeled samples of several modalities.
    """
    labels = validation.labels.astype(np.float32)
    present = np.stack([validation.columns[name].present for name in embeddings])
    rows = np.flatnonzero((present.sum(axis=0) >= 2) & labels.any(axis=1))
    if len(rows) < 2:
        return None
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, SAMPLES).round().astype(int))]
    items = np.zeros((*present[:, rows].shape, next(iter(embeddings.values())).shape[1]), "f4")
    for values, vectors, mask in zip(items, embeddings.values(), present, strict=True):
        values[mask[rows]] = vectors[np.cumsum(mask)[rows[mask[rows]]] - 1]
    relevant = labels[rows] @ labels[rows].T > 0
    figures = [
        _rank_figures(space, items, present[:, rows], relevant, weight)
        for weight in INSTANCE_WEIGHTS
    ]
    precision, reciprocal = np.transpose(figures)
    allowed = precision >= precision[0] - PRECISION_LOSS
    return INSTANCE_WEIGHTS[int(np.where(allowed, reciprocal, -1).argmax())]


def _rank_figures(
    space: CommonSpace,
    items: NDArray[np.float32],
    present: NDArray[np.bool_],
    relevant: NDArray[np.bool_],
    weight: float,
) -> tuple[float, float]:
    """Return precision at 10 and mean reciprocal rank of (m, n, d) embeddings, (m, n) present."""
    precision, reciprocal = [], []
    k = min(10, len(relevant))
    for place, vectors in enumerate(items):
        rows = np.flatnonzero(present[place])
        if not len(rows):
            continue
        queries = space.as_queries(vectors[rows], weight)
        scores = np.where(present[:, None], queries @ items.transpose(0, 2, 1), -np.inf)
        best = np.argpartition(-scores.max(axis=0), k - 1, axis=1)[:, :k]
        precision.append(np.take_along_axis(relevant[rows], best, axis=1).mean())
        for other in range(len(items)):
            pairs = np.flatnonzero(present[other, rows])
            if other != place and len(pairs):
                own = scores[other, pairs, rows[pairs]]
                ranks = (scores[other, pairs] >= own[:, None]).sum(axis=1)
                reciprocal.append((1 / ranks).mean())
    return float(np.mean(precision)), float(np.mean(reciprocal))

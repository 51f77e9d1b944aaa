"""Figures of one method on one split: mAP and its values by sample, precision@10, R@10."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from commonspace.assessment.bm25 import BM25
from commonspace.data.columns import Texts
from commonspace.data.dataset import Dataset
from commonspace.evaluation import (
    average_precision,
    chance_level,
    paired_randomization,
    precision_scope_curve,
)
from commonspace.evaluation.intervals import sample_contributions
from commonspace.evaluation.protocol import embed_for_evaluation, measure_pairs
from commonspace.space import CommonSpace

__all__ = [
    "Measured",
    "difference_p",
    "mean_of",
    "measure_chance",
    "measure_keywords",
    "measure_space",
]

K = 10


@dataclass(frozen=True, eq=False)
class Measured:
    """Figures on a split.

    Args:
        directions: Such as "image->text" -> (n,) average precision of each sample as a query; NaN
            where it is none.
        precision: Class precision among the first 10, the mean over the directions.
        recall: Share of queries with their pair among the first 10; None if not defined.
        bytes: Bytes of an item in the gallery, as float32 or as text.
    """

    directions: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    precision: float = np.nan
    recall: float | None = None
    bytes: int = 0

    @property
    def values(self) -> NDArray[np.float64]:
        """(n,) the contribution of each sample to the mAP."""
        return sample_contributions(np.stack(list(self.directions.values())))

    @property
    def map(self) -> float:
        """Average mAP over the directions."""
        return float(self.values.mean())


def measure_space(space: CommonSpace, data: Dataset, *, pairs: bool = True) -> Measured:
    """Measure a space on labeled samples.

    Args:
        space: Fitted.
        data: A split.
        pairs: Whether to measure R@10 too.
    """
    embedded = embed_for_evaluation(space, data)
    directions, precisions = {}, []
    for source, target in permutations(embedded.vectors, 2):
        sides = embedded.vectors[source], embedded.vectors[target]
        labels = embedded.labels[source], embedded.labels[target]
        values = np.full(len(embedded.data), np.nan)
        values[embedded.rows[source]] = average_precision(*sides, *labels)
        directions[f"{source}->{target}"] = values
        k = min(K, len(sides[1]))
        precisions.append(float(precision_scope_curve(*sides, *labels, [k]).precision[0]))
    recall = measure_pairs(space, data)["average"]["R@10"] if pairs else None
    return Measured(directions, float(np.mean(precisions)), recall, 4 * space.dimension)


def measure_chance(data: Dataset) -> Measured:
    """Return the figures of a random order: at every rank, precision is the share of relevant."""
    directions, precisions, sizes = {}, [], []
    for source, target in permutations(data.columns, 2):
        rows = np.flatnonzero(data.columns[source].present)
        gallery = data.labels[data.columns[target].present]
        relevant = (data.labels[rows].astype(int) @ gallery.astype(int).T > 0).mean(axis=1)
        values = np.full(len(data), np.nan)
        values[rows] = np.where(data.labels[rows].any(axis=1), relevant, np.nan)
        directions[f"{source}->{target}"] = values
        precisions.append(chance_level(data.labels[rows], gallery))
        sizes.append(len(gallery))
    recall = float(np.mean([min(1.0, K / size) for size in sizes]))
    return Measured(directions, float(np.mean(precisions)), recall)


def measure_keywords(data: Dataset, texts: Texts, modality: str) -> Measured | None:
    """Measure BM25 between the text of each sample and the texts of all others.

    Args:
        data: A split.
        texts: The texts of its samples, in the same order.
        modality: Name of the texts.

    Returns:
        None if no labeled sample has a text.
    """
    rows = np.flatnonzero(texts.present & data.labels.any(axis=1))
    if len(rows) < 2:
        return None
    whole = [" ".join(texts.items[row]) for row in rows]
    scores = BM25(whole).scores(whole)
    np.fill_diagonal(scores, -1)  # the query itself comes last
    values = np.full(len(data), np.nan)
    values[rows], precision = _without_itself(scores, data.labels[rows])
    size = int(np.mean([len(text.encode()) for text in whole]))
    return Measured({f"{modality}->{modality}": values}, precision, None, size)


def _without_itself(
    scores: NDArray[np.float32], labels: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Return average precisions and precision@10 where the query is last in its own ranking.

    In the last place it adds R / m to R times the average precision, which is taken off again.
    """
    n = len(scores)
    queries = np.eye(n, dtype=np.float32)  # whose inner products with the columns are the scores
    with_itself = average_precision(queries, scores.T, labels, labels)
    relevant = (labels.astype(np.float32) @ labels.astype(np.float32).T > 0).sum(axis=1)
    others = np.maximum(relevant - 1, 1)
    found = np.where(relevant > 1, (with_itself * relevant - relevant / n) / others, 0.0)
    curve = precision_scope_curve(queries, scores.T, labels, labels, [min(K, n)])
    return found, float(curve.precision[0])


def mean_of(measured: Measured, prefix: str) -> NDArray[np.float64]:
    """Return (n,), the mean over the directions whose queries are of one modality."""
    chosen: Sequence[NDArray[np.float64]] = [
        values for name, values in measured.directions.items() if name.startswith(f"{prefix}->")
    ]
    return np.asarray(np.mean(chosen, axis=0))


def difference_p(
    first: NDArray[np.float64], second: NDArray[np.float64], draw: np.random.Generator
) -> float:
    """Return p of the difference of two means, over the samples that have both values.

    Args:
        first: (n,) value of each sample; NaN where it has none.
        second: (n,) the same of another method.
        draw: Random generator.
    """
    both = np.isfinite(first) & np.isfinite(second)
    return paired_randomization(first[both], second[both], draw, resamples=10_000)

"""Precision-recall and precision-scope curves, averaged over the queries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import SettingError
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.ranked_block import RankedBlock
from commonspace.evaluation.ranking import Ranking

__all__ = [
    "PrecisionRecall",
    "PrecisionScope",
    "precision_recall_curve",
    "precision_scope_curve",
]


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """An interpolated precision-recall curve.

    Args:
        recall: (p,) levels, evenly spaced from 0 to 1.
        precision: (p,) mean interpolated precision at each level, never rising.
        low: (p,) the same where ties are broken against the relevant items.
        high: (p,) the same where ties are broken for them. The expectation over random order has no
            simple closed form; it lies between ``low`` and ``high``, which are equal without ties.
        queries: number of queries that it averages.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    queries: int


@dataclass(frozen=True, eq=False)
class PrecisionScope:
    """Precision among the first K results, for several K.

    Args:
        scope: (p,) int, each K.
        precision: (p,) mean precision among the first K.
        queries: number of queries that it averages.
    """

    scope: NDArray[np.intp]
    precision: NDArray[np.float64]
    queries: int


def precision_recall_curve(
    query: ArrayLike,
    gallery: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    points: int = 11,
) -> PrecisionRecall:
    r"""Return the interpolated precision at evenly spaced levels of recall.

    For a query with R relevant items, the h-th of them at rank r_h,

    .. math:: P(\ell) = \max_{h \ge \ell R} h / r_h

    (Manning, Raghavan, Schütze: Introduction to Information Retrieval, 2008, section 8.4), then
    the mean over the queries. A query with R = 0 counts as 0 at every level. For tied items r_h is
    the expected rank over random order: of l relevant items among t tied ones after s others, the
    i-th is expected at rank s + i (t + 1) / (l + 1).

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, or (n, c) bool.
        gallery_labels: (m,) or (m, c), in the same form.
        points: number of levels, at least 2; 11 is the classical choice.

    Raises:
        DataError: embeddings or labels are of a wrong form, do not match, or are not finite.
        SettingError: fewer than two points.

    Example:
        >>> curve = precision_recall_curve([[1.0]], [[3.0], [2.0], [1.0]], [1], [0, 1, 1], points=3)
        >>> curve.precision.round(3).tolist()
        [0.667, 0.667, 0.667]
    """
    if points < 2:
        raise SettingError(
            f"`points` must be >= 2, got {points}",
            expected="at least 2 points",
            found=f"{points}",
            advice="11 points are the classical choice",
        )

    def figure(block: RankedBlock) -> NDArray[np.float64]:
        rows = [_interpolate(np.flatnonzero(row) + 1, points) for row in block.relevant]
        values = np.stack([rows, rows, rows])
        if block.tied.size:
            for version, ranks in enumerate(_tied_ranks(block)):
                for row, place in zip(block.tied, ranks, strict=True):
                    values[version, row] = _interpolate(place, points)
        return values

    ranking = Ranking.by_class(query, gallery, query_labels, gallery_labels)
    values = np.concatenate(ranking.measure(figure, len(ranking.gallery)), axis=1)
    precision, low, high = values.mean(axis=1)
    return PrecisionRecall(np.linspace(0, 1, points), precision, low, high, values.shape[1])


def precision_scope_curve(
    query: ArrayLike,
    gallery: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    scopes: Sequence[int],
) -> PrecisionScope:
    """Return the share of relevant items among the first K results, for each K of ``scopes``.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, or (n, c) bool.
        gallery_labels: (m,) or (m, c), in the same form.
        scopes: each K, from 1 to m.

    Raises:
        DataError: embeddings or labels are of a wrong form, do not match, or are not finite.
        SettingError: no scope, or one that is not from 1 to m.

    Example:
        >>> curve = precision_scope_curve([[1.0]], [[2.0], [1.0]], [1], [1, 0], scopes=[1, 2])
        >>> curve.precision.tolist()
        [1.0, 0.5]
    """
    ranking = Ranking.by_class(query, gallery, query_labels, gallery_labels)
    m = len(ranking.gallery)
    if len(scopes) == 0 or not all(check_depth(scope, m) == scope for scope in scopes):
        raise SettingError(
            f"each scope must be in [1, {m}], got {list(scopes)}",
            expected=f"whole numbers from 1 to {m}, the size of the gallery",
            found=f"{list(scopes)}",
            advice="leave out the scopes beyond the gallery",
        )
    scope = np.array(scopes, dtype=np.intp)

    def figure(block: RankedBlock) -> tuple[int, NDArray[np.float64]]:
        relevant = block.expected(lambda _, grades: grades > 0)
        return len(block.queries), np.cumsum(relevant.sum(axis=0))[scope - 1]

    parts = ranking.measure(figure, int(scope.max()))
    queries = sum(count for count, _ in parts)
    hits = np.sum([hits for _, hits in parts], axis=0)
    return PrecisionScope(scope, hits / (queries * scope), queries)


def _tied_ranks(block: RankedBlock) -> Iterator[list[Any]]:
    """Yield the ranks of the relevant items of each row with ties: expected, last and first."""
    groups = block.groups(block.tied)
    size, relevant = groups.size, groups.relevant
    group = np.repeat(np.arange(len(relevant)), relevant)
    place = np.arange(group.size) - (np.cumsum(relevant) - relevant)[group] + 1.0
    ends = np.cumsum(np.bincount(groups.row[group], minlength=len(block.tied)))[:-1]
    start = groups.start[group]
    expected = place * ((size[group] + 1) / (relevant[group] + 1))
    for offset in (expected, size[group] - relevant[group] + place, place):
        yield np.split(np.asarray(start + offset, dtype=np.float64), ends)


def _interpolate(ranks: NDArray[Any], points: int) -> NDArray[np.float64]:
    if ranks.size == 0:
        return np.zeros(points)
    precision = np.arange(1, ranks.size + 1) / ranks
    best_from = np.maximum.accumulate(precision[::-1])[::-1]
    # The h of level j / (points - 1), rounded up in whole numbers: floats would miss exact ones.
    first = -(-np.arange(points) * ranks.size // (points - 1))
    return np.asarray(best_from[np.maximum(first, 1) - 1])

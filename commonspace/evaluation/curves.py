"""Precision against recall, and precision against scope: two curves averaged over the queries.

It computes points and draws nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import SettingError
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.ranking import RankedBlock, Ranking

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
        queries: how many queries it averages.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    queries: int


@dataclass(frozen=True, eq=False)
class PrecisionScope:
    """Precision among the first K results, for several K.

    Args:
        scope: (p,) int, each K.
        precision: (p,) mean precision among the first K.
        queries: how many queries it averages.
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
    the mean over the queries. A query with R = 0 counts as 0 at every level.

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
            "a precision-recall curve needs a beginning and an end",
            expected="at least 2 points",
            found=f"{points}",
            advice="11 points are the classical choice",
        )

    def figure(block: RankedBlock) -> NDArray[np.float64]:
        return np.stack([_interpolated(row, points) for row in block.relevant])

    ranking = Ranking.by_class(query, gallery, query_labels, gallery_labels)
    values = np.concatenate(ranking.measure(figure, len(ranking.gallery)))
    return PrecisionRecall(np.linspace(0, 1, points), values.mean(axis=0), len(values))


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
            "a precision-scope curve cannot be measured at these scopes",
            expected=f"whole numbers from 1 to {m}, the size of the gallery",
            found=f"{list(scopes)}",
            advice="leave out the scopes beyond the gallery",
        )
    scope = np.array(scopes, dtype=np.intp)

    def figure(block: RankedBlock) -> tuple[int, NDArray[np.intp]]:
        return len(block.queries), np.cumsum(block.relevant.sum(axis=0))[scope - 1]

    parts = ranking.measure(figure, int(scope.max()))
    queries = sum(count for count, _ in parts)
    hits = np.sum([hits for _, hits in parts], axis=0)
    return PrecisionScope(scope, hits / (queries * scope), queries)


def _interpolated(relevant: NDArray[np.bool_], points: int) -> NDArray[np.float64]:
    ranks = np.flatnonzero(relevant) + 1
    if ranks.size == 0:
        return np.zeros(points)
    precision = np.arange(1, ranks.size + 1) / ranks
    best_from = np.maximum.accumulate(precision[::-1])[::-1]
    # The h of level j / (points - 1), rounded up in whole numbers: floats would miss exact ones.
    first = -(-np.arange(points) * ranks.size // (points - 1))
    return np.asarray(best_from[np.maximum(first, 1) - 1])

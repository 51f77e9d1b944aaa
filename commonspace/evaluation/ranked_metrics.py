"""Metrics of a ranking besides average precision: R-precision, nDCG, retrieval of exact pairs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError, SettingError
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.ranked_block import RankedBlock
from commonspace.evaluation.ranking import Ranking

__all__ = [
    "PairRetrieval",
    "expected_rank",
    "first_relevant",
    "ndcg",
    "pair_retrieval",
    "probability_within",
    "r_precision",
]


def r_precision(
    query: ArrayLike, gallery: ArrayLike, query_labels: ArrayLike, gallery_labels: ArrayLike
) -> NDArray[np.float64]:
    """Return R-precision of every query: the precision among the first R of R relevant items.

    Precision and recall are equal at rank R (Manning, Raghavan, Schütze: Introduction to
    Information Retrieval, 2008, section 8.4). It is 0 where R is 0. Tied items count by their
    expected value over random order. `mean_over_queries` averages the values.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, or (n, c) bool.
        gallery_labels: (m,) or (m, c), in the same form.

    Returns:
        (n,) float64 in [0, 1], NaN where a query has no label.

    Raises:
        DataError: embeddings or labels are of a wrong form, do not match, or are not finite.

    Example:
        >>> r_precision([[1.0]], [[3.0], [2.0], [1.0]], [1], [1, 0, 1]).tolist()
        [0.5]
    """
    ranking = Ranking.by_class(query, gallery, query_labels, gallery_labels)
    m = len(ranking.gallery)

    def figure(block: RankedBlock) -> NDArray[np.float64]:
        counted = np.arange(m) < block.available[:, None]
        relevant = block.expected(lambda _, grades: grades > 0)
        hits = (relevant * counted).sum(axis=1)
        return np.asarray(hits / np.maximum(block.available, 1))

    return ranking.per_query(figure, m)


def ndcg(
    query: ArrayLike,
    gallery: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    k: int | None = None,
) -> NDArray[np.float64]:
    r"""Return normalized discounted cumulative gain, nDCG@k, of every query.

    .. math:: DCG@k = \sum_{r=1}^{k} \frac{2^{g_r} - 1}{\log_2(r + 1)}

    where g_r is the number of classes that the item at rank r shares with the query, divided by
    the DCG@k of the best possible order (Burges et al.: Learning to Rank using Gradient Descent,
    ICML 2005). With one class for each sample the gain is 1 or 0. It is 0 where nothing in the
    gallery is relevant. Tied items each count by the mean gain of their group, the expected value
    over random order. `mean_over_queries` averages the values.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, or (n, c) bool.
        gallery_labels: (m,) or (m, c), in the same form.
        k: number of first ranks that count; None, 0, or more than m: the whole ranking.

    Returns:
        (n,) float64 in [0, 1], NaN where a query has no label.

    Raises:
        DataError: embeddings or labels are of a wrong form, do not match, or are not finite.
        SettingError: ``k`` is negative or not a whole number.

    Example:
        >>> ndcg([[1.0]], [[2.0], [1.0]], ["cat"], ["dog", "cat"]).round(3).tolist()
        [0.631]
    """
    ranking = Ranking.by_class(query, gallery, query_labels, gallery_labels, graded=True)
    depth = check_depth(k, len(ranking.gallery))
    discount = 1 / np.log2(np.arange(2, depth + 2))

    def figure(block: RankedBlock) -> NDArray[np.float64]:
        best = np.sort(block.gallery_grades, axis=1)[:, ::-1][:, :depth]
        ideal = np.where(block.available > 0, _gain(best) @ discount, 1)
        gains = block.expected(lambda _, grades: _gain(grades))
        return np.asarray(gains @ discount / ideal)

    return ranking.per_query(figure, depth)


@dataclass(frozen=True, eq=False)
class PairRetrieval:
    """Rank of the exact pair of each query.

    Args:
        recall: K -> share of the paired queries whose first paired item is among the first K.
        median_rank: of the first paired item, from 1; lower is better.
        median_rank_range: the median rank where ties are broken for and against the pairs: the
            expected median has no closed form.
        ranks: (n,) float64, the expected rank of the first paired item, NaN where the gallery has
            none.
        queries: number of queries with a pair in the gallery; the others are left out.
    """

    recall: Mapping[int, float]
    median_rank: float
    median_rank_range: tuple[float, float]
    ranks: NDArray[np.float64]
    queries: int


def pair_retrieval(
    query: ArrayLike,
    gallery: ArrayLike,
    query_pair: ArrayLike,
    gallery_pair: ArrayLike,
    ks: Sequence[int] = (1, 5, 10),
) -> PairRetrieval:
    """Return Recall@K and the median rank of the exact pair.

    Where several gallery items belong to the query's pair, as the captions of one image do, the
    first one counts, as is usual for Flickr30K and MS-COCO. A query without a pair in the gallery
    is left out. Recall and ranks are expected values over the random order of tied items.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_pair: (n,) ints or strings, the key of each query's pair, such as its sample id.
        gallery_pair: (m,) the same of the gallery.
        ks: each K, at least 1.

    Raises:
        DataError: embeddings or keys are of a wrong form, do not match, or are not finite; no
            query has a pair in the gallery.
        SettingError: a K is not a whole number from 1.

    Example:
        >>> query, gallery = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.9]]
        >>> pairs = pair_retrieval(query, gallery, ["a", "b"], ["b", "a"], ks=[1])
        >>> pairs.recall, pairs.median_rank
        ({1: 1.0}, 1.0)
    """
    ranking = Ranking.by_pair(query, gallery, query_pair, gallery_pair)
    m = len(ranking.gallery)
    for k in ks:
        if check_depth(k, m) and not k:
            raise SettingError(
                "Recall@0 is not defined",
                expected="each k a whole number from 1",
                found=f"{list(ks)}",
                advice="leave the 0 out",
            )
    first = first_relevant(ranking)
    start, size, relevant = first[~np.isnan(first[:, 0])].T
    if start.size == 0:
        raise DataError(
            "no query has its pair in the gallery",
            expected="at least one key that occurs on both sides",
            found=f"{len(first)} queries without a counterpart",
            advice="give both sides the ids of the same samples",
        )
    recall = {
        int(k): math.fsum(
            probability_within(k, *group) for group in zip(start, size, relevant, strict=True)
        )
        / start.size
        for k in ks
    }
    ranks = expected_rank(first)
    median = float(np.median(ranks[~np.isnan(ranks)]))
    bounds = float(np.median(start + 1)), float(np.median(start + size - relevant + 1))
    return PairRetrieval(recall, median, bounds, ranks, start.size)


def first_relevant(ranking: Ranking) -> NDArray[np.float64]:
    """Return (n, 3): start, size and relevant items of the tie group of the first relevant item.

    A row is NaN where a query has no relevant item.
    """
    first = np.full((len(ranking.query), 3), np.nan)
    m = len(ranking.gallery)
    for queries, groups in ranking.measure(_first_groups, m):
        first[queries] = groups
    return first


def expected_rank(first: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected rank, from 1, of the first relevant item of each tie group.

    Args:
        first: (n, 3) start, size and relevant items, as of ``first_relevant``.
    """
    start, size, relevant = first.T
    rank: NDArray[np.float64] = start + (size + 1) / (relevant + 1)
    return rank


def probability_within(k: int, start: float, size: float, relevant: float) -> float:
    """Return the probability that one of the relevant items of a tie group is among the first k."""
    visible = min(max(k - start, 0), size)
    missed = 1.0
    for drawn in range(int(relevant)):
        missed *= max(size - visible - drawn, 0) / (size - drawn)
    return 1 - missed


def _gain(grades: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.exp2(grades.astype(np.float64)) - 1


def _first_groups(block: RankedBlock) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the queries of a block, and the tie groups of their first relevant items."""
    return block.queries, _first_group(block)


def _first_group(block: RankedBlock) -> NDArray[np.float64]:
    """Return (b, 3): start, size and relevant items of the first tie group with a relevant item."""
    group = np.ones((len(block.queries), 3))
    group[:, 0] = block.relevant.argmax(axis=1)
    if block.tied.size:
        groups = block.groups(block.tied)
        hit = np.flatnonzero(groups.relevant > 0)
        rows, first = np.unique(groups.row[hit], return_index=True)
        some = hit[first]
        group[block.tied[rows]] = np.stack(
            [groups.start[some], groups.size[some], groups.relevant[some]], axis=1
        )
    group[block.available == 0] = np.nan
    return group

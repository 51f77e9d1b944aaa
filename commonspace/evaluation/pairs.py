"""Does a query find its own counterpart: Recall@K and the median rank of the exact pair.

It knows no classes: relevant is what carries the query's own key, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError, SettingError
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.ranking import RankedBlock, Ranking

__all__ = ["PairRetrieval", "pair_retrieval"]


@dataclass(frozen=True, eq=False)
class PairRetrieval:
    """How early the queries find their own pair.

    Args:
        recall: K -> share of the paired queries that find an item of their pair among the first K.
        median_rank: of the first such item, from 1; lower is better.
        ranks: (n,) float64, the rank of the first such item, NaN where the gallery has none.
        queries: how many queries have a pair in the gallery; the others are left out.
    """

    recall: Mapping[int, float]
    median_rank: float
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
    first that is found counts, as is usual for Flickr30K and MS-COCO. A query whose pair is not in
    the gallery says nothing about the space and is left out; `PairRetrieval.queries` counts
    those that remain.

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
        >>> found = pair_retrieval(query, gallery, ["a", "b"], ["b", "a"], ks=[1])
        >>> found.recall, found.median_rank
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
    ranks = ranking.per_query(_first_rank, m)
    paired = ranks[~np.isnan(ranks)]
    if paired.size == 0:
        raise DataError(
            "no query has its pair in the gallery",
            expected="at least one key that occurs on both sides",
            found=f"{len(ranks)} queries without a counterpart",
            advice="give both sides the ids of the same samples",
        )
    recall = {int(k): int((paired <= k).sum()) / paired.size for k in ks}
    return PairRetrieval(recall, float(np.median(paired)), ranks, paired.size)


def _first_rank(block: RankedBlock) -> NDArray[np.float64]:
    return np.where(block.available > 0, block.relevant.argmax(axis=1) + 1.0, np.nan)

"""Normalised discounted cumulative gain: a ranking in which more shared classes are better.

It takes embeddings and labels as arrays; it knows nothing of where they came from.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.ranking import RankedBlock, Ranking

__all__ = ["ndcg"]


def ndcg(
    query: ArrayLike,
    gallery: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    k: int | None = None,
) -> NDArray[np.float64]:
    r"""Return nDCG@k of every query; `mean_over_queries` makes one figure of them.

    .. math:: DCG@k = \sum_{r=1}^{k} \frac{2^{g_r} - 1}{\log_2(r + 1)}

    where g_r is the number of classes that the item at rank r shares with the query, divided by
    the DCG@k of the best possible order (Burges et al.: Learning to Rank using Gradient Descent,
    ICML 2005). With one class for each sample the gain is 1 or 0. It is 0 where nothing in the
    gallery is relevant.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, or (n, c) bool.
        gallery_labels: (m,) or (m, c), in the same form.
        k: how many first ranks count; None, 0, or more than m: the whole ranking.

    Returns:
        (n,) float64 from 0 to 1, NaN where a query has no label.

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
        return np.asarray(_gain(block.grades) @ discount / ideal)

    return ranking.per_query(figure, depth)


def _gain(grades: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.exp2(grades.astype(np.float64)) - 1

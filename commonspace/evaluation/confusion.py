"""Class confusion: which classes the first results have, for the queries of each class."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.ranked_block import RankedBlock
from commonspace.evaluation.ranking import Ranking
from commonspace.evaluation.relevance import check_labels

__all__ = ["class_confusion"]


def class_confusion(
    query: ArrayLike,
    gallery: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    k: int = 10,
) -> NDArray[np.float64]:
    r"""Return, for queries of class i, the share of class j among the first k results.

    .. math:: C_{ij} = \frac{1}{|Q_i|\, k} \sum_{q \in Q_i} \sum_{r=1}^{k}
              \frac{[j \in c(g_{q,r})]}{|c(g_{q,r})|}

    where Q_i are the queries that have class i, g_{q,r} is the item at rank r, and c(g) are its
    classes: an item of two classes counts half in each. A row adds up to 1, less the share of
    results without a label. Where k cuts a group of tied items, each of them counts by its
    probability to be among the first k.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n, c) bool, a mark for each class.
        gallery_labels: (m, c) bool.
        k: number of first results; 0 or more than m: all.

    Returns:
        (c, c) float64 in [0, 1]; a row of NaN where no query has the class.

    Raises:
        DataError: embeddings or labels are of a wrong form, do not match, or are not finite; no
            query has a label.
        SettingError: ``k`` is negative or not a whole number.

    Example:
        >>> marks = [[True, False], [False, True]]
        >>> class_confusion([[1.0, 0.0], [0.5, 0.1]], [[1.0, 0.0], [0.0, 1.0]], marks, marks, k=1)
        array([[1., 0.],
               [1., 0.]])
    """
    query_marks, gallery_marks = (
        check_labels(query_labels, "query"),
        check_labels(gallery_labels, "gallery"),
    )
    if query_marks.ndim != 2 or gallery_marks.ndim != 2:
        raise DataError(
            "class confusion needs multi-hot labels",
            expected="bool labels of shape (items, classes) on both sides",
            found=f"shapes {query_marks.shape} and {gallery_marks.shape}",
            advice="give one column for each class",
        )
    ranking = Ranking.by_class(query, gallery, query_marks, gallery_marks)
    depth = check_depth(k, len(ranking.gallery))
    each = gallery_marks / np.maximum(gallery_marks.sum(axis=1, keepdims=True), 1)

    def count(block: RankedBlock) -> NDArray[np.float64]:
        marks: NDArray[np.float64] = query_marks[block.queries].astype(np.float64)
        return np.asarray(marks.T @ block.expected(lambda items, _: each[items]).sum(axis=1))

    counts = query_marks.sum(axis=0)
    total = np.sum(ranking.measure(count, depth), axis=0) / depth
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(counts[:, None] > 0, total / counts[:, None], np.nan))

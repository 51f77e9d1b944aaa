"""What is found in place of what: the classes of the first results, for the queries of each class.

It takes embeddings and labels as arrays; it draws nothing.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.ranking import RankedBlock, Ranking
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
    results without a label.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n, c) bool, a mark for each class.
        gallery_labels: (m, c) bool.
        k: how many first results; 0 or more than m: all.

    Returns:
        (c, c) float64 from 0 to 1; a row of NaN where no query has the class.

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
    asked, answering = check_labels(query_labels, "query"), check_labels(gallery_labels, "gallery")
    if asked.ndim != 2 or answering.ndim != 2:
        raise DataError(
            "a confusion needs to know all classes",
            expected="labels of shape (items, classes) of True and False on both sides",
            found=f"shapes {asked.shape} and {answering.shape}",
            advice="mark the class of each item in a table, a column for each class",
        )
    ranking = Ranking.by_class(query, gallery, asked, answering)
    depth = check_depth(k, len(ranking.gallery))
    each = answering / np.maximum(answering.sum(axis=1, keepdims=True), 1)

    def found(block: RankedBlock) -> NDArray[np.float64]:
        marks: NDArray[np.float64] = asked[block.queries].astype(np.float64)
        return np.asarray(marks.T @ each[block.items].sum(axis=1))

    counts = asked.sum(axis=0)
    total = np.sum(ranking.measure(found, depth), axis=0) / depth
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(counts[:, None] > 0, total / counts[:, None], np.nan))

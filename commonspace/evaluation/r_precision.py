"""R-precision: the share of relevant items among the first R, where R items are relevant.

It takes embeddings and labels as arrays; it knows nothing of where they came from.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.evaluation.ranking import RankedBlock, Ranking

__all__ = ["r_precision"]


def r_precision(
    query: ArrayLike, gallery: ArrayLike, query_labels: ArrayLike, gallery_labels: ArrayLike
) -> NDArray[np.float64]:
    """Return R-precision of every query; `mean_over_queries` makes one figure of them.

    Precision and recall are equal at rank R, the number of relevant items in the gallery
    (Manning, Raghavan, Schütze: Introduction to Information Retrieval, 2008, section 8.4).
    It is 0 where R is 0.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, or (n, c) bool.
        gallery_labels: (m,) or (m, c), in the same form.

    Returns:
        (n,) float64 from 0 to 1, NaN where a query has no label.

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
        hits = np.count_nonzero(block.relevant & counted, axis=1)
        return np.asarray(hits / np.maximum(block.available, 1))

    return ranking.per_query(figure, m)

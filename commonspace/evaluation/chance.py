"""The level of chance: how much of a gallery is relevant to a query that knows nothing.

It looks at labels and at no embedding.
"""

import numpy as np
from numpy.typing import NDArray

from commonspace.evaluation.relevance import class_relevance

__all__ = ["chance_level"]


def chance_level(query_labels: NDArray[np.bool_], gallery_labels: NDArray[np.bool_]) -> float:
    """Return the share of the gallery that is relevant to a query, in the mean over the queries.

    The mAP of a random order comes close to it from above.

    Args:
        query_labels: (n, c) bool; those without a label do not count as queries.
        gallery_labels: (m, c) bool.

    Example:
        >>> marks = np.eye(4, dtype=bool)
        >>> chance_level(marks, marks)
        0.25
    """
    relevance = class_relevance(query_labels, gallery_labels)
    queries = np.flatnonzero(relevance.judged)
    blocks = np.array_split(queries, max(1, len(queries) // 256))
    relevant = sum(int(np.count_nonzero(relevance.grades(block))) for block in blocks)
    return relevant / (max(1, len(queries)) * len(gallery_labels))

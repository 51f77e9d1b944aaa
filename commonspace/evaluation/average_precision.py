"""Average precision of a ranking, and its mean over the queries: the mAP of this field.

It takes embeddings and labels as arrays; it knows nothing of where they came from.
"""

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import SettingError
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.means import mean_over_queries
from commonspace.evaluation.ranking import RankedBlock, Ranking

__all__ = [
    "Denominator",
    "average_precision",
    "block_average_precision",
    "check_denominator",
    "mean_average_precision",
]

Denominator: TypeAlias = Literal["found", "relevant"]
"""What AP@k is divided by: the relevant items found within k, or all in the gallery."""


def mean_average_precision(
    query: ArrayLike,
    gallery: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    k: int | None = None,
    *,
    denominator: Denominator = "found",
) -> float:
    """Return mAP@k: the mean of ``average_precision`` over the queries that have a label.

    A query whose classes do not occur in the gallery counts as 0, as it does in the released code
    of DSCMR. A query without any label is left out; such a gallery item is never relevant.

    Args:
        query: (n, d) embeddings, arrays or tensors. The inner product is the score: normalise the
            rows to rank by cosine.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, one class each, -1 for none, or (n, c) bool, a mark for
            each class of a query. An item is relevant when it shares at least one class with the
            query.
        gallery_labels: (m,) or (m, c), in the same form.
        k: how many first ranks count; None, 0, or more than m: the whole ranking.
        denominator: "found" divides by the relevant items within the first k ranks (the released
            code of DSCMR), "relevant" by all relevant items of the gallery. They agree on the
            whole ranking.

    Returns:
        The mean, from 0 to 1. It is exact, not an estimate, and does not depend on the order of
        the queries; ties rank by gallery row (see `Ranking`).

    Raises:
        DataError: embeddings or labels are of a wrong form, do not match, or are not finite; no
            query has a label.
        SettingError: ``k`` or ``denominator`` is not one of the values above.

    Example:
        The relevant items are at ranks 1 and 3: (1/1 + 2/3) / 2.

        >>> query, gallery = [[1.0]], [[0.9], [0.5], [0.1]]
        >>> round(mean_average_precision(query, gallery, ["cat"], ["cat", "dog", "cat"]), 4)
        0.8333
    """
    values = average_precision(
        query, gallery, query_labels, gallery_labels, k, denominator=denominator
    )
    return mean_over_queries(values)


def average_precision(
    query: ArrayLike,
    gallery: ArrayLike,
    query_labels: ArrayLike,
    gallery_labels: ArrayLike,
    k: int | None = None,
    *,
    denominator: Denominator = "found",
) -> NDArray[np.float64]:
    r"""Return AP@k of every query.

    .. math:: AP@k = \frac{1}{R} \sum_{r=1}^{k} P(r)\, rel(r)

    where rel(r) is 1 if the item at rank r is relevant and 0 if not, P(r) is the share of relevant
    items among the first r, and R is named by ``denominator``. It is 0 where R is 0.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, or (n, c) bool.
        gallery_labels: (m,) or (m, c), in the same form.
        k: how many first ranks count; None, 0, or more than m: the whole ranking.
        denominator: R, "found" for the relevant items within k, "relevant" for all of them.

    Returns:
        (n,) float64 from 0 to 1, NaN where a query has no label.

    Raises:
        DataError: embeddings or labels are of a wrong form, do not match, or are not finite; no
            query has a label.
        SettingError: ``k`` or ``denominator`` is not one of the values above.

    Example:
        >>> query, gallery = [[1.0], [-1.0]], [[0.9], [0.5], [0.1]]
        >>> average_precision(query, gallery, [7, 8], [7, 8, 7], k=1).tolist()
        [1.0, 0.0]
    """
    check_denominator(denominator)
    ranking = Ranking.by_class(query, gallery, query_labels, gallery_labels)
    depth = check_depth(k, len(ranking.gallery))
    return ranking.per_query(
        lambda block: block_average_precision(block, depth, denominator), depth
    )


def block_average_precision(
    block: RankedBlock, depth: int, denominator: Denominator
) -> NDArray[np.float64]:
    """Return AP at ``depth`` for the (b,) queries of a block that is ranked at least so deep."""
    row, rank = divmod(np.flatnonzero(block.relevant[:, :depth]), min(depth, block.keys.shape[1]))
    found = np.bincount(row, minlength=len(block.queries))
    before = np.cumsum(found) - found  # the entries of np.nonzero that belong to earlier rows
    hits = np.arange(1, row.size + 1) - before[row]
    total = np.bincount(row, weights=hits / (rank + 1), minlength=len(block.queries))
    count = found if denominator == "found" else block.available
    return np.asarray(total / np.maximum(count, 1))  # nothing to count: 0 / 1


def check_denominator(denominator: str) -> None:
    """Raise a SettingError unless ``denominator`` is one of the two names."""
    if denominator not in get_args(Denominator):
        raise SettingError(
            "AP@k has no such denominator",
            expected='"found" (relevant items within k) or "relevant" (all in the gallery)',
            found=repr(denominator),
            advice="the released code of DSCMR uses found",
        )

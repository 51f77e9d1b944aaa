"""Average precision (AP) of each query, and its mean over the queries (mAP)."""

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import SettingError
from commonspace.evaluation.arrays import check_depth
from commonspace.evaluation.means import mean_over_queries
from commonspace.evaluation.ranked_block import RelevanceBlock
from commonspace.evaluation.ranking import Ranking

__all__ = [
    "Denominator",
    "average_precision",
    "block_average_precision",
    "check_denominator",
    "mean_average_precision",
]

Denominator: TypeAlias = Literal["found", "relevant"]
"""Divisor of AP@k: the relevant items within k, or all in the gallery."""


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

    A query whose classes do not occur in the gallery counts as 0, as in the official code of DSCMR.
    A query without a label is left out; a gallery item without a label is never relevant.

    Args:
        query: (n, d) embeddings, arrays or tensors. The inner product is the score: L2-normalize
            the rows to rank by cosine.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, one class each, -1 for none, or (n, c) bool, a mark for
            each class of a query. An item is relevant when it shares at least one class with the
            query.
        gallery_labels: (m,) or (m, c), in the same form.
        k: number of first ranks that count; None, 0, or more than m: the whole ranking.
        denominator: "found" divides by the relevant items within the first k ranks (the official
            code of DSCMR), "relevant" by all relevant items of the gallery. They agree on the
            whole ranking.

    Returns:
        The mean, in [0, 1]. It is exact, and depends neither on the order of the queries nor on
        that of the gallery: tied items count by the expected value over their random order.

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
    items among the first r, and R is chosen by ``denominator``. It is 0 where R is 0.

    Where scores are tied, the value is the expectation over the random order of the tied items, in
    closed form (McSherry, Najork: Computing Information Retrieval Performance Measures Efficiently
    in the Presence of Tied Scores, ECIR 2008, section 3). For a group of t tied items, r of them
    relevant, after s items with h relevant ones, rank s + i contributes

    .. math:: \frac{r}{t} \cdot \frac{h + 1 + (i - 1) \frac{r - 1}{t - 1}}{s + i}.

    Where k cuts a tie group and the denominator is "found", the number of relevant items within k
    is hypergeometric, and the value is the mean over its distribution.

    Args:
        query: (n, d) embeddings.
        gallery: (m, d) embeddings.
        query_labels: (n,) ints or strings, or (n, c) bool.
        gallery_labels: (m,) or (m, c), in the same form.
        k: number of first ranks that count; None, 0, or more than m: the whole ranking.
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
    if depth == len(ranking.gallery):
        return ranking.per_query_relevance(
            lambda block: block_average_precision(block, depth, denominator)
        )
    return ranking.per_query(
        lambda block: block_average_precision(block, depth, denominator), depth
    )


def block_average_precision(
    block: RelevanceBlock, depth: int, denominator: Denominator
) -> NDArray[np.float64]:
    """Return AP at ``depth`` for the (b,) queries of a block that is ranked at least so deep."""
    row, rank = divmod(np.flatnonzero(block.relevant[:, :depth]), min(depth, block.depth))
    found = np.bincount(row, minlength=len(block.queries))
    before = np.cumsum(found) - found  # the entries of np.nonzero that belong to earlier rows
    hits = np.arange(1, row.size + 1) - before[row]
    total = np.bincount(row, weights=hits / (rank + 1), minlength=len(block.queries))
    count = found if denominator == "found" else block.available
    values = np.asarray(total / np.maximum(count, 1))  # nothing to count: 0 / 1
    if block.mixed.size:  # the order of tied items matters only where they differ in relevance
        values[block.mixed] = _expected_average_precision(block, block.mixed, depth, denominator)
    return values


def check_denominator(denominator: str) -> None:
    """Raise a SettingError unless ``denominator`` is one of the two names."""
    if denominator not in get_args(Denominator):
        raise SettingError(
            f"`denominator` must be 'found' or 'relevant', got {denominator!r}",
            expected='"found" (relevant items within k) or "relevant" (all in the gallery)',
            found=repr(denominator),
            advice="the official code of DSCMR uses found",
        )


def _expected_average_precision(
    block: RelevanceBlock, rows: NDArray[np.intp], depth: int, denominator: Denominator
) -> NDArray[np.float64]:
    """Return the expected AP at ``depth`` of rows with ties; see `average_precision`."""
    groups = block.groups(rows)
    visible = np.minimum(groups.size, depth - groups.start)
    cut = (visible > 0) & (visible < groups.size) & (groups.relevant > 0)
    whole = (visible > 0) & (groups.relevant > 0)
    if denominator == "found":
        whole &= ~cut
    chosen = np.flatnonzero(whole)
    group = np.repeat(chosen, visible[chosen])
    ends = np.cumsum(visible[chosen])
    i = np.arange(group.size) - np.repeat(ends - visible[chosen], visible[chosen])  # from 0
    t, r = groups.size[group], groups.relevant[group]
    hits = groups.hits[group] + 1 + i * ((r - 1) / np.maximum(t - 1, 1))
    terms = r / t * hits / (groups.start[group] + i + 1)
    total = np.bincount(groups.row[group], weights=terms, minlength=len(rows))
    if denominator == "relevant":
        return np.asarray(total / np.maximum(block.available[rows], 1))
    inside = (visible > 0) & ~cut
    found = np.bincount(groups.row, weights=groups.relevant * inside, minlength=len(rows))
    values = total / np.maximum(found, 1)
    for one in np.flatnonzero(cut):  # at most one group of each row
        row = groups.row[one]
        values[row] = _cut_group(
            float(total[row]),
            int(groups.hits[one]),
            int(groups.start[one]),
            int(groups.size[one]),
            int(groups.relevant[one]),
            int(visible[one]),
        )
    return np.asarray(values)


def _cut_group(
    total: float, hits: int, start: int, size: int, relevant: int, visible: int
) -> float:
    """Return the expected AP where the last tie group is cut, divided by the relevant items found.

    Args:
        total: sum of the precisions of the earlier groups.
        hits: relevant items before the group.
        start: items before the group.
        size: items in the group.
        relevant: relevant items in the group.
        visible: items of the group within k.
    """
    low, high = max(0, visible - (size - relevant)), min(relevant, visible)
    x = np.arange(low, high + 1)
    # log of the hypergeometric probabilities, by the ratio of neighbours
    ratio = ((relevant - x) * (visible - x))[:-1] / ((x + 1) * (size - relevant - visible + x + 1))[
        :-1
    ]
    log = np.concatenate([[0.0], np.cumsum(np.log(ratio))])
    probability = np.exp(log - log.max())
    probability /= probability.sum()
    i = np.arange(visible)
    inverse = 1 / (start + i + 1)
    share = x / visible
    follow = (x - 1) / max(visible - 1, 1)
    numerator = total + share * ((hits + 1) * inverse.sum() + follow * (i * inverse).sum())
    return float(probability @ (numerator / np.maximum(hits + x, 1)))

"""Means of per-query values: over all queries, or class by class."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.evaluation.relevance import check_labels

__all__ = ["judged_values", "mean_by_class", "mean_over_queries"]


def mean_over_queries(values: ArrayLike) -> float:
    """Return the mean of the values that are not NaN; it does not depend on their order.

    Args:
        values: (n,) one value for each query.

    Raises:
        DataError: not one-dimensional, infinite, or NaN only.

    Example:
        >>> mean_over_queries([0.5, float("nan"), 1.0])
        0.75
    """
    judged = judged_values(values)
    return math.fsum(judged) / judged.size


def mean_by_class(values: ArrayLike, query_labels: ArrayLike) -> dict[int | str, float]:
    """Return the mean of each class: per-class mAP, when the values are average precisions.

    A query of several classes counts in each of them.

    Args:
        values: (n,) one value for each query; NaN is left out.
        query_labels: (n,) ints or strings, or (n, c) bool.

    Returns:
        Label -> mean, sorted; for (n, c) labels, column -> mean. A class without a labeled query
        is left out.

    Raises:
        DataError: values or labels are of a wrong form or do not match.

    Example:
        >>> mean_by_class([0.5, 1.0, 0.0], ["cat", "cat", "dog"])
        {'cat': 0.75, 'dog': 0.0}
    """
    judged_values(values)
    scores, labels = np.asarray(values, dtype=np.float64), check_labels(query_labels, "query")
    if len(labels) != len(scores):
        raise DataError(
            "values and query labels do not match",
            expected=f"{len(scores)} labels, one for each value",
            found=f"{len(labels)}",
            advice="put both in the order of the queries",
        )
    if labels.ndim == 2:
        members = {column: labels[:, column] for column in range(labels.shape[1])}
    else:
        members = {label: labels == label for label in np.unique(labels).tolist()}
    judged = ~np.isnan(scores)
    return {
        name: mean_over_queries(scores[member & judged])
        for name, member in members.items()
        if (member & judged).any()
    }


def judged_values(values: ArrayLike) -> NDArray[np.float64]:
    """Return the values that are not NaN, checked.

    Args:
        values: (n,) one value for each query.

    Raises:
        DataError: not one-dimensional, infinite, or NaN only.
    """
    scores = np.asarray(values, dtype=np.float64)
    judged = scores[~np.isnan(scores)]
    if scores.ndim != 1 or judged.size == 0 or not np.isfinite(judged).all():
        raise DataError(
            "the values of the queries have the wrong form",
            expected="(queries,) finite numbers, NaN where a query has no label",
            found=f"shape {scores.shape}, {judged.size} values,"
            f" {int(np.isinf(judged).sum())} infinite",
            advice="pass the values of one metric, as average_precision returns them",
        )
    return judged

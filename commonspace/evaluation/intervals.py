"""Bootstrap confidence intervals of a mean over queries, or over seeds and queries."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError, SettingError
from commonspace.evaluation.means import judged_values, mean_over_queries

__all__ = [
    "Interval",
    "bootstrap_interval",
    "check_resampling",
    "crossed_interval",
    "resample_batches",
    "sample_contributions",
]

_DRAWS = 2**20  # resampled values held at a time
_WEIGHTS = 2**22  # resampled weights held at a time


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval, from ``low`` to ``high``."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the mean over queries and its percentile bootstrap interval.

    Queries are drawn with replacement, as many as there are; the interval holds the middle
    ``confidence`` of the means (Efron, Tibshirani: An Introduction to the Bootstrap, 1993,
    chapter 13). It covers the choice of queries, not that of the training seed.

    Args:
        values: (n,) one value for each query; NaN is left out.
        rng: random generator; the same state gives the same interval.
        confidence: between 0 and 1.
        resamples: number of resamples, at least 1.

    Raises:
        DataError: the values are not one-dimensional, or NaN only.
        SettingError: ``confidence`` or ``resamples`` is out of range.

    Example:
        >>> bootstrap_interval([0.5, 0.5, 0.5], np.random.default_rng(0))
        Interval(mean=0.5, low=0.5, high=0.5)
    """
    check_resampling(resamples, confidence)
    judged = judged_values(values)
    means = np.concatenate(
        [
            judged[rng.integers(0, judged.size, (rows, judged.size))].mean(axis=1)
            for rows in resample_batches(resamples, judged.size)
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean_over_queries(judged), float(low), float(high))


def crossed_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the mean over seeds and queries with its percentile bootstrap interval.

    Seeds and queries are drawn with replacement, each as many as there are and independently, and
    every drawn seed meets every drawn query (the product bootstrap: Owen, The pigeonhole bootstrap,
    Annals of Applied Statistics 1, 2007). With one seed it is the bootstrap over queries.

    Args:
        values: (s, n) finite: a row for each seed, a column for each query.
        rng: random generator.
        confidence: between 0 and 1.
        resamples: number of resamples, at least 1.

    Raises:
        DataError: the values are not two-dimensional, empty or not finite.
        SettingError: ``confidence`` or ``resamples`` is out of range.

    Example:
        >>> crossed_interval([[0.5, 0.5], [0.5, 0.5]], np.random.default_rng(0))
        Interval(mean=0.5, low=0.5, high=0.5)
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise DataError(
            "the values of seeds and queries have the wrong form",
            expected="(seeds, queries) finite numbers, at least one",
            found=f"shape {table.shape}",
            advice="pass a row for each seed, of the same queries in the same order",
        )
    check_resampling(resamples, confidence)
    seeds, queries = table.shape
    most = max(_WEIGHTS // queries, 1)
    means = np.concatenate(
        [
            np.einsum(
                "rq,rq->r",
                rng.multinomial(seeds, np.full(seeds, 1 / seeds), size) @ table,
                rng.multinomial(queries, np.full(queries, 1 / queries), size),
            )
            for size in (min(most, resamples - start) for start in range(0, resamples, most))
        ]
    ) / (seeds * queries)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(table.mean()), float(low), float(high))


def sample_contributions(directions: ArrayLike) -> NDArray[np.float64]:
    """Return the contribution of each sample to the mean over directions, times their number.

    A sample is a query in several directions, but one draw of the bootstrap. The mean of the
    contributions is the mean over directions of the mean over their queries.

    Args:
        directions: (d, n) values, NaN where a sample is not a query of a direction.

    Returns:
        (n,) float64.

    Raises:
        DataError: a direction has no query.

    Example:
        >>> sample_contributions([[1.0, 0.0], [0.5, np.nan]]).tolist()
        [1.0, 0.0]
    """
    values = np.asarray(directions, dtype=np.float64)
    judged = np.isfinite(values)
    counts = judged.sum(axis=1)
    if values.ndim != 2 or not counts.all():
        raise DataError(
            "a direction of retrieval has no query",
            expected="(directions, samples), each direction with a finite value",
            found=f"shape {values.shape}, {int((counts == 0).sum())} directions without any",
            advice="evaluate labeled samples of every modality",
        )
    weights = values.shape[1] / (counts * len(values))
    result: NDArray[np.float64] = weights @ np.where(judged, values, 0.0)
    return result


def check_resampling(resamples: int, confidence: float = 0.5) -> None:
    """Raise a SettingError unless ``resamples`` >= 1 and ``confidence`` is between 0 and 1."""
    if resamples < 1 or not 0 < confidence < 1:
        raise SettingError(
            f"`resamples` must be >= 1 and `confidence` in (0, 1), got {resamples} and"
            f" {confidence}",
            expected="resamples at least 1, confidence between 0 and 1",
            found=f"resamples {resamples}, confidence {confidence}",
            advice="10,000 resamples and a confidence of 0.95 are usual",
        )


def resample_batches(resamples: int, size: int) -> Iterator[int]:
    """Yield numbers of resamples of ``size`` values that fit into memory, ``resamples`` in all."""
    most = max(_DRAWS // size, 1)
    for start in range(0, resamples, most):
        yield min(most, resamples - start)

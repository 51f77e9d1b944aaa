"""How sure is a figure: intervals over queries, and whether two figures really differ.

It knows values, one for each query, and nothing of what they measure. Randomness comes from the
generator that the caller passes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError, SettingError
from commonspace.evaluation.means import judged_values, mean_over_queries

__all__ = [
    "Comparison",
    "Interval",
    "bootstrap_interval",
    "compare_to",
    "holm",
    "paired_randomisation",
]

_DRAWS = 2**20  # resampled values held at a time


@dataclass(frozen=True)
class Interval:
    """A mean over queries with its bootstrap interval, from ``low`` to ``high``."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One row against the chosen one.

    Args:
        difference: mean of this row minus mean of the chosen row.
        p: two-sided p-value of the paired randomisation test.
        adjusted: the p-value after Holm's correction for the number of rows.
    """

    difference: float
    p: float
    adjusted: float


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
    chapter 13). It speaks of other queries from the same source, not of other training runs.

    Args:
        values: (n,) one value for each query; NaN is left out.
        rng: the source of randomness; the same state gives the same interval.
        confidence: between 0 and 1.
        resamples: number of draws, at least 1.

    Raises:
        DataError: the values are not one-dimensional, or none can be judged.
        SettingError: ``confidence`` or ``resamples`` is out of range.

    Example:
        >>> bootstrap_interval([0.5, 0.5, 0.5], np.random.default_rng(0))
        Interval(mean=0.5, low=0.5, high=0.5)
    """
    _check(resamples, confidence)
    judged = judged_values(values)
    means = np.concatenate(
        [
            judged[rng.integers(0, judged.size, (rows, judged.size))].mean(axis=1)
            for rows in _batches(resamples, judged.size)
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean_over_queries(judged), float(low), float(high))


def paired_randomisation(
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator,
    *,
    resamples: int = 10_000,
) -> float:
    """Return the two-sided p-value that two rows of values for the same queries do not differ.

    If they did not, each query could as well have given its two values the other way round. The
    p-value is (1 + e) / (1 + resamples), e of the random exchanges giving a mean difference at
    least as large as the true one (Smucker, Allan, Carterette, CIKM 2007): never 0, and exact in
    the sense that it does not reject a true hypothesis too often.

    Args:
        first: (n,) one value for each query, NaN where it cannot be judged.
        second: (n,) the same for the same queries, in the same order.
        rng: the source of randomness.
        resamples: number of random exchanges, at least 1.

    Raises:
        DataError: the two do not belong to the same judged queries.
        SettingError: ``resamples`` is below 1.

    Example:
        >>> paired_randomisation([0.5, 0.7], [0.5, 0.7], np.random.default_rng(0))
        1.0
    """
    _check(resamples)
    judged = judged_values(first), judged_values(second)
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or not (np.isnan(a) == np.isnan(b)).all():
        raise DataError(
            "the two rows do not belong to the same queries",
            expected=f"values for the same {len(a)} queries, {judged[0].size} of them judged",
            found=f"{len(b)}, {judged[1].size} of them judged",
            advice="measure both on the same test split, in the same order",
        )
    difference = judged[0] - judged[1]
    # What differs only by the rounding of a sum in another order counts as equally large.
    bound = abs(difference.sum()) - 1e-12 * np.abs(difference).sum()
    extreme = sum(
        int((np.abs(rng.choice([-1.0, 1.0], (rows, difference.size)) @ difference) >= bound).sum())
        for rows in _batches(resamples, difference.size)
    )
    return (1 + extreme) / (1 + resamples)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    r"""Return p-values corrected for their number, by Holm's step-down procedure.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (t - j + 1) p_{(j)})

    for t p-values in ascending order (Holm, Scandinavian Journal of Statistics 6, 1979). Rejecting
    what is at most alpha keeps the chance of any false rejection at most alpha.

    Args:
        p: (t,) p-values from 0 to 1.

    Returns:
        (t,) float64, in the order given.

    Raises:
        DataError: not one-dimensional, or not between 0 and 1.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise DataError(
            "p-values have the wrong form",
            expected="one-dimensional, each from 0 to 1",
            found=f"shape {values.shape}: {values.tolist()!r}"[:80],
            advice="pass one p-value for each comparison",
        )
    order = np.argsort(values, kind="stable")
    factors = np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(np.minimum(1, factors * values[order]))
    return adjusted


def compare_to(
    chosen: str,
    rows: Mapping[str, ArrayLike],
    rng: np.random.Generator,
    *,
    resamples: int = 10_000,
) -> dict[str, Comparison]:
    """Test every row of a table against a chosen one, corrected for the number of tests.

    Args:
        chosen: the name of the row to compare with.
        rows: name -> (n,) one value for each query, the same queries in all rows.
        rng: the source of randomness.
        resamples: number of random exchanges for each test.

    Returns:
        Name -> comparison, for every row but the chosen one.

    Raises:
        DataError: there is no such row, or a row belongs to other queries.
        SettingError: ``resamples`` is below 1.

    Example:
        >>> rows = {"ours": [0.6, 0.8], "same": [0.6, 0.8]}
        >>> compare_to("ours", rows, np.random.default_rng(0))
        {'same': Comparison(difference=0.0, p=1.0, adjusted=1.0)}
    """
    if chosen not in rows:
        raise DataError(
            "the row to compare with is not in the table",
            expected=f"one of {', '.join(rows) or 'no rows at all'}",
            found=repr(chosen),
            advice="name a row of the table",
        )
    others = [name for name in rows if name != chosen]
    tests = [
        paired_randomisation(rows[name], rows[chosen], rng, resamples=resamples) for name in others
    ]
    base = mean_over_queries(rows[chosen])
    return {
        name: Comparison(mean_over_queries(rows[name]) - base, p, float(adjusted))
        for name, p, adjusted in zip(others, tests, holm(tests), strict=True)
    }


def _batches(resamples: int, size: int) -> Iterator[int]:
    """Split ``resamples`` rows of ``size`` values into what may be held at a time."""
    most = max(_DRAWS // size, 1)
    for start in range(0, resamples, most):
        yield min(most, resamples - start)


def _check(resamples: int, confidence: float = 0.5) -> None:
    if resamples < 1 or not 0 < confidence < 1:
        raise SettingError(
            "the bootstrap or randomisation cannot be run",
            expected="resamples at least 1, confidence between 0 and 1",
            found=f"resamples {resamples}, confidence {confidence}",
            advice="10,000 resamples and a confidence of 0.95 are usual",
        )

"""Significance tests: paired randomization over queries, and Holm's correction."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.evaluation.intervals import check_resampling, resample_batches
from commonspace.evaluation.means import judged_values, mean_over_queries

__all__ = [
    "Comparison",
    "compare_to",
    "holm",
    "paired_randomization",
]


@dataclass(frozen=True)
class Comparison:
    """One method against the baseline.

    Args:
        difference: mean of this method minus mean of the baseline.
        p: two-sided p-value of the paired randomization test.
        adjusted: the p-value after Holm's correction for the number of methods.
    """

    difference: float
    p: float
    adjusted: float


def paired_randomization(
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator,
    *,
    resamples: int = 10_000,
) -> float:
    """Return the two-sided p-value of the paired randomization test for equal means.

    Under the null hypothesis the two values of each query are exchangeable. The p-value is
    (1 + e) / (1 + resamples), where e of the random exchanges give a mean difference at least as
    large as the observed one (Smucker, Allan, Carterette, CIKM 2007). It is never 0, and the test
    does not exceed its nominal level.

    Args:
        first: (n,) one value for each query, NaN where it has no label.
        second: (n,) the same for the same queries, in the same order.
        rng: random generator.
        resamples: number of random exchanges, at least 1.

    Raises:
        DataError: the two belong to different queries.
        SettingError: ``resamples`` is below 1.

    Example:
        >>> paired_randomization([0.5, 0.7], [0.5, 0.7], np.random.default_rng(0))
        1.0
    """
    check_resampling(resamples)
    judged = judged_values(first), judged_values(second)
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or not (np.isnan(a) == np.isnan(b)).all():
        raise DataError(
            "the two methods were not measured on the same queries",
            expected=f"values for the same {len(a)} queries, {judged[0].size} of them labeled",
            found=f"{len(b)}, {judged[1].size} of them labeled",
            advice="measure both on the same test split, in the same order",
        )
    difference = judged[0] - judged[1]
    # Differences within the rounding error of the sum count as equally large.
    bound = abs(difference.sum()) - 1e-12 * np.abs(difference).sum()
    extreme = sum(
        int((np.abs(rng.choice([-1.0, 1.0], (rows, difference.size)) @ difference) >= bound).sum())
        for rows in resample_batches(resamples, difference.size)
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
            "the p-values have the wrong form",
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
    baseline: str,
    values: Mapping[str, ArrayLike],
    rng: np.random.Generator,
    *,
    resamples: int = 10_000,
) -> dict[str, Comparison]:
    """Test every method against a baseline, with Holm's correction for the number of tests.

    Args:
        baseline: the name of the method to compare with.
        values: name -> (n,) one value for each query, the same queries for all methods.
        rng: random generator.
        resamples: number of random exchanges of each test.

    Returns:
        Name -> comparison, for every method but the baseline.

    Raises:
        DataError: the baseline is unknown, or a method was measured on other queries.
        SettingError: ``resamples`` is below 1.

    Example:
        >>> rows = {"ours": [0.6, 0.8], "same": [0.6, 0.8]}
        >>> compare_to("ours", rows, np.random.default_rng(0))
        {'same': Comparison(difference=0.0, p=1.0, adjusted=1.0)}
    """
    if baseline not in values:
        raise DataError(
            "the baseline is not among the methods",
            expected=f"one of {', '.join(values) or 'no methods'}",
            found=repr(baseline),
            advice="choose one of the methods",
        )
    others = [name for name in values if name != baseline]
    tests = [
        paired_randomization(values[name], values[baseline], rng, resamples=resamples)
        for name in others
    ]
    base = mean_over_queries(values[baseline])
    return {
        name: Comparison(mean_over_queries(values[name]) - base, p, float(adjusted))
        for name, p, adjusted in zip(others, tests, holm(tests), strict=True)
    }

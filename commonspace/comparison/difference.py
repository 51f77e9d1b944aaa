"""Significance of the difference between two methods, over queries and over seeds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from commonspace.evaluation import holm, paired_randomization

__all__ = ["Difference", "differences", "p_over_both", "p_over_seeds"]

RESAMPLES = 10_000

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """The difference of a method from the baseline.

    A difference can be due to the choice of queries or of seeds. Each has a test that takes the
    other as fixed, and a third test takes both as random. A difference is significant when all
    three tests reject.
    """

    average: float
    """Average mAP of the method minus that of the baseline."""
    p_queries: float
    """Paired randomization test over the test samples, on the means over the seeds."""
    p_seeds: float | None
    """Welch's t test over the seeds; None where neither method varies with the seed."""
    p_both: float
    """t test over samples and seeds together."""
    p: float
    """The largest of them, after Holm's correction for the number of methods."""


def differences(tables: Mapping[str, Table], baseline: str) -> dict[str, Difference]:
    """Return the difference of every other method from the baseline.

    Args:
        tables: method -> (s, n) contribution of each sample to the mAP, for each seed; n is the
            same for all methods.
        baseline: one of the methods.
    """
    base = tables[baseline]
    tests = {}
    for name, table in tables.items():
        if name != baseline:
            rng = np.random.default_rng(0)
            p_queries = paired_randomization(
                table.mean(axis=0), base.mean(axis=0), rng, resamples=RESAMPLES
            )
            tests[name] = (
                p_queries,
                p_over_seeds(table.mean(axis=1), base.mean(axis=1)),
                p_over_both(table, base),
            )
    adjusted = holm([max(p or 0.0 for p in values) for values in tests.values()])
    return {
        name: Difference(float(tables[name].mean() - base.mean()), *values, float(p))
        for (name, values), p in zip(tests.items(), adjusted, strict=True)
    }


def p_over_seeds(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return the p-value of Welch's t test; of the one-sample test where one method has no seeds.

    Args:
        first: (s,) the figure for each seed.
        second: (t,) that of the other method.

    Returns:
        None where neither varies.
    """
    varying = [row for row in (first, second) if len(row) > 1 and np.ptp(row) > 0]
    if len(varying) == 2:
        return float(stats.ttest_ind(first, second, equal_var=False).pvalue)
    if len(varying) == 1:
        constant = second if varying[0] is first else first
        return float(stats.ttest_1samp(varying[0], constant.mean()).pvalue)
    return None


def p_over_both(first: Table, second: Table) -> float:
    """Return the p-value of a t test that takes both seeds and samples as random.

        t = (mean of first - mean of second) / sqrt(v_n + v_s + v_t)

    v_n is the variance of the mean of the paired differences of the samples, v_s and v_t those of
    the two means over the seeds, with the degrees of freedom of Welch and Satterthwaite. A test
    that takes one source as fixed omits its variance and rejects too often. The interaction of seed
    and sample is in each of the three terms, so that this test is conservative (as in Owen, The
    pigeonhole bootstrap, 2007).

    Args:
        first: (s, n) contribution of each sample, for each seed.
        second: (t, n) the same of the other method, for the same samples.

    Example:
        >>> import numpy as np
        >>> p_over_both(np.array([[0.5, 0.7, 0.6]]), np.array([[0.5, 0.7, 0.6]]))
        1.0
    """
    paired = first.mean(axis=0) - second.mean(axis=0)
    drawn = [row for row in (paired, first.mean(axis=1), second.mean(axis=1)) if len(row) > 1]
    squares = np.array([row.var(ddof=1) / len(row) for row in drawn])
    difference, total = abs(paired.mean()), squares.sum()
    if total == 0:
        return 1.0 if difference == 0 else 0.0
    freedom = total**2 / sum(v**2 / (len(row) - 1) for v, row in zip(squares, drawn, strict=True))
    return float(2 * stats.t.sf(difference / np.sqrt(total), freedom))

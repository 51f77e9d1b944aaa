"""Does one row of a comparison differ from another, or could it be chance?

It knows tables of figures, a row for each seed and a column for each sample, and no methods.
"""

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
    """A row against the chosen one.

    Two things could make a difference by chance: the queries and the seeds. Each has a test that
    takes the other for fixed, and a third test takes both for drawn. A difference counts when it
    passes all.
    """

    average: float
    """The average mAP of this row less that of the chosen one."""
    p_queries: float
    """Of the paired randomisation test over the test samples, on the means over the seeds."""
    p_seeds: float | None
    """Of Welch's t test over the seeds; None where neither row varies with the seed."""
    p_both: float
    """Of the t test over samples and seeds together."""
    p: float
    """The largest of them, after Holm's correction for the number of rows."""


def differences(tables: Mapping[str, Table], against: str) -> dict[str, Difference]:
    """Return the difference of every other row from the chosen one.

    Args:
        tables: row -> (s, n) what each sample adds to the figure, for each seed; n is common.
        against: the chosen row.
    """
    chosen = tables[against]
    tests = {}
    for name, table in tables.items():
        if name != against:
            rng = np.random.default_rng(0)
            p_queries = paired_randomization(
                table.mean(axis=0), chosen.mean(axis=0), rng, resamples=RESAMPLES
            )
            tests[name] = (
                p_queries,
                p_over_seeds(table.mean(axis=1), chosen.mean(axis=1)),
                p_over_both(table, chosen),
            )
    adjusted = holm([max(one or 0.0 for one in found) for found in tests.values()])
    return {
        name: Difference(float(tables[name].mean() - chosen.mean()), *found, float(p))
        for (name, found), p in zip(tests.items(), adjusted, strict=True)
    }


def p_over_seeds(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Return the p-value of Welch's t test; against a row without seeds, of the one-sample test.

    Args:
        one: (s,) the figure for each seed.
        other: (t,) that of the other row.

    Returns:
        None where neither varies.
    """
    varying = [row for row in (one, other) if len(row) > 1 and np.ptp(row) > 0]
    if len(varying) == 2:
        return float(stats.ttest_ind(one, other, equal_var=False).pvalue)
    if len(varying) == 1:
        constant = other if varying[0] is one else one
        return float(stats.ttest_1samp(varying[0], constant.mean()).pvalue)
    return None


def p_over_both(one: Table, other: Table) -> float:
    """Return the p-value of a t test that takes seeds and samples for drawn, both at once.

        t = (mean of one - mean of other) / sqrt(v_n + v_s + v_t)

    v_n is the variance of the mean of the paired differences of the samples, v_s and v_t those of
    the two means over the seeds, with the degrees of freedom of Welch and Satterthwaite. A test
    that takes one source for fixed leaves its variance out, and finds differences that are not
    there. What seed and sample do together is in each of the three, so that the test errs on the
    side of no difference (as in Owen, The pigeonhole bootstrap, 2007).

    Args:
        one: (s, n) what each sample adds, for each seed.
        other: (t, n) of the same samples.

    Example:
        >>> import numpy as np
        >>> p_over_both(np.array([[0.5, 0.7, 0.6]]), np.array([[0.5, 0.7, 0.6]]))
        1.0
    """
    paired = one.mean(axis=0) - other.mean(axis=0)
    drawn = [row for row in (paired, one.mean(axis=1), other.mean(axis=1)) if len(row) > 1]
    squares = np.array([row.var(ddof=1) / len(row) for row in drawn])
    difference, total = abs(paired.mean()), squares.sum()
    if total == 0:
        return 1.0 if difference == 0 else 0.0
    freedom = total**2 / sum(v**2 / (len(row) - 1) for v, row in zip(squares, drawn, strict=True))
    return float(2 * stats.t.sf(difference / np.sqrt(total), freedom))

"""Mean ranks of methods over several data sets, with Friedman's test and Nemenyi's difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from commonspace.comparison.compare import ComparisonResult
from commonspace.errors import DataError
from commonspace.tables import Table

__all__ = ["MeanRanks", "mean_ranks"]


@dataclass(frozen=True, repr=False)
class MeanRanks:
    """Mean ranks over data sets; 1 is the best. It prints as a table."""

    ranks: Mapping[str, float]
    """Method -> mean rank, in ascending order."""
    datasets: int
    """Number of data sets."""
    critical_difference: float
    """Mean ranks that differ by less are not significantly different (Nemenyi's test)."""
    friedman_p: float
    """p-value of Friedman's test of equal methods; NaN for two methods or one data set."""

    def to_table(self) -> Table:
        """Return the ranks as a formatted table."""
        note = (
            f"critical difference {self.critical_difference:.2f} (Nemenyi);"
            f" Friedman p {_format_p(self.friedman_p)}"
        )
        rows = [[name, f"{rank:.2f}"] for name, rank in self.ranks.items()]
        return Table(f"mean ranks over {self.datasets} data sets", ["method", "rank"], rows, [note])

    def __repr__(self) -> str:
        """Return the table."""
        return str(self.to_table())

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return self.to_table().to_html()


def mean_ranks(
    results: Sequence[ComparisonResult] | Sequence[Mapping[str, float]], *, alpha: float = 0.05
) -> MeanRanks:
    r"""Rank the methods on each data set by their average mAP, and average the ranks.

    .. math:: CD = q_\alpha \sqrt{\frac{k (k + 1)}{6 N}}

    for k methods on N data sets, where q is the studentized range divided by the square root of 2
    (Demšar: Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, section
    3.2). Tied methods share the mean of their ranks.

    Args:
        results: a comparison for each data set; or method -> mAP for each. Methods without figures
            on one of them are left out.
        alpha: significance level.

    Raises:
        DataError: fewer than two methods have figures on all data sets.

    Example:
        >>> mean_ranks([{"a": 0.9, "b": 0.8}, {"a": 0.7, "b": 0.6}]).ranks
        {'a': 1.0, 'b': 2.0}
    """
    tables = [
        {one.name: one.average.mean for one in result.methods if one.average}
        if isinstance(result, ComparisonResult)
        else dict(result)
        for result in results
    ]
    names = [name for name in (tables[0] if tables else {}) if all(name in one for one in tables)]
    if len(names) < 2:
        raise DataError(
            "mean ranks need two methods with figures on all data sets",
            expected="at least two methods",
            found=", ".join(names) or "none",
            advice="compare the same methods on each data set",
        )
    values = np.array([[table[name] for name in names] for table in tables])
    ranks = stats.rankdata(-values, axis=1)
    k, n = len(names), len(tables)
    q = stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    friedman = stats.friedmanchisquare(*values.T).pvalue if k > 2 and n > 1 else np.nan
    means = dict(zip(names, ranks.mean(axis=0).tolist(), strict=True))
    ordered = dict(sorted(means.items(), key=lambda item: item[1]))
    return MeanRanks(ordered, n, float(q * np.sqrt(k * (k + 1) / (6 * n))), float(friedman))


def _format_p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"

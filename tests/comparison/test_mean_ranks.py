"""Mean ranks: the example of Demšar (2006), ties, and methods that are not everywhere."""

import numpy as np
import pytest
from scipy import stats

from commonspace.comparison import mean_ranks
from commonspace.errors import DataError

C45 = [
    0.763,
    0.599,
    0.954,
    0.628,
    0.882,
    0.936,
    0.661,
    0.583,
    0.775,
    1.000,
    0.940,
    0.619,
    0.972,
    0.957,
]
WITH_M = [
    0.768,
    0.591,
    0.971,
    0.661,
    0.888,
    0.931,
    0.668,
    0.583,
    0.838,
    1.000,
    0.962,
    0.666,
    0.981,
    0.978,
]
WITH_CF = [
    0.771,
    0.590,
    0.968,
    0.654,
    0.886,
    0.916,
    0.609,
    0.563,
    0.866,
    1.000,
    0.965,
    0.614,
    0.9751,
    0.946,
]
BOTH = [
    0.798,
    0.569,
    0.967,
    0.657,
    0.898,
    0.931,
    0.685,
    0.625,
    0.875,
    1.000,
    0.962,
    0.669,
    0.975,
    0.970,
]
DEMSAR = [
    {"C4.5": a, "C4.5+m": b, "C4.5+cf": c, "C4.5+m+cf": d}
    for a, b, c, d in zip(C45, WITH_M, WITH_CF, BOTH, strict=True)
]  # fmt: skip


def test_the_example_of_the_paper() -> None:
    result = mean_ranks(DEMSAR)
    assert result.datasets == 14
    assert result.ranks["C4.5"] == pytest.approx(3.143, abs=0.001)
    assert result.ranks["C4.5+m"] == pytest.approx(2.000, abs=0.001)
    assert result.ranks["C4.5+cf"] == pytest.approx(2.893, abs=0.001)
    assert result.ranks["C4.5+m+cf"] == pytest.approx(1.964, abs=0.001)
    assert list(result.ranks) == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]
    assert result.critical_difference == pytest.approx(1.25, abs=0.005)  # q = 2.569
    assert mean_ranks(DEMSAR, alpha=0.1).critical_difference == pytest.approx(1.12, abs=0.005)
    columns = np.array([list(row.values()) for row in DEMSAR]).T
    assert result.friedman_p == pytest.approx(stats.friedmanchisquare(*columns).pvalue)
    assert "critical difference 1.25" in str(result)
    assert result._repr_html_().count("<tr>") == 5


def test_methods_that_are_not_everywhere_are_left_out() -> None:
    result = mean_ranks([{"a": 0.9, "b": 0.9, "c": 0.1}, {"a": 0.5, "b": 0.6}])
    assert result.ranks == {"b": 1.25, "a": 1.75}
    assert np.isnan(result.friedman_p)
    with pytest.raises(DataError, match="two methods"):
        mean_ranks([{"a": 0.9}, {"b": 0.8}])
    with pytest.raises(DataError, match="two methods"):
        mean_ranks([])

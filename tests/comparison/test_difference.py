"""Significance of differences: against SciPy, and by the rate of false rejections."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from commonspace.comparison.difference import p_over_both, p_over_seeds


def test_without_seeds_it_is_the_paired_t_test() -> None:
    draw = np.random.default_rng(0)
    one = draw.normal(size=(1, 40))
    other = one + draw.normal(0.2, 0.5, (1, 40))
    expected = stats.ttest_rel(one[0], other[0]).pvalue
    assert p_over_both(one, other) == pytest.approx(expected, rel=1e-9)


def test_where_samples_do_not_vary_it_is_welchs_test() -> None:
    draw = np.random.default_rng(1)
    one, other = (np.repeat(draw.normal(size=(s, 1)), 30, axis=1) for s in (6, 9))
    expected = stats.ttest_ind(one[:, 0], other[:, 0], equal_var=False).pvalue
    assert p_over_both(one, other) == pytest.approx(expected, rel=1e-9)


def test_without_any_variance_equal_is_equal_and_other_is_other() -> None:
    half = np.full((3, 4), 0.5)
    assert p_over_both(half, half) == 1.0
    assert p_over_both(half, half + 0.1) < 1e-6
    assert p_over_both(half[:, :1], half[:, :1]) == 1.0


def test_with_both_sources_the_level_is_kept() -> None:
    """Two equal methods: tests that take one source as fixed reject more than twice as often."""
    draw = np.random.default_rng(2)
    seeds, samples, repeats = 10, 100, 1000

    def row() -> NDArray[np.float64]:
        share = draw.normal(0, 1 / np.sqrt(samples), (seeds, samples)) * 0.1
        return draw.normal(0, 1, (1, samples)) + draw.normal(0, 0.3162, (seeds, 1)) + share

    both = apart = 0
    for _ in range(repeats):
        one, other = row(), row()
        both += p_over_both(one, other) < 0.05
        p_seeds = p_over_seeds(one.mean(axis=1), other.mean(axis=1))
        p_samples = stats.ttest_rel(one.mean(axis=0), other.mean(axis=0)).pvalue
        assert p_seeds is not None
        apart += max(p_seeds, p_samples) < 0.05
    assert both / repeats < 0.065  # 5 % and two standard errors
    assert apart / repeats > 0.1

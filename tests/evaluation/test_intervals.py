"""Intervals over seeds and queries against a plain loop and known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.errors import DataError, SettingError
from commonspace.evaluation import bootstrap_interval
from commonspace.evaluation.intervals import crossed_interval, sample_contributions


def naive(values: NDArray[np.float64], resamples: int, seed: int) -> tuple[float, float]:
    """Draw seeds and queries one by one, and take every drawn pair."""
    draw = np.random.default_rng(seed)
    seeds, queries = values.shape
    means = []
    for _ in range(resamples):
        rows = draw.integers(0, seeds, size=(seeds,))
        columns = draw.integers(0, queries, size=(queries,))
        pairs = [(row, column) for row in rows.tolist() for column in columns.tolist()]
        means.append(np.mean([values[pair] for pair in pairs]))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def test_it_agrees_with_drawing_one_by_one() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(4, 1)) + draw.normal(size=(1, 30)) + draw.normal(size=(4, 30))
    found = crossed_interval(values, np.random.default_rng(1), resamples=4000)
    low, high = naive(values, 4000, 2)
    assert found.mean == pytest.approx(values.mean(), abs=1e-12)
    width = high - low
    assert found.low == pytest.approx(low, abs=0.06 * width)
    assert found.high == pytest.approx(high, abs=0.06 * width)


def test_one_seed_is_the_bootstrap_over_queries() -> None:
    values = np.random.default_rng(3).beta(2, 3, 200)
    one = crossed_interval(values[None], np.random.default_rng(4))
    plain = bootstrap_interval(values, np.random.default_rng(5))
    assert one.low == pytest.approx(plain.low, abs=2e-3)
    assert one.high == pytest.approx(plain.high, abs=2e-3)


def test_seeds_that_differ_widen_it() -> None:
    values = np.random.default_rng(6).beta(2, 3, (1, 300)).repeat(5, axis=0)
    same = crossed_interval(values, np.random.default_rng(7))
    moved = values + np.linspace(-0.2, 0.2, 5)[:, None]
    other = crossed_interval(moved, np.random.default_rng(7))
    assert other.mean == pytest.approx(same.mean)
    assert other.high - other.low > 2 * (same.high - same.low)


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 tables whose true mean is 0, about 190 intervals hold it; few seeds cost a little."""
    held = 0
    for trial in range(200):
        draw = np.random.default_rng(trial)
        values = 0.5 * draw.normal(size=(10, 1)) + draw.normal(size=(1, 60))
        found = crossed_interval(values, draw, resamples=400)
        held += found.low <= 0 <= found.high
    assert 176 <= held <= 199


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 4),
    st.integers(1, 12),
    st.integers(0, 2**31),
)
def test_shares_have_the_mean_of_the_means(directions: int, samples: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = draw.random((directions, samples))
    values[draw.random(values.shape) < 0.4] = np.nan
    values[:, draw.integers(samples)] = 0.5  # each direction judges at least one
    found = sample_contributions(values)
    assert found.mean() == pytest.approx(np.mean([np.nanmean(row) for row in values]), abs=1e-12)


def test_what_cannot_be_drawn_from_is_refused() -> None:
    draw = np.random.default_rng(0)
    for values in ([0.5], np.empty((0, 3)), [[0.5, np.nan]]):
        with pytest.raises(DataError, match="have the wrong form"):
            crossed_interval(values, draw)
    for options in ({"resamples": 0}, {"confidence": 1.0}):
        with pytest.raises(SettingError, match="`resamples` must be"):
            crossed_interval([[0.5]], draw, **options)
    with pytest.raises(DataError, match="has no query"):
        sample_contributions([[0.5, 0.5], [np.nan, np.nan]])

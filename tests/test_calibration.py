"""Isotonic calibration against known answers and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from commonspace.calibration import Calibration, fit_calibration
from commonspace.errors import DataError


def test_between_knots_it_is_linear_and_beyond_them_constant() -> None:
    calibration = Calibration((-1.0, 0.0, 2.0), (0.1, 0.3, 0.7))
    scores = [[-9.0, -1.0, -0.5], [1.0, 2.0, 9.0]]
    expected = [[0.1, 0.1, 0.2], [0.5, 0.7, 0.7]]
    np.testing.assert_allclose(calibration(scores), expected)
    assert calibration(np.float32(0.0)).shape == ()


@pytest.mark.parametrize(
    ("scores", "probabilities"),
    [
        ((), ()),
        ((0.0, 1.0), (0.5,)),
        ((1.0, 0.0), (0.1, 0.2)),
        ((0.0, 0.0), (0.1, 0.2)),
        ((0.0, 1.0), (0.2, 0.1)),
        ((0.0, 1.0), (0.2, 1.1)),
        ((0.0, float("nan")), (0.2, 0.3)),
    ],
)
def test_a_map_that_is_not_monotone_is_rejected(
    scores: tuple[float, ...], probabilities: tuple[float, ...]
) -> None:
    with pytest.raises(DataError, match="must be a monotone map") as caught:
        Calibration(scores, probabilities)
    assert caught.value.advice


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=20),
)
def test_it_is_isotonic_regression_with_a_prior_of_one_pair(counts: list[tuple[int, int]]) -> None:
    """Few distinct scores, each in its own bin: scikit-learn is the oracle."""
    x = np.repeat(np.arange(len(counts)), [sum(pair) for pair in counts]).astype(float)
    y = np.concatenate([np.repeat([False, True], pair) for pair in counts]).astype(bool)
    if not y.any() or y.all():
        return
    pooled = IsotonicRegression().fit(x, y).predict(x).round(12)
    pools = [pooled == rate for rate in np.unique(pooled)]
    n = np.array([pool.sum() + 1 for pool in pools])
    with_prior = [(y[pool].sum() + y.mean()) / (pool.sum() + 1) for pool in pools]
    again = IsotonicRegression().fit(np.arange(len(pools)), with_prior, sample_weight=n)
    expected = again.predict(np.arange(len(pools))).round(12)
    fitted = fit_calibration(x, y)
    np.testing.assert_allclose(fitted.probabilities, np.unique(expected), atol=1e-9)
    means = [x[pool].mean() for pool in pools]
    for rate, score in zip(np.unique(expected), fitted.scores, strict=True):
        tied = expected == rate
        assert score == pytest.approx(np.average(np.array(means)[tied], weights=n[tied]))


def test_known_probabilities_are_recovered() -> None:
    """Pairs drawn with a known probability that grows with the score."""
    generator = np.random.default_rng(0)
    x = generator.uniform(-3, 3, 200_000)
    truth = 1 / (1 + np.exp(-2 * x))
    fitted = fit_calibration(x, generator.uniform(size=x.shape) < truth)
    assert np.abs(fitted(x) - truth).mean() < 0.01
    assert np.abs(fitted(x) - truth).max() < 0.05


def test_few_pairs_give_no_certainty() -> None:
    p = fit_calibration([0.0, 1.0], [False, True])([0.0, 1.0])
    np.testing.assert_allclose(p, [0.25, 0.75])


@pytest.mark.parametrize(
    ("scores", "relevant"),
    [
        ([1.0, 2.0], [True, True]),
        ([1.0, 2.0], [False, False]),
        ([1.0, np.nan], [True, False]),
        ([1.0], [True, False]),
        ([], []),
    ],
)
def test_pairs_of_one_relevance_are_rejected(scores: list[float], relevant: list[bool]) -> None:
    with pytest.raises(DataError, match="do not allow a calibration") as caught:
        fit_calibration(scores, relevant)
    assert caught.value.found

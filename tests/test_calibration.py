"""The map from score to probability, against known answers and a solver of isotonic regression."""

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
def test_what_is_no_monotone_map_is_refused(
    scores: tuple[float, ...], probabilities: tuple[float, ...]
) -> None:
    with pytest.raises(DataError, match="no monotone map") as caught:
        Calibration(scores, probabilities)
    assert caught.value.advice


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=20),
)
def test_it_is_isotonic_regression_with_one_pair_of_doubt(counts: list[tuple[int, int]]) -> None:
    """Few distinct scores, each a bin of its own: scikit-learn's solution is the oracle."""
    x = np.repeat(np.arange(len(counts)), [sum(one) for one in counts]).astype(float)
    y = np.concatenate([np.repeat([False, True], one) for one in counts]).astype(bool)
    if not y.any() or y.all():
        return
    pooled = IsotonicRegression().fit(x, y).predict(x).round(12)
    pools = [pooled == rate for rate in np.unique(pooled)]
    n = np.array([pool.sum() + 1 for pool in pools])
    doubtful = [(y[pool].sum() + y.mean()) / (pool.sum() + 1) for pool in pools]
    again = IsotonicRegression().fit(np.arange(len(pools)), doubtful, sample_weight=n)
    expected = again.predict(np.arange(len(pools))).round(12)
    fitted = fit_calibration(x, y)
    np.testing.assert_allclose(fitted.probabilities, np.unique(expected), atol=1e-9)
    places = [x[pool].mean() for pool in pools]
    for rate, score in zip(np.unique(expected), fitted.scores, strict=True):
        one = expected == rate
        assert score == pytest.approx(np.average(np.array(places)[one], weights=n[one]))


def test_probabilities_are_found_again() -> None:
    """Pairs drawn with a known probability that grows with the score."""
    draw = np.random.default_rng(0)
    x = draw.uniform(-3, 3, 200_000)
    truth = 1 / (1 + np.exp(-2 * x))
    fitted = fit_calibration(x, draw.uniform(size=x.shape) < truth)
    assert np.abs(fitted(x) - truth).mean() < 0.01
    assert np.abs(fitted(x) - truth).max() < 0.05


def test_a_handful_of_pairs_gives_no_certainty() -> None:
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
def test_pairs_that_teach_nothing_are_refused(scores: list[float], relevant: list[bool]) -> None:
    with pytest.raises(DataError, match="cannot be fitted") as caught:
        fit_calibration(scores, relevant)
    assert caught.value.found

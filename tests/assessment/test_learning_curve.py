"""The fitted curve: known curves are continued, and the interval holds the truth."""

import numpy as np
import pytest

from commonspace.assessment.learning_curve import fit_learning_curve, subsets
from commonspace.data import Dataset
from commonspace.errors import DataError

LABELS = (100, 200, 400, 800)


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0])
def test_a_power_law_is_continued(exponent: float) -> None:
    n = np.array(LABELS)
    values = 0.9 - 0.3 * (n / 800.0) ** -exponent
    curve = fit_learning_curve(LABELS, np.repeat(values[:, None], 30, axis=1))
    assert curve.predicted == pytest.approx(0.9 - 0.3 * 2**-exponent, abs=0.004)
    assert curve.high - curve.low < 1e-9  # equal queries
    np.testing.assert_allclose(curve.at(LABELS), values, atol=0.004)


def test_a_flat_or_falling_curve_gains_nothing() -> None:
    for values in ([0.7, 0.7, 0.7, 0.7], [0.8, 0.75, 0.72, 0.7]):
        curve = fit_learning_curve(LABELS, np.repeat(np.array(values)[:, None], 5, axis=1))
        assert curve.gain == pytest.approx(0, abs=1e-9)


def test_no_prediction_exceeds_one() -> None:
    values = np.array([0.1, 0.4, 0.7, 0.99])
    curve = fit_learning_curve(LABELS, np.repeat(values[:, None], 5, axis=1))
    assert curve.predicted <= 1
    assert curve.at([10_000]).max() <= 1


def test_the_interval_follows_the_spread_of_the_queries() -> None:
    draw = np.random.default_rng(0)
    means = 0.9 - 0.3 * (np.array(LABELS) / 800.0) ** -0.5
    spread = draw.normal(scale=0.2, size=200)
    values = means[:, None] + spread
    values[:, 3] = np.nan
    curve = fit_learning_curve(LABELS, values)
    kept = np.delete(spread, 3)
    half = 1.96 * kept.std() / np.sqrt(len(kept))
    assert curve.high - curve.low == pytest.approx(2 * half, rel=0.15)
    assert curve.low < curve.predicted < curve.high


def test_one_point_is_no_curve() -> None:
    with pytest.raises(DataError, match="at least two numbers of samples"):
        fit_learning_curve([10], np.ones((1, 3)))


def test_subsets_are_nested_and_keep_every_class(feature_dataset: Dataset) -> None:
    train = feature_dataset.split("train")
    small, large = subsets(train, (0.1, 0.5))
    assert small.labels.sum(axis=0).tolist() == [2, 2, 2, 2]
    assert large.labels.sum(axis=0).tolist() == [5, 5, 5, 5]
    assert set(small.ids) < set(large.ids) < set(train.ids)

"""Intervals and tests against exact enumeration, known laws, and their promised error rates."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.errors import DataError, SettingError
from commonspace.evaluation import (
    bootstrap_interval,
    compare_to,
    holm,
    paired_randomization,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_interval_is_that_of_all_possible_resamples() -> None:
    values = [0.1, 0.9, 0.4, 0.75]
    means = [np.mean(draw) for draw in product(values, repeat=4)]
    expected = np.quantile(means, [0.05, 0.95])
    interval = bootstrap_interval(values, rng(), confidence=0.9, resamples=200_000)
    assert interval.mean == pytest.approx(np.mean(values), rel=1e-15)
    np.testing.assert_allclose([interval.low, interval.high], expected, atol=0.01)


def test_the_interval_of_many_values_is_the_normal_one() -> None:
    values = rng(1).random(2000)
    interval = bootstrap_interval(values, rng(2), resamples=20_000)
    half = 1.96 * values.std() / np.sqrt(2000)
    np.testing.assert_allclose(
        [interval.low, interval.high], [values.mean() - half, values.mean() + half], atol=half / 20
    )


def test_the_interval_covers_as_often_as_it_says() -> None:
    draws = rng(3).random((300, 60))
    intervals = [bootstrap_interval(row, rng(4), resamples=500) for row in draws]
    covered = np.mean([interval.low <= 0.5 <= interval.high for interval in intervals])
    assert 0.90 <= covered <= 0.98


def test_the_same_generator_gives_the_same_interval_and_nan_is_left_out() -> None:
    values = rng(5).random(50)
    first = bootstrap_interval(values, rng(6))
    assert first == bootstrap_interval(values, rng(6)) != bootstrap_interval(values, rng(7))
    assert first == bootstrap_interval([*values, np.nan], rng(6))
    assert first.low < first.mean < first.high


def test_the_p_value_is_that_of_all_possible_exchanges() -> None:
    first, second = rng(8).random(10) + 0.2, rng(9).random(10)
    difference = first - second
    signs = np.array(list(product([1, -1], repeat=10)))
    exact = np.mean(np.abs(signs @ difference) >= abs(difference.sum()) - 1e-12)
    assert 0.01 < exact < 0.9  # a case in which a wrong test would show
    p = paired_randomization(first, second, rng(), resamples=200_000)
    assert p == pytest.approx(exact, abs=0.005)
    assert p == paired_randomization(second, first, rng(), resamples=200_000)


def test_pairing_finds_a_small_difference_that_is_the_same_everywhere() -> None:
    base = rng(1).random(100)
    assert paired_randomization(base + 0.01, base, rng()) == pytest.approx(1 / 10_001)
    assert paired_randomization(base, base, rng()) == 1.0


def test_equal_methods_rarely_differ_significantly() -> None:
    pairs = rng(10).random((400, 2, 40))
    p = np.array([paired_randomization(a, b, rng(11), resamples=200) for a, b in pairs])
    assert 0.02 <= (p <= 0.05).mean() <= 0.09
    assert 0.42 <= (p <= 0.5).mean() <= 0.58


def test_large_samples_are_drawn_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    values, other = rng(12).random(30), rng(13).random(30)
    whole = bootstrap_interval(values, rng()), paired_randomization(values, other, rng())
    monkeypatch.setattr("commonspace.evaluation.intervals._DRAWS", 30 * 7)
    parts = bootstrap_interval(values, rng()), paired_randomization(values, other, rng())
    assert parts[0] == whole[0]
    assert parts[1] == pytest.approx(whole[1], abs=0.02)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_step_by_step(p: list[float]) -> None:
    adjusted = holm(p)
    for place, value in enumerate(p):
        smaller = sorted(range(len(p)), key=lambda i: (p[i], i))
        steps = []
        for j, other in enumerate(smaller):
            steps.append(min(1.0, (len(p) - j) * p[other]))
            if other == place:
                break
        assert adjusted[place] == max(steps)
        assert value <= adjusted[place] <= 1


def test_holm_known() -> None:
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.005]), [0.06, 0.03, 0.06, 0.02])


def test_compare_to() -> None:
    base = rng(14).random(80)
    rows = {
        "chosen": base,
        "better": base + 0.05,
        "worse": base - 0.05,
        "other": base + rng(15).standard_normal(80) * 1e-3,
    }
    table = compare_to("chosen", rows, rng(16), resamples=2000)
    assert list(table) == ["better", "worse", "other"]
    assert table["better"].difference == pytest.approx(0.05)
    assert table["worse"].difference == pytest.approx(-0.05)
    assert [row.adjusted for row in table.values()] == holm([r.p for r in table.values()]).tolist()
    assert table["worse"].adjusted == pytest.approx(3 / 2001)
    assert table["other"].adjusted > 0.05
    assert table == compare_to("chosen", rows, rng(16), resamples=2000)
    assert compare_to("chosen", {"chosen": base}, rng()) == {}


def test_bad_input_is_named() -> None:
    with pytest.raises(DataError, match="not measured on the same queries"):
        paired_randomization([0.5, 0.5], [0.5], rng())
    with pytest.raises(DataError, match="not measured on the same queries"):
        paired_randomization([0.5, np.nan, 0.2], [np.nan, 0.5, 0.2], rng())
    with pytest.raises(DataError, match="values of the queries have the wrong form"):
        bootstrap_interval([], rng())
    with pytest.raises(DataError, match=r"not among the methods(.|\n)*one of a"):
        compare_to("b", {"a": [0.5]}, rng())
    for p in ([0.5, 1.5], [[0.5]], [np.nan]):
        with pytest.raises(DataError, match="p-values have the wrong form"):
            holm(p)
    with pytest.raises(SettingError, match="resamples 0"):
        bootstrap_interval([0.5], rng(), resamples=0)
    with pytest.raises(SettingError, match="confidence 95"):
        bootstrap_interval([0.5], rng(), confidence=95)

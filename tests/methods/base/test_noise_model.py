"""Calibration of scores and beliefs in labels, against known answers and finite differences."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from commonspace.methods.base import noise_model
from commonspace.methods.base.noise_model import clean_labels, fit_temperature

Array = NDArray[np.float64]


def drawn(n: int, c: int, spread: float, seed: int) -> tuple[Array, Array, NDArray[np.intp]]:
    """Return classes that are drawn from known posteriors: logits, their softmax and the draw."""
    draw = np.random.default_rng(seed)
    logits = spread * draw.normal(size=(n, c))
    p = softmax(logits, axis=1)
    return logits, p, (draw.random((n, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)


def test_the_slope_and_the_offsets_are_found_again() -> None:
    logits, p, classes = drawn(20_000, 3, 2.0, 0)
    found = fit_temperature((logits - [0.5, 0.0, -0.5]) / 4, np.eye(3)[classes], multi_label=False)
    assert found.slope == pytest.approx(4, rel=0.03)
    np.testing.assert_allclose(found.offsets - found.offsets.mean(), [0.5, 0, -0.5], atol=0.06)
    assert found.loss == pytest.approx(-(p * np.log(p)).sum(axis=1).mean(), abs=0.02)


def test_independent_classes_are_found_again() -> None:
    draw = np.random.default_rng(1)
    logits = 2 * draw.normal(size=(20_000, 2))
    targets = (draw.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
    found = fit_temperature(logits / 3, targets, multi_label=True)
    assert found.slope == pytest.approx(3, rel=0.03)
    np.testing.assert_allclose(found.offsets, 0, atol=0.06)


def test_scores_that_say_nothing_leave_the_rates_of_the_classes() -> None:
    targets = np.eye(2)[[0] * 30 + [1] * 10]
    found = fit_temperature(np.zeros((40, 2)), targets, multi_label=False)
    np.testing.assert_allclose(softmax(found.offsets), [0.75, 0.25], atol=0.01)


@pytest.mark.parametrize("wrong", [0.0, 0.3, 0.6])
def test_the_share_of_wrong_labels_is_found_and_most_are_put_right(wrong: float) -> None:
    draw = np.random.default_rng(2)
    n, c = 4000, 5
    truth = draw.integers(0, c, n)
    scores = [np.eye(c)[truth] + 0.35 * draw.normal(size=(n, c)) for _ in range(2)]
    labels = np.where(draw.random(n) < wrong, draw.integers(0, c, n), truth)
    found = clean_labels(scores, np.eye(c)[labels])
    assert found.noise == pytest.approx(wrong, abs=0.03)
    np.testing.assert_allclose(found.classes.sum(axis=1), 1)
    assert (found.classes.argmax(axis=1) == truth).mean() > 0.97
    if not wrong:
        np.testing.assert_allclose(found.classes, np.eye(c)[labels], atol=0.02)


def test_many_wrong_labels_are_found_behind_a_lower_maximum() -> None:
    """From few wrong labels and unsure scores alone, the fit would end at no wrong labels."""
    draw = np.random.default_rng(6)
    n, c = 300, 7
    truth = draw.integers(0, c, n)
    wrong = draw.random(n) < 0.8
    labels = np.where(wrong, draw.integers(0, c, n), truth)
    scores = [0.06 * np.eye(c)[truth] + 0.06 * draw.normal(size=(n, c)) for _ in range(2)]
    found = clean_labels(scores, np.eye(c)[labels])
    assert found.noise == pytest.approx(wrong.mean(), abs=0.1)
    assert (labels == truth).mean() < 0.35
    assert (found.classes.argmax(axis=1) == truth).mean() > 0.5


def test_a_modality_that_says_nothing_of_a_sample_leaves_it_to_the_other() -> None:
    """Scores of 0 stand for a modality that is missing."""
    draw = np.random.default_rng(3)
    truth = draw.integers(0, 3, 900)
    scores = np.eye(3)[truth] + 0.3 * draw.normal(size=(900, 3))
    labels = np.eye(3)[np.where(draw.random(900) < 0.3, draw.integers(0, 3, 900), truth)]
    alone, beside = (
        clean_labels([scores], labels),
        clean_labels([scores, np.zeros_like(scores)], labels),
    )
    assert beside.noise == pytest.approx(alone.noise, abs=1e-3)
    np.testing.assert_allclose(beside.classes, alone.classes, atol=5e-3)


def test_the_gradients_are_those_of_the_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Central differences, at a random point beside the start."""
    looked = []

    def checked(
        loss: Callable[[Array], tuple[float, Array]],
        start: Array,
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        point = start + 0.3 * np.random.default_rng(4).normal(size=start.shape)
        steps = 1e-6 * np.eye(len(point))
        slopes = [(loss(point + s)[0] - loss(point - s)[0]) / 2e-6 for s in steps]
        np.testing.assert_allclose(loss(point)[1], slopes, atol=1e-7)
        looked.append(len(point))
        return minimize(loss, start, **options)

    monkeypatch.setattr(noise_model, "minimize", checked)
    draw = np.random.default_rng(5)
    scores, labels = draw.normal(size=(12, 3)), np.eye(3)[draw.integers(0, 3, 12)]
    clean_labels([scores, draw.normal(size=(12, 3))], labels)
    assert looked == [6] * len(noise_model.STARTS)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("kind", ["soft", "hard", "separated", "silent", "opposed", "one class"])
def test_the_temperature_is_the_minimum_that_a_plain_search_finds(
    kind: str, multi_label: bool
) -> None:
    draw = np.random.default_rng(6)
    n, c = 300, 1 if kind == "one class" else 7
    targets = np.eye(c)[draw.integers(0, c, n)]
    scores = targets + 0.5 * draw.normal(size=(n, c))
    if kind == "soft":
        targets = softmax(3 * scores + draw.normal(size=(n, c)), axis=1)
    elif kind == "separated":  # without overlap the best slope is the largest allowed
        scores = targets.copy()
    elif kind == "silent":
        scores = np.zeros((n, c))
    elif kind == "opposed":  # the best slope is the smallest allowed
        scores = -scores

    def loss(packed: Array) -> float:
        logits = np.exp(packed[0]) * scores + packed[1:]
        if multi_label:
            fit = (np.logaddexp(0, logits) - targets * logits).sum() / n
        else:
            fit = -(targets * log_softmax(logits, axis=1)).sum() / n
        return float(fit + noise_model.SHRINKAGE * packed[1:] @ packed[1:])

    bounds = [noise_model.SLOPES, *[(None, None)] * c]
    plain = minimize(
        loss, np.zeros(c + 1), method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-13}
    )
    found = fit_temperature(scores, targets, multi_label=multi_label)
    at = np.append(np.log(found.slope), found.offsets)
    assert found.loss == pytest.approx(loss(at), abs=1e-12)
    assert found.loss <= plain.fun + 1e-8
    nearby = replace(found, slope=0.7 * found.slope, offsets=found.offsets + 0.1)
    again = fit_temperature(scores, targets, multi_label=multi_label, start=nearby)
    assert again.loss == pytest.approx(found.loss, abs=1e-9)

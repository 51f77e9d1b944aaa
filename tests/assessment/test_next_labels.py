"""Samples to label next: uncertain, unlike each other, and never those to skip."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

import commonspace as cs
from commonspace.assessment import propose_labels
from commonspace.assessment.next_labels import RIDGES, _posteriors, _scaled
from commonspace.data.labels import labels_from_names
from commonspace.errors import DataError
from commonspace.methods.base.noise_model import fit_temperature


def made(
    image: Any,  # noqa: ANN401 - arrays or lists
    text: Any,  # noqa: ANN401
    labels: Sequence[Any],
) -> cs.Dataset:
    """Return training samples, some of them without a label."""
    table, names = labels_from_names([*labels], None, "label")
    return cs.Dataset(
        name="few",
        ids=tuple(map(str, range(len(labels)))),
        columns={"image": cs.Features(image), "text": text},
        labels=table,
        class_names=names,
        splits=np.array(["train"] * len(labels)),
    )


def on_a_line(labels: list[str | None], points: list[float]) -> cs.Dataset:
    """Return points on a line, as both modalities."""
    values = np.array(points)[:, None]
    return made(values, cs.Features(values), labels)


def test_the_most_uncertain_comes_first() -> None:
    data = on_a_line(["a", "a", "b", "b", None, None, None], [0, 0.1, 1, 1.1, 0.05, 0.55, 1.05])
    found = propose_labels(data, count=2)
    assert found[0].row == 5
    assert [name for name, _ in found[0].suggestions] in (["a", "b"], ["b", "a"])
    assert sum(share for _, share in found[0].suggestions) == pytest.approx(1)
    assert found[0].given == ()
    assert {one.row for one in found} <= {4, 5, 6}


def test_a_batch_is_diverse() -> None:
    """Of ten copies and one other, equally uncertain, a batch of two has both kinds."""
    draw = np.random.default_rng(0)
    known = np.concatenate([draw.normal(-2, 0.1, (10, 2)), draw.normal(2, 0.1, (10, 2))])
    copies, other = np.tile([3.0, -3.0], (10, 1)), np.array([[-3.0, 3.0]])
    values = np.concatenate([known, copies, other]).astype(np.float32)
    data = made(values, cs.Features(values), ["a"] * 10 + ["b"] * 10 + [None] * 11)
    for seed in range(5):
        rows = {one.row for one in propose_labels(data, count=2, seed=seed)}
        assert 30 in rows
        assert len(rows) == 2


def test_skipped_samples_are_left_out_and_copies_do_not_matter() -> None:
    data = on_a_line(["a", "b", None, None, None], [0, 1, 0.5, 0.5, 0.5])
    skip = np.array([False, False, True, False, False])
    assert {one.row for one in propose_labels(data, skip=skip)} == {3, 4}


def test_without_labels_the_choice_is_by_diversity() -> None:
    data = on_a_line([None] * 6, [0, 0, 0, 0, 0, 9])
    found = propose_labels(data, count=2)
    assert {data.columns["image"].values[one.row, 0] for one in found} == {0, 9}  # type: ignore[attr-defined]
    assert found[0].suggestions == ()


def test_where_all_have_labels_the_contradicted_come_first() -> None:
    draw = np.random.default_rng(0)
    points = np.concatenate([draw.normal(0, 0.1, 20), draw.normal(3, 0.1, 20)])
    labels = ["a"] * 20 + ["b"] * 20
    labels[7] = "b"
    data = on_a_line([*labels], points.tolist())
    found = propose_labels(data)
    assert [one.row for one in found] == [7]
    assert found[0].given == ("b",)
    assert found[0].suggestions[0][0] == "a"
    confirmed = np.arange(40) == 7
    assert propose_labels(data, skip=confirmed) == []


def test_posteriors_of_labeled_samples_are_those_of_fits_without_them() -> None:
    """The closed form against one regression for each sample that is left out."""
    draw = np.random.default_rng(1)
    values = np.concatenate([draw.normal(0, 1, (12, 3)), draw.normal(1, 1, (12, 3))])
    data = made(values, cs.Features(values), ["a"] * 12 + ["b"] * 12)
    X, T = _scaled(data, "image").astype(np.float64), data.labels.astype(np.float64)
    size = float(np.square(X - X.mean(axis=0)).sum())
    left_out = {}
    for ridge in RIDGES:
        predicted = np.empty(T.shape)
        for row in range(len(X)):
            rest = np.delete(np.arange(len(X)), row)
            A, m = X[rest] - X[rest].mean(axis=0), T[rest].mean(axis=0)
            W = np.linalg.solve(A.T @ A + ridge * size * np.eye(X.shape[1]), A.T @ (T[rest] - m))
            predicted[row] = (X[row] - X[rest].mean(axis=0)) @ W + m
        left_out[float(np.square(predicted - T).mean())] = predicted
    best = left_out[min(left_out)]
    fit = fit_temperature(best, T, multi_label=False)
    expected = softmax(fit.slope * best + fit.offsets, axis=1)
    found = _posteriors(_scaled(data, "image"), data.labels, np.ones(24, bool), draw)
    assert found == pytest.approx(expected, abs=2e-4)


def test_several_classes_and_missing_modalities_are_supported() -> None:
    draw = np.random.default_rng(0)
    text = cs.Features(draw.normal(size=(12, 3)), np.arange(12) != 3)
    labels: list[Any] = [["a", "b"], ["a"], ["b"], ["c"], ["a", "c"], ["b"]] + [None] * 6
    data = made(draw.normal(size=(12, 4)), text, labels)
    found = propose_labels(data, count=3)
    assert len({one.row for one in found}) == 3
    assert all(0 <= share <= 1 for one in found for _, share in one.suggestions)


def test_raw_columns_are_refused() -> None:
    data = made(np.ones((2, 2)), cs.Texts([("a",), ("b",)]), ["x", "y"])
    with pytest.raises(DataError, match="not made of features"):
        propose_labels(data)

"""Spread and agreed labels against plain loops, and the choice among them on validation."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.callbacks import Callbacks
from commonspace.data import Dataset, Features
from commonspace.methods.base import label_graph, pseudo_labels
from commonspace.methods.base.kernel_posteriors import fit_kernel_posteriors
from commonspace.methods.base.pseudo_labels import (
    agreed_labels,
    spread_labels,
    taught_by_unlabeled,
)


def few_labels(n: int = 90, labeled: int = 2, classes: int = 3) -> tuple[Dataset, NDArray[np.intp]]:
    """Return clusters in two modalities with few labels a class, and all classes."""
    draw = np.random.default_rng(4)
    numbers = np.arange(n) % classes
    labels = np.eye(classes, dtype=bool)[numbers]
    labels[classes * labeled :] = False
    data = Dataset(
        name="few",
        ids=tuple(map(str, range(n))),
        columns={
            name: Features(
                (2 * draw.normal(size=(classes, 6))[numbers] + draw.normal(size=(n, 6))).astype(
                    "f4"
                )
            )
            for name in ("image", "text")
        },
        labels=labels,
        class_names=tuple("abc"[:classes]),
        splits=np.full(n, "train"),
    )
    return data, numbers


def naive(data: Dataset) -> NDArray[np.float64]:
    n = len(data)
    W = np.zeros((n, n))
    for column in data.columns.values():
        assert isinstance(column, Features)
        X = column.values.astype(np.float64)
        X = X - X.mean(axis=0)
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        A = np.zeros((n, n))
        for row in range(n):
            cosines = {other: float(X[row] @ X[other]) for other in range(n) if other != row}
            for other in sorted(cosines, key=lambda one: -cosines[one])[:10]:
                A[row, other] = max(cosines[other], 0)
        W += np.maximum(A, A.T)
    d = W.sum(axis=1)
    S = W / np.sqrt(d[:, None] * d)
    Y = data.labels / data.labels.sum(axis=0)
    F: NDArray[np.float64] = Y.astype(np.float64)
    for _ in range(60):
        F = 0.95 * S @ F + 0.05 * Y
    F *= data.labels.sum(axis=0) / F.sum(axis=0)
    F /= F.sum(axis=1, keepdims=True)
    known = data.labels.any(axis=1)
    F[known] = data.labels[known]
    return F


def test_labels_spread_as_in_a_plain_loop() -> None:
    data, classes = few_labels()
    found = spread_labels(data)
    np.testing.assert_allclose(found, naive(data), atol=1e-4)
    assert (found.argmax(axis=1) == classes).mean() > 0.9


def test_labels_stay_and_others_sum_to_one() -> None:
    data, _ = few_labels()
    found = spread_labels(data)
    known = data.labels.any(axis=1)
    assert (found[known] == data.labels[known]).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_sample_may_lack_a_modality() -> None:
    data, classes = few_labels()
    column = data.columns["image"]
    assert isinstance(column, Features)
    present = np.arange(len(data)) % 2 == 0
    image = Features(column.values, present)
    found = spread_labels(replace(data, columns={**data.columns, "image": image}))
    assert (found.argmax(axis=1) == classes)[~present].mean() > 0.8


def test_classes_keep_the_shares_of_the_labels() -> None:
    """Twice as many labels of a class make it about twice as frequent among uncertain samples."""
    draw = np.random.default_rng(0)
    x = Features(draw.normal(size=(300, 5)))
    labels = np.zeros((300, 2), dtype=bool)
    labels[:40, 0], labels[40:60, 1] = True, True
    data = Dataset(
        name="noise",
        ids=tuple(map(str, range(300))),
        columns={"image": x, "text": x},
        labels=labels,
        class_names=("a", "b"),
        splits=np.full(300, "train"),
    )
    mean = spread_labels(data)[60:].mean(axis=0)
    assert 0.55 < mean[0] < 0.78


def test_of_too_many_samples_some_stay_unlabeled(monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = few_labels()
    monkeypatch.setattr(pseudo_labels, "MOST", 50)
    monkeypatch.setattr(label_graph, "ROWS", 16)
    found = spread_labels(data)
    assert (found.sum(axis=1) > 0).sum() == 50
    assert found[:6].tolist() == data.labels[:6].tolist()


def test_modalities_agree_as_in_a_plain_loop() -> None:
    data, _ = few_labels(n=24, labeled=3)
    image = data.columns["image"]
    assert isinstance(image, Features)
    present = np.arange(24) != 20
    data = replace(data, columns={**data.columns, "image": Features(image.values, present)})
    kernels = fit_kernel_posteriors(data, multi_label=False, seed=0)
    prior = np.array([6.0, 3.0, 3.0])
    found = agreed_labels(kernels, data, prior)
    for row in range(24):
        expected = prior / 12
        for name, machine in kernels.machines.items():
            column = data.columns[name]
            assert isinstance(column, Features)
            if column.present[row]:
                p = machine.posteriors(column.values[row : row + 1], multi_label=False)[0]
                expected = expected * p / (prior / 12)
        if data.labels[row].any():
            expected = data.labels[row].astype(np.float64)
        np.testing.assert_allclose(found[row], expected / expected.sum(), atol=1e-9)


def test_a_class_without_a_label_stays_finite() -> None:
    data, _ = few_labels(n=24, labeled=3)
    kernels = fit_kernel_posteriors(data, multi_label=False, seed=0)
    found = agreed_labels(kernels, data, np.array([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("figures", "fits", "kept"),
    [
        ([0.5, 0.4, 0.45, 0.44], 3, None),  # nothing beats the labels
        ([0.5, 0.6, 0.55, 0.6], 3, 0),  # neighbors in the features
        ([0.5, 0.6, 0.7, 0.69], 3, 1),  # neighbors in the space of the pairs
        ([0.5, 0.4, 0.45, 0.6, 0.7, 0.65], 5, 3),  # agreement, fitted twice
        ([0.5, 0.6, 0.7, 0.8, 0.9, 0.95], 5, 4),  # no more than three times
    ],
)
def test_validation_chooses_among_pseudo_labels(
    figures: list[float], fits: int, kept: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = few_labels(n=60)
    start = fit_kernel_posteriors(data, multi_label=False, seed=0)
    fitted = []

    def fit(*_: object, **settings: object) -> object:
        fitted.append(replace(start, targets=settings["targets"]))  # type: ignore[arg-type]
        return fitted[-1]

    values = iter(figures)
    monkeypatch.setattr(pseudo_labels, "fit_kernel_posteriors", fit)
    monkeypatch.setattr(pseudo_labels, "validation_map", lambda *_: next(values))
    found = taught_by_unlabeled(
        start, data, data, seed=0, callbacks=Callbacks(), pair_vectors=lambda: data
    )
    assert len(fitted) == fits
    assert found is (None if kept is None else fitted[kept])


def test_the_space_of_the_pairs_is_trained_only_for_samples_without_a_label() -> None:
    data, classes = few_labels(n=60)
    data = replace(data, labels=np.eye(3, dtype=bool)[classes])
    kernels = fit_kernel_posteriors(data, multi_label=False, seed=0)

    def refuse() -> Dataset:
        raise AssertionError

    found = taught_by_unlabeled(
        kernels, data, data, seed=0, callbacks=Callbacks(), pair_vectors=refuse
    )
    assert found is None

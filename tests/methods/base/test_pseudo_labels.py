"""Spread labels against a plain loop, with missing modalities, and with too many samples."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.data import Dataset, Features
from commonspace.methods.base import pseudo_labels
from commonspace.methods.base.pseudo_labels import spread_labels


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
    monkeypatch.setattr(pseudo_labels, "ROWS", 16)
    found = spread_labels(data)
    assert (found.sum(axis=1) > 0).sum() == 50
    assert found[:6].tolist() == data.labels[:6].tolist()

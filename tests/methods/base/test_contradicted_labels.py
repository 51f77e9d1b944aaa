"""Classes of neighbors, and when they replace the labels."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

import commonspace as cs
from commonspace.callbacks import Callbacks
from commonspace.data import Dataset, Features
from commonspace.methods.base import contradicted_labels
from commonspace.methods.base.contradicted_labels import (
    classes_of_neighbors,
    relabeled_by_neighbors,
)
from commonspace.methods.base.kernel_posteriors import KernelPosteriors, fit_kernel_posteriors
from commonspace.methods.base.label_graph import neighbor_graph


def drawn(
    right: float, distance: float = 1.6, n: int = 420, c: int = 6
) -> tuple[Dataset, NDArray[np.intp]]:
    """Return clusters in two modalities, a share of the labels right, and the true classes.

    Args:
        right: Probability that a label is not drawn from all classes.
        distance: Of the centers from zero, in standard deviations.
        n: Number of samples.
        c: Number of classes.
    """
    draw = np.random.default_rng(7)
    truth = np.arange(n) % c
    labels = np.where(draw.random(n) < right, truth, draw.integers(0, c, n))
    columns = {}
    for name in ("image", "text"):
        centers = draw.normal(size=(c, 8))
        centers *= distance * np.sqrt(8) / np.linalg.norm(centers, axis=1, keepdims=True)
        columns[name] = Features((centers[truth] + draw.normal(size=(n, 8))).astype("f4"))
    data = Dataset(
        name="drawn",
        ids=tuple(map(str, range(n))),
        columns=columns,
        labels=np.eye(c, dtype=bool)[labels],
        class_names=tuple("abcdef"[:c]),
        splits=np.full(n, "train"),
    )
    return data, truth


def relabeled(data: Dataset) -> KernelPosteriors | None:
    kernels = fit_kernel_posteriors(data, multi_label=False, seed=0)
    return relabeled_by_neighbors(kernels, data, seed=0, callbacks=Callbacks())


def test_the_label_of_a_sample_does_not_come_back_to_it() -> None:
    data, _ = drawn(0.3, n=120)
    columns = [one for one in data.columns.values() if isinstance(one, Features)]
    graph = neighbor_graph(columns, np.arange(len(data)))
    labels = data.labels.astype(float)
    before = classes_of_neighbors(graph, labels, seed=0)
    for row in (0, 50, 119):
        for other in range(6):
            changed = labels.copy()
            changed[row] = np.eye(6)[other]
            assert classes_of_neighbors(graph, changed, seed=0)[row] == before[row]


def test_a_sample_that_nothing_reaches_has_no_class() -> None:
    data, _ = drawn(0.3, n=60)
    columns = [one for one in data.columns.values() if isinstance(one, Features)]
    graph = neighbor_graph(columns, np.arange(60)).tolil()
    graph[5] = 0
    graph[:, 5] = 0
    found = classes_of_neighbors(scipy.sparse.csr_matrix(graph), data.labels.astype(float), seed=1)
    assert np.flatnonzero(found < 0).tolist() == [5]


def test_most_labels_wrong_are_replaced_and_most_are_then_right() -> None:
    data, truth = drawn(0.15)
    given = data.labels.argmax(axis=1)
    assert (given == truth).mean() < 0.35
    found = relabeled(data)
    assert found is not None
    targets = found.targets.argmax(axis=1)
    assert (targets == truth).mean() > 0.8
    assert found.noise == pytest.approx((targets != given).mean())
    np.testing.assert_array_equal(np.sort(found.targets, axis=1)[:, -1], 1)


@pytest.mark.parametrize(
    ("right", "distance"),
    [(1.0, 1.6), (0.6, 1.6), (1.0, 0.25), (0.0, 0.0)],
    ids=["right", "some wrong", "features say little", "features say nothing"],
)
def test_labels_that_are_not_contradicted_stay(right: float, distance: float) -> None:
    data, _ = drawn(right, distance)
    assert relabeled(data) is None


def test_features_that_are_all_equal_say_nothing() -> None:
    data, _ = drawn(0.15)
    ones = {name: Features(np.ones((len(data), 3), dtype="f4")) for name in data.columns}
    assert relabeled(replace(data, columns=ones)) is None


def test_few_many_and_one_modality_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = drawn(0.15)
    kernels = fit_kernel_posteriors(data, multi_label=False, seed=0)
    alone = replace(data, columns={"image": data.columns["image"]})
    options = {"seed": 0, "callbacks": Callbacks()}
    assert relabeled_by_neighbors(kernels, alone, **options) is None  # type: ignore[arg-type]
    monkeypatch.setattr(contradicted_labels, "MOST", len(data) - 1)
    assert relabeled_by_neighbors(kernels, data, **options) is None  # type: ignore[arg-type]
    few, _ = drawn(0.15, n=6 * 7)
    assert relabeled(few) is None


def test_samples_without_a_label_or_a_modality_stay_without() -> None:
    data, truth = drawn(0.15)
    labels = data.labels.copy()
    labels[::10] = False
    image = data.columns["image"]
    assert isinstance(image, Features)
    present = np.arange(len(data)) % 4 != 1
    columns = {**data.columns, "image": Features(image.values, present)}
    found = relabeled(replace(data, labels=labels, columns=columns))
    assert found is not None
    known = labels.any(axis=1)
    assert not found.targets[~known].any()
    assert (found.targets.argmax(axis=1) == truth)[known].mean() > 0.7


def test_a_fit_with_most_labels_wrong_ranks_by_the_true_classes() -> None:
    data, truth = drawn(0.15, n=600)
    splits = np.repeat(["train", "validation", "test"], [420, 60, 120])
    labels = data.labels.copy()
    labels[splits == "test"] = np.eye(6, dtype=bool)[truth[splits == "test"]]
    data = replace(data, labels=labels, splits=splits)
    method = cs.PosteriorMatching(epochs=4, hidden_dim=32, embedding_dim=8, device="cpu")
    space = method.fit(data, run=cs.RunConfig(callbacks=()))
    assert cs.evaluate(space, data.split("test"))["average"]["map"] > 0.6
    assert space.provenance["posteriors"]["label_noise"] > 0.5

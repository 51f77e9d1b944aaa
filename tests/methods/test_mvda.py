"""MvDA against its definition, sample by sample, and on classes that can be separated."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.errors import DataError, SettingError
from commonspace.methods import MvDA
from commonspace.methods.base.views import View, labeled_views, paired_views, shrink
from commonspace.methods.mvda import (
    RIDGE,
    consistency_penalty,
    discriminant_directions,
    multiview_scatters,
)

Array = NDArray[np.float64]

QUIET = cs.RunConfig()


def unpaired(data: Dataset, *, several: bool) -> Dataset:
    """Return the data with gaps of its own in each modality, and with second labels or not."""
    labels = data.labels.copy()
    if several:
        labels[::3, 0] = True
    rows = np.arange(len(data))
    columns = {
        name: Features(column.values, rows % 5 != place)  # type: ignore[attr-defined]
        for place, (name, column) in enumerate(data.columns.items())
    }
    return replace(data, labels=labels, columns=columns)


@pytest.mark.parametrize("several", [False, True])
def test_scatters_equal_the_definition(several: bool, three_modalities: Dataset) -> None:
    """The form w'Sw is the scatter of projections, over the samples of all modalities."""
    views = labeled_views(unpaired(three_modalities.split("train"), several=several))
    S_W, H = multiview_scatters(views)
    assert len({len(view.values) for view in views.values()}) == 1
    draw = np.random.default_rng(0)
    for _ in range(3):
        w = draw.normal(size=len(S_W))
        parts = np.split(w, np.cumsum([view.rank for view in views.values()])[:-1])
        marks = [
            (float(row @ part), c)
            for view, part in zip(views.values(), parts, strict=True)
            for row, classes in zip(view.values, view.labels, strict=True)
            for c in np.flatnonzero(classes)
        ]
        y, c = np.array([one for one, _ in marks]), np.array([k for _, k in marks])
        means = {k: y[c == k].mean() for k in set(c.tolist())}
        within = np.mean([(one - means[k]) ** 2 for one, k in zip(y, c.tolist(), strict=True)])
        between = np.mean([(means[k] - y.mean()) ** 2 for k in c.tolist()])
        assert w @ S_W @ w == pytest.approx(within)
        assert np.square(H.T @ w).sum() == pytest.approx(between)


def test_directions_solve_the_eigenproblem() -> None:
    draw = np.random.default_rng(1)
    half, H = draw.normal(size=(8, 8)), draw.normal(size=(8, 3))
    S_W = half @ half.T
    W = discriminant_directions(S_W, H)
    rho, V = scipy.linalg.eigh(H @ H.T, S_W)
    assert W.shape == (8, 3)
    np.testing.assert_allclose(W.T @ S_W @ W, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(W.T @ H @ H.T @ W, np.diag(rho[::-1][:3]), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(np.abs(V[:, ::-1][:, :3].T @ S_W @ W), np.eye(3), atol=1e-7)


def test_the_space_has_a_dimension_less_than_classes(three_modalities: Dataset) -> None:
    space = MvDA().fit(three_modalities.split("train"), three_modalities.split("validation"), QUIET)
    assert space.dimension == len(three_modalities.class_names) - 1


def slow_penalty(views: dict[str, View], w: Array) -> float:
    """Express each direction by samples, X beta = w as ridge regression does, and compare."""
    betas = []
    parts = np.split(w, np.cumsum([view.rank for view in views.values()])[:-1])
    for view, part in zip(views.values(), parts, strict=True):
        X = view.values.T
        ridge = RIDGE * np.trace(X.T @ X) * np.eye(X.shape[0])
        betas.append(X.T @ np.linalg.solve(X @ X.T + ridge, part))
    total = 0.0
    for i in range(len(betas)):
        for j in range(i):
            total += float(np.square(betas[i] - betas[j]).sum())
    return total * len(betas[0])


def test_consistency_equals_the_definition(three_modalities: Dataset) -> None:
    views = paired_views(three_modalities.split("train"))
    M = consistency_penalty(views)
    draw = np.random.default_rng(2)
    for _ in range(3):
        w = draw.normal(size=len(M))
        assert w @ M @ w == pytest.approx(slow_penalty(views, w))
    one = views["image"]
    same = np.tile(draw.normal(size=one.rank), 2)
    twice = consistency_penalty({"a": one, "b": one})
    assert same @ twice @ same == pytest.approx(0, abs=1e-9)


def test_the_eigenproblem_has_the_penalty_below(three_modalities: Dataset) -> None:
    train = three_modalities.split("train")
    method = MvDA(consistency=0.01, regularization=0.2)
    space = method.fit(train, three_modalities.split("validation"), QUIET)
    views = paired_views(train)
    S_W, H = multiview_scatters(views)
    below = shrink(S_W, 0.2) + 0.01 * consistency_penalty(views)
    _, V = scipy.linalg.eigh(H @ H.T, below, subset_by_index=(len(below) - 3, len(below) - 1))
    parts = np.split(V, np.cumsum([view.rank for view in views.values()])[:-1])
    embedded = space.embed_dataset(train)
    expected = {}
    for (name, view), part in zip(views.items(), parts, strict=True):
        u = view.values @ part
        expected[name] = u / np.linalg.norm(u, axis=1, keepdims=True)
    for one in views:
        for other in views:
            np.testing.assert_allclose(
                embedded[one].vectors @ embedded[other].vectors.T,
                expected[one] @ expected[other].T,
                atol=1e-4,
            )


def test_consistency_takes_complete_samples_and_plain_mvda_takes_all(
    three_modalities: Dataset,
) -> None:
    """Changing a sample that lacks a modality changes the one and not the other."""
    train, validation = three_modalities.split("train"), three_modalities.split("validation")
    rows = np.arange(len(train))
    spaces = []
    for shift in (0.0, 5.0):
        values = train.columns["image"].values + shift * (rows == 4)[:, None]  # type: ignore[attr-defined]
        there = train.columns["type"].values  # type: ignore[attr-defined]
        columns = {
            **train.columns,
            "image": Features(values),
            "type": Features(there, rows != 4),
        }
        part = replace(train, columns=columns)
        spaces.append(
            [
                MvDA(consistency=v, regularization=0.1).fit(part, validation, QUIET)
                for v in (0.0, 1e-4)
            ]
        )
    x = validation.columns["image"]
    (plain, consistent), (other_plain, other_consistent) = spaces
    assert np.abs(plain.embed("image", x) - other_plain.embed("image", x)).max() > 1e-3
    np.testing.assert_array_equal(consistent.embed("image", x), other_consistent.embed("image", x))


def test_separable_classes_are_separated() -> None:
    """Each modality hides the class among directions of a hundred times its size."""
    draw = np.random.default_rng(3)
    n = 180
    classes = np.arange(n) % 3
    columns = {}
    for name, noisy in (("one", 4), ("two", 7)):
        told = np.eye(3)[classes] + 0.02 * draw.normal(size=(n, 3))
        whole = np.hstack([told, 100 * draw.normal(size=(n, noisy))])
        columns[name] = Features(whole @ draw.normal(size=(3 + noisy, 3 + noisy)))
    data = Dataset(
        name="apart",
        ids=tuple(map(str, range(n))),
        columns=columns,
        labels=np.eye(3, dtype=bool)[classes],
        class_names=("a", "b", "c"),
        splits=np.array(["train", "validation", "test"])[np.arange(n) // 3 % 3],
    )
    space = MvDA(regularization=0.0).fit(data.split("train"), data.split("validation"), QUIET)
    assert cs.evaluate(space, data.split("test"))["average"]["map"] > 0.99


def test_one_class_is_refused(feature_dataset: Dataset) -> None:
    train = feature_dataset.split("train")
    labels = np.zeros_like(train.labels)
    labels[:, 2] = True
    with pytest.raises(DataError, match="too few classes"):
        MvDA().fit(replace(train, labels=labels), feature_dataset.split("validation"), QUIET)


def test_fewer_samples_than_features_need_regularisation(feature_dataset: Dataset) -> None:
    few = feature_dataset.split("train").take(np.arange(6))
    with pytest.raises(SettingError, match="singular"):
        MvDA(regularization=0.0).fit(few, feature_dataset.split("validation"), QUIET)
    MvDA(regularization=0.1).fit(few, feature_dataset.split("validation"), QUIET)


@pytest.mark.parametrize(
    ("option", "value"),
    [("consistency", -1.0), ("consistency", float("nan")), ("regularization", 1.1)],
)
def test_invalid_settings_are_refused(option: str, value: float) -> None:
    with pytest.raises(SettingError, match=option):
        MvDA(**{option: value})

"""GMLDA against the eigenproblem in features, its scatters against loops over samples."""

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data import Dataset
from commonspace.errors import DataError, SettingError
from commonspace.methods import GMA
from commonspace.methods.base.views import View, paired_views
from commonspace.methods.gma import Alignment, class_scatters, multiview_directions

Array = NDArray[np.float64]

QUIET = cs.RunConfig()


def slow_scatters(Z: Array, labels: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Add up samples one by one; a sample of several classes counts in each."""
    marks = [(row, c) for row in range(len(Z)) for c in np.flatnonzero(labels[row])]
    classes = sorted({c for _, c in marks})
    means = {c: np.mean([Z[row] for row, k in marks if k == c], axis=0) for c in classes}
    centre = np.mean([Z[row] for row, _ in marks], axis=0)
    within = np.mean([np.outer(Z[row] - means[c], Z[row] - means[c]) for row, c in marks], axis=0)
    between = np.mean([np.outer(means[c] - centre, means[c] - centre) for _, c in marks], axis=0)
    return within, between, np.array([means[c] for c in classes])


@pytest.mark.parametrize("several", [False, True])
def test_scatters_equal_loops(several: bool) -> None:
    draw = np.random.default_rng(0)
    labels = np.eye(5, dtype=bool)[draw.integers(0, 4, size=30)]  # the fifth class has no sample
    if several:
        labels |= draw.random((30, 5)) < [0.3, 0.3, 0.3, 0.3, 0]
    Z = draw.normal(size=(30, 3))
    found = class_scatters(View(np.zeros(3), np.eye(3), Z, labels))
    within, between, means = slow_scatters(Z, labels)
    np.testing.assert_allclose(found.within, within, atol=1e-12)
    np.testing.assert_allclose(found.between, between, atol=1e-12)
    np.testing.assert_allclose(found.means, means, atol=1e-12)


def oracle(
    columns: list[Array], labels: NDArray[np.bool_], alpha: float, r: float, alignment: Alignment
) -> list[Array]:
    """Build A and B of the docstring over features, and solve A v = rho B v."""
    scaled = [X - X.mean(axis=0) for X in columns]
    scaled = [X / np.sqrt(np.square(X).sum() / len(X)) for X in scaled]
    parts = [slow_scatters(X, labels) for X in scaled]
    B, A = [], []
    for within, _, _ in parts:
        shrunken = (1 - r) * within + r * np.trace(within) / len(within) * np.eye(len(within))
        B.append(shrunken * np.trace(parts[0][0]) / np.trace(within))
    for i, (_, between, means) in enumerate(parts):
        row = []
        for j, (_, _, others) in enumerate(parts):
            if i == j:
                row.append(between)
            elif alignment == "samples":
                row.append(alpha * scaled[i].T @ scaled[j] / len(scaled[i]))
            else:
                row.append(alpha * means.T @ others / len(means))
        A.append(row)
    _, V = scipy.linalg.eigh(np.block(A), scipy.linalg.block_diag(*B))
    ends = np.cumsum([X.shape[1] for X in columns])[:-1]
    return [X @ v for X, v in zip(scaled, np.split(V[:, ::-1], ends), strict=True)]


@pytest.mark.parametrize("alignment", ["samples", "means"])
@pytest.mark.parametrize(("alpha", "r"), [(1.0, 0.1), (10.0, 0.5)])
def test_projections_equal_those_of_the_eigenproblem_in_features(
    alpha: float, r: float, alignment: Alignment, three_modalities: Dataset
) -> None:
    train = three_modalities.split("train")
    columns = [column.values.astype(np.float64) for column in train.columns.values()]  # type: ignore[attr-defined]
    expected = [u[:, :3] for u in oracle(columns, train.labels, alpha, r, alignment)]
    expected = [u / np.linalg.norm(u, axis=1, keepdims=True) for u in expected]
    method = GMA(alpha=alpha, regularization=r, dimension=3, alignment=alignment)
    space = method.fit(train, three_modalities.split("validation"), QUIET)
    found = [part.vectors for part in space.embed_dataset(train).values()]
    for i in range(3):
        for j in range(3):
            np.testing.assert_allclose(
                found[i] @ found[j].T, expected[i] @ expected[j].T, atol=1e-4
            )


def test_directions_keep_the_constraint(feature_dataset: Dataset) -> None:
    """Each direction has v'Bv = 1, two have v'Bw = 0, for B without regularisation."""
    views = paired_views(feature_dataset.split("train"))
    V = multiview_directions(views, 1.0, 0.0, "samples")
    withins = [class_scatters(view).within for view in views.values()]
    first = np.trace(withins[0])
    B = scipy.linalg.block_diag(*(one * first / np.trace(one) for one in withins))
    np.testing.assert_allclose(V.T @ B @ V, np.eye(V.shape[1]), atol=1e-9)


def test_classes_of_equal_samples_are_refused() -> None:
    Z = np.repeat(np.eye(3) - 1 / 3, 2, axis=0)
    labels = np.repeat(np.eye(3, dtype=bool), 2, axis=0)
    with pytest.raises(DataError, match="do not differ"):
        class_scatters(View(np.zeros(3), np.eye(3), Z, labels))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("alpha", 0.0),
        ("alpha", float("inf")),
        ("regularization", -1.0),
        ("dimension", 0),
        ("alignment", "pairs"),
    ],
)
def test_invalid_settings_are_refused(option: str, value: object) -> None:
    options: dict[str, object] = {option: value}
    with pytest.raises(SettingError, match=option) as caught:
        GMA(**options)  # type: ignore[arg-type]
    assert caught.value.found == repr(value)

"""JRL: its equations against the objective sample by sample, its solution against optimality."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.errors import SettingError
from commonspace.methods import JRL
from commonspace.methods.base.views import standardize_features
from commonspace.methods.jrl import neighbor_graph, normal_equations, solve_sparse

Array = NDArray[np.float64]

QUIET = cs.RunConfig()


def slow_graph(X: Array, k: int) -> Array:
    n = len(X)
    W = np.zeros((n, n))
    for i in range(n):
        distances = [(float(np.square(X[i] - X[j]).sum()), j) for j in range(n) if j != i]
        for _, j in sorted(distances)[:k]:
            W[i, j] = W[j, i] = 1
    return W


@pytest.mark.parametrize(("n", "k"), [(2, 1), (30, 1), (30, 4), (30, 29), (5, 100), (1100, 3)])
def test_the_graph_equals_a_loop(n: int, k: int) -> None:
    X = np.random.default_rng(0).normal(size=(n, 3))
    found = neighbor_graph(X, k).toarray()
    expected = slow_graph(X, k) if n < 100 else slow_rows(X, k)
    np.testing.assert_array_equal(found, expected)


def slow_rows(X: Array, k: int) -> Array:
    """Do the same with one row of distances at a time: over 1024 samples, which come in blocks."""
    W = np.zeros((len(X), len(X)))
    for i in range(len(X)):
        nearest = np.argsort(np.square(X - X[i]).sum(axis=1))[1 : k + 1]
        W[i, nearest] = W[nearest, i] = 1
    return W


def gappy(three_modalities: Dataset) -> Dataset:
    """Return the training part with gaps, and with samples that have no label or two."""
    part = three_modalities.split("train")
    rows = np.arange(len(part))
    columns = {
        name: Features(column.values, rows % 7 != place)  # type: ignore[attr-defined]
        for place, (name, column) in enumerate(part.columns.items())
    }
    labels = part.labels.copy()
    labels[::4] = False
    labels[1::8, 2] = True
    return replace(part, columns=columns, labels=labels)


def objective(
    part: Dataset, P: dict[str, Array], graph: float, correlation: float, k: int
) -> float:
    """Add up the smooth terms of the docstring, sample by sample and pair by pair."""
    total, projected = 0.0, {}
    for name, column in part.columns.items():
        rows = np.flatnonzero(column.present)
        values = column.values[rows].astype(np.float64)  # type: ignore[attr-defined]
        Z = (values - values.mean(axis=0)) / values.std(axis=0)
        projected[name] = {int(row): z @ P[name] for row, z in zip(rows, Z, strict=True)}
        for row, u in projected[name].items():
            if part.labels[row].any():
                total += float(np.square(u - part.labels[row]).sum())
        W = slow_graph(Z, k)
        degree = W.sum(axis=1)
        us = [u / np.sqrt(d) for u, d in zip(projected[name].values(), degree, strict=True)]
        for i in range(len(us)):  # tr(U'LU) is half the weighted sum over ordered pairs
            for j in range(len(us)):
                total += graph * 0.5 * W[i, j] * float(np.square(us[i] - us[j]).sum())
    names = list(P)
    for a in range(len(names)):
        for b in range(a):
            for row in set(projected[names[a]]) & set(projected[names[b]]):
                gap = projected[names[a]][row] - projected[names[b]][row]
                total += correlation * float(np.square(gap).sum())
    return total / len(part)


def test_the_equations_are_those_of_the_objective(three_modalities: Dataset) -> None:
    part = gappy(three_modalities)
    columns = {
        name: standardize_features(part, name, np.flatnonzero(column.present))
        for name, column in part.columns.items()
    }
    found = normal_equations(part, columns, 0.7, 3)
    known = part.labels.any(axis=1)
    constant = sum(
        part.labels[column.present & known].sum() for column in part.columns.values()
    ) / len(part)
    draw = np.random.default_rng(0)
    ends = np.cumsum([len(one.mean) for one in columns.values()])[:-1]
    for graph in (0.0, 2.5):
        P = draw.normal(size=found.right.shape)
        smooth = np.vdot(P, (found.fit + graph * found.graph) @ P) - 2 * np.vdot(P, found.right)
        parts = dict(zip(columns, np.split(P, ends), strict=True))
        assert smooth + constant == pytest.approx(objective(part, parts, graph, 0.7, 3))


def problem(seed: int) -> tuple[Array, Array]:
    draw = np.random.default_rng(seed)
    half = draw.normal(size=(30, 8))
    truth = draw.normal(size=(8, 3)) * (np.arange(8) < 4)[:, None]
    A = half.T @ half / 30
    return A, A @ truth


@pytest.mark.parametrize("sparsity", [0.01, 0.3, 1.0])
def test_the_solution_is_the_optimum(sparsity: float) -> None:
    """Subgradients: 2(AP - B) + gamma p/|p| is 0 in rows that are used, within gamma elsewhere."""
    A, B = problem(0)
    P = solve_sparse(A, B, sparsity, tolerance=0.0, rounds=3000)
    slope, norms = 2 * (A @ P - B), np.linalg.norm(P, axis=1)
    used = norms > 1e-3
    assert used.any()
    np.testing.assert_allclose(
        slope[used] + sparsity * P[used] / norms[used][:, None], 0, atol=1e-4
    )
    assert (np.linalg.norm(slope[~used], axis=1) <= sparsity * 1.001).all()
    if sparsity < 1:
        assert not used[4:].any(), "features that tell nothing are switched off"


def test_each_round_lowers_the_objective() -> None:
    A, B = problem(1)

    def value(P: Array) -> float:
        norms = np.linalg.norm(P, axis=1).sum()
        return float(np.vdot(P, A @ P) - 2 * np.vdot(P, B) + 0.2 * norms)

    values = [value(solve_sparse(A, B, 0.2, tolerance=0.0, rounds=n)) for n in range(1, 12)]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(values))
    usual = value(solve_sparse(A, B, 0.2))
    best = value(solve_sparse(A, B, 0.2, tolerance=0.0, rounds=3000))
    assert best - 1e-9 <= usual <= best + 2e-3 * abs(best)


def test_without_sparsity_it_is_least_squares() -> None:
    A, B = problem(2)
    P = solve_sparse(A, B, 1e-9)
    np.testing.assert_allclose(P, np.linalg.solve(A, B), atol=1e-6)


def test_unlabelled_samples_take_part_through_the_graph(three_modalities: Dataset) -> None:
    part, validation = gappy(three_modalities), three_modalities.split("validation")
    moved = part.columns["image"].values.copy()  # type: ignore[attr-defined]
    moved[0] *= -3  # neither labelled nor, having no image, paired
    assert not part.labels[8].any()
    moved[8] *= -3
    other = replace(
        part, columns={**part.columns, "image": Features(moved, part.columns["image"].present)}
    )
    method = JRL(sparsity=0.01, graph=1.0, correlation=0.0, neighbors=3)
    x = validation.columns["image"]
    first, second = (method.fit(one, validation, QUIET).embed("image", x) for one in (part, other))
    assert np.abs(first - second).max() > 1e-3


def test_the_space_is_the_solution(three_modalities: Dataset) -> None:
    """Each vector is P'z of the standardize_features features, of unit length."""
    part = gappy(three_modalities)
    method = JRL(sparsity=0.05, graph=0.5, neighbors=3)
    space = method.fit(part, three_modalities.split("validation"), QUIET)
    columns = {
        name: standardize_features(part, name, np.flatnonzero(column.present))
        for name, column in part.columns.items()
    }
    found = normal_equations(part, columns, 1.0, 3)
    P = solve_sparse(found.fit + 0.5 * found.graph, found.right, 0.05)
    ends = np.cumsum([len(one.mean) for one in columns.values()])[:-1]
    for (name, one), W in zip(columns.items(), np.split(P, ends), strict=True):
        u = one.values @ W
        embedded = space.embed_dataset(part)[name].vectors
        np.testing.assert_allclose(
            embedded, u / np.linalg.norm(u, axis=1, keepdims=True), atol=1e-5
        )
    assert space.dimension == len(three_modalities.class_names)


@pytest.mark.parametrize(
    ("option", "value"),
    [("sparsity", 0.0), ("graph", -1.0), ("correlation", float("inf")), ("neighbours", 0)],
)
def test_invalid_settings_are_refused(option: str, value: float) -> None:
    options: dict[str, object] = {option: value}
    with pytest.raises(SettingError, match=option):
        JRL(**options)  # type: ignore[arg-type]

"""Kernel ridge regression against the normal equations, and each sample really left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.methods.base.kernel_ridge import KernelRidge, squared_distances
from commonspace.methods.base.noise_model import fit_temperature

Array = NDArray[np.float64]


def kernel(X: Array, L: Array, width: float) -> Array:
    differences = X[:, None] - L[None]
    distances: Array = np.einsum("ijk,ijk->ij", differences, differences)
    factor: float = -width / X.shape[1]
    found = np.exp(factor * distances).astype(np.float64)
    return found


def machine(X: Array, L: Array, width: float) -> KernelRidge:
    return KernelRidge(squared_distances(X, L), squared_distances(L, L), width)


def naive(X: Array, Y: Array, L: Array, width: float, ridge: float) -> Array:
    """Solve for the coefficients and the bias together: (l + 1, c)."""
    Z = np.column_stack([kernel(X, L, width), np.ones(len(X))])
    penalty = np.zeros((len(L) + 1, len(L) + 1))
    penalty[:-1, :-1] = ridge * kernel(L, L, width)
    found = np.linalg.solve(Z.T @ Z + penalty, Z.T @ Y).astype(np.float64)
    return found


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**20),
    landmarks=st.integers(1, 8),
    width=st.floats(0.2, 3),
    ridge=st.floats(0.05, 10),
)
def test_the_solution_is_that_of_the_normal_equations(
    seed: int, landmarks: int, width: float, ridge: float
) -> None:
    draw = np.random.default_rng(seed)
    X, Y = draw.normal(size=(14, 3)), np.eye(3)[draw.integers(0, 3, 14)]
    found = machine(X, X[:landmarks], width).solve(Y, ridge)
    expected = naive(X, Y, X[:landmarks], width, ridge)
    np.testing.assert_allclose(found.coefficients, expected[:-1], atol=1e-6)
    np.testing.assert_allclose(found.bias, expected[-1], atol=1e-7)


@pytest.mark.parametrize("landmarks", [5, 12])
def test_what_is_left_out_is_what_a_machine_without_the_sample_says(landmarks: int) -> None:
    """With landmarks that are fixed, as they are, whether or not they are among the samples."""
    draw = np.random.default_rng(1)
    X, Y = draw.normal(size=(12, 4)), draw.random((12, 2))
    L = X[:landmarks]
    found = machine(X, L, 0.7).left_out(Y, 0.2)
    for i in range(len(X)):
        others = np.arange(len(X)) != i
        solution = naive(X[others], Y[others], L, 0.7, 0.2)
        expected = kernel(X[i : i + 1], L, 0.7)[0] @ solution[:-1] + solution[-1]
        np.testing.assert_allclose(found[i], expected, atol=1e-8)


def test_a_great_penalty_leaves_the_mean_of_the_others() -> None:
    draw = np.random.default_rng(2)
    X, Y = draw.normal(size=(9, 2)), draw.random((9, 3))
    found = machine(X, X, 1.0).left_out(Y, 1e9)
    np.testing.assert_allclose(found, (Y.sum(axis=0) - Y) / 8, atol=1e-6)


def test_equal_landmarks_do_no_harm() -> None:
    """The kernel of the landmarks is then singular; its rank is what counts."""
    draw = np.random.default_rng(3)
    X, Y = draw.normal(size=(10, 2)), draw.random((10, 2))
    once, twice = (machine(X, X[rows], 1.0) for rows in ([0, 1, 2], [0, 1, 2, 1, 0]))
    np.testing.assert_allclose(once.left_out(Y, 0.1), twice.left_out(Y, 0.1), atol=1e-7)


@pytest.mark.parametrize("width", [0.1, 1.0])
@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_single_precision_is_enough_to_compare_by(width: float, ridge: float) -> None:
    """How likely labels are, by samples that are left out, is the same within half a hundredth."""
    draw = np.random.default_rng(4)
    X = draw.normal(size=(300, 5))
    X[150:200] = X[100:150]
    Y = np.eye(3)[np.digitize(X[:, 0] + 0.5 * draw.normal(size=300), (-0.5, 0.5))]
    between, among = squared_distances(X, X[:200]), squared_distances(X[:200], X[:200])
    exact = KernelRidge(between, among, width).left_out(Y, ridge)
    single = KernelRidge(between.astype("f4"), among.astype("f4"), width).left_out(Y, ridge)
    expected = fit_temperature(exact, Y, multi_label=False).loss
    assert fit_temperature(single, Y, multi_label=False).loss == pytest.approx(expected, rel=5e-3)

"""Total correlation against CCA in NumPy, the gradient of the paper, and degenerate outputs."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.errors import DataError
from commonspace.losses import total_correlation, total_correlation_loss

Matrix = NDArray[np.float64]


def parts(H1: Matrix, H2: Matrix, r: float) -> tuple[Matrix, Matrix, Matrix]:
    """S_11^-1/2, S_12 and S_22^-1/2, as the paper writes them."""
    n = len(H1) - 1
    one, two = H1 - H1.mean(axis=0), H2 - H2.mean(axis=0)
    roots = [
        np.linalg.inv(scipy.linalg.sqrtm(H.T @ H / n + r * np.eye(H.shape[1]))).real
        for H in (one, two)
    ]
    return roots[0], one.T @ two / n, roots[1]


def gradient_of_the_paper(H1: Matrix, H2: Matrix, r: float) -> Matrix:
    """Equations 11 to 13, with samples in rows."""
    left, cross, right = parts(H1, H2, r)
    U, D, Vt = np.linalg.svd(left @ cross @ right, full_matrices=False)
    across = left @ U @ Vt @ right
    within = -0.5 * left @ (U * D) @ U.T @ left
    one, two = H1 - H1.mean(axis=0), H2 - H2.mean(axis=0)
    result: Matrix = (2 * one @ within + two @ across.T) / (len(H1) - 1)
    return result


def correlated(seed: int, n: int, a: int, b: int) -> tuple[Matrix, Matrix]:
    draw = np.random.default_rng(seed)
    shared = draw.normal(size=(n, 2))
    return tuple(  # type: ignore[return-value]
        shared @ draw.normal(size=(2, d)) + draw.normal(size=(n, d)) for d in (a, b)
    )


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 999),
    n=st.integers(2, 12),
    a=st.integers(1, 4),
    b=st.integers(1, 4),
    r=st.sampled_from([1e-3, 0.1, 2.0]),
)
def test_it_is_the_trace_norm_of_the_paper(seed: int, n: int, a: int, b: int, r: float) -> None:
    H1, H2 = correlated(seed, n, a, b)
    left, cross, right = parts(H1, H2, r)
    expected = np.linalg.norm(left @ cross @ right, "nuc")
    value = total_correlation(torch.from_numpy(H1), torch.from_numpy(H2), r)
    assert float(value) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_the_paper(seed: int) -> None:
    H1, H2 = correlated(seed, 20, 4, 3)
    one = torch.from_numpy(H1).requires_grad_()
    (gradient,) = torch.autograd.grad(total_correlation(one, torch.from_numpy(H2), 0.05), one)
    np.testing.assert_allclose(gradient, gradient_of_the_paper(H1, H2, 0.05), rtol=1e-7, atol=1e-10)


def test_gradients_equal_finite_differences() -> None:
    first, second = (torch.from_numpy(one).requires_grad_() for one in correlated(5, 9, 3, 2))
    assert torch.autograd.gradcheck(lambda a, b: total_correlation(a, b, 0.1), (first, second))


def test_it_is_invariant_to_rotations_and_shifts() -> None:
    H1, H2 = map(torch.from_numpy, correlated(6, 15, 3, 3))
    Q = torch.linalg.qr(torch.from_numpy(np.random.default_rng(0).normal(size=(3, 3)))).Q
    torch.testing.assert_close(
        total_correlation(H1 @ Q + 7.0, H2, 0.1), total_correlation(H1, H2, 0.1)
    )


def degenerate(kind: str) -> Any:  # noqa: ANN401
    draw = np.random.default_rng(8)
    base = draw.normal(size=(12, 2))
    values = {
        "collinear": np.column_stack([base, base[:, :1] + base[:, 1:], 2 * base[:, :1]]),
        "constant": np.column_stack([base, np.ones((12, 2))]),
        "zero": np.zeros((12, 4)),
        "fewer samples than outputs": draw.normal(size=(3, 4)),
        "two samples": draw.normal(size=(2, 4)),
        "equal variances": np.linalg.qr(draw.normal(size=(12, 4)))[0],
        "itself": np.tile(base, 2),
    }[kind]
    return torch.from_numpy(values).float()


@pytest.mark.parametrize(
    "kind",
    [
        "collinear",
        "constant",
        "zero",
        "fewer samples than outputs",
        "two samples",
        "equal variances",
        "itself",
    ],
)
def test_gradients_are_finite_for_degenerate_outputs(kind: str) -> None:
    """A naive gradient divides by zero where singular values or eigenvalues are equal or 0."""
    first = degenerate(kind).requires_grad_()
    noise = torch.from_numpy(np.random.default_rng(9).normal(size=(len(first), 5)))
    for second in (degenerate(kind), noise, torch.zeros(len(first), 4)):
        value = total_correlation(first, second, 1e-3)
        (gradient,) = torch.autograd.grad(value, first)
        assert torch.isfinite(value)
        assert 0 <= value <= 4 + 1e-6
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() < 1e4


def test_the_loss_is_minus_the_total_correlation() -> None:
    first, second = map(torch.from_numpy, correlated(7, 12, 3, 2))
    assert float(total_correlation_loss(first, second, 0.1)) == -float(
        total_correlation(first, second, 0.1)
    )


@pytest.mark.parametrize("rows", [(1, 1), (4, 3)])
def test_unpaired_outputs_are_rejected(rows: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="canonical correlations need paired outputs"):
        total_correlation(torch.ones(rows[0], 2), torch.ones(rows[1], 2))

"""J1, J2 and J3 against loops written from the formulas, and their gradients."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from commonspace.losses import (
    Reduction,
    common_space_loss,
    label_space_loss,
    modality_invariance_loss,
    residual_norm,
    shares_class,
)

REDUCTIONS: tuple[Reduction, ...] = ("frobenius", "rows")
Matrix = NDArray[np.float64]


def naive_residual(R: Matrix, reduction: Reduction) -> float:
    """(1/n) ||R||_F, or the mean of the rows' norms, one number after the other."""
    squares = [sum(float(x) ** 2 for x in row) for row in R]
    if reduction == "frobenius":
        return math.sqrt(sum(squares)) / len(R)
    return sum(math.sqrt(square) for square in squares) / len(R)


def naive_j2(U: Matrix, V: Matrix, S: Matrix) -> float:
    """Eq. 2 for one pairing; the cosine of a vector of zeros counts as 0."""
    total = 0.0
    for i, u in enumerate(U):
        for j, v in enumerate(V):
            lengths = math.sqrt(float(u @ u)) * math.sqrt(float(v @ v))
            G = float(u @ v) / lengths / 2 if lengths else 0.0
            total += math.log(1 + math.exp(G)) - float(S[i, j]) * G
    return total / (len(U) * len(V))


def matrices(seed: int, n: int, m: int, d: int) -> tuple[Matrix, Matrix]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, d)), draw.normal(size=(m, d))


def slope(loss: Callable[[Tensor], Tensor], at: Tensor, step: float = 1e-6) -> Tensor:
    """The gradient by central differences, one coordinate after the other."""
    gradient = torch.zeros_like(at)
    for i in range(at.numel()):
        nudge = torch.zeros_like(at)
        nudge.view(-1)[i] = step
        gradient.view(-1)[i] = (loss(at + nudge) - loss(at - nudge)) / (2 * step)
    return gradient


sizes = st.integers(1, 6)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), n=sizes, c=sizes, reduction=st.sampled_from(REDUCTIONS))
def test_j1_and_j3_equal_the_loops(seed: int, n: int, c: int, reduction: Reduction) -> None:
    first, second = matrices(seed, n, n, c)
    labels = (second > 0).astype(float)
    a, b, y = map(torch.from_numpy, (first, second, labels))
    j1, j3 = label_space_loss(a, y, reduction), modality_invariance_loss(a, b, reduction)
    assert float(j1) == pytest.approx(naive_residual(first - labels, reduction), rel=1e-12)
    assert float(j3) == pytest.approx(naive_residual(first - second, reduction), rel=1e-12)


def test_known_values_tell_the_reductions_apart() -> None:
    residual = torch.tensor([[3.0, 4.0], [0.0, 12.0], [0.0, 0.0], [0.0, 0.0]])
    assert float(residual_norm(residual, "frobenius")) == pytest.approx(13 / 4)
    assert float(residual_norm(residual, "rows")) == pytest.approx((5 + 12) / 4)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), n=sizes, m=sizes, d=sizes)
def test_j2_equals_the_loops(seed: int, n: int, m: int, d: int) -> None:
    U, V = matrices(seed, n, m, d)
    U[0] = 0  # the cosine of nothing
    S = (np.random.default_rng(seed).random((n, m)) < 0.5).astype(float)
    found = common_space_loss(*map(torch.from_numpy, (U, V, S)))
    assert float(found) == pytest.approx(naive_j2(U, V, S), rel=1e-12)


def test_j2_knows_nothing_of_lengths() -> None:
    U, V = map(torch.from_numpy, matrices(1, 5, 4, 3))
    S = torch.ones(5, 4, dtype=torch.float64)
    lengths = torch.tensor([1e-6, 0.1, 1, 10, 1e6], dtype=torch.float64)[:, None]
    torch.testing.assert_close(common_space_loss(U * lengths, V, S), common_space_loss(U, V, S))


def test_j2_is_the_likelihood_of_a_sigmoid() -> None:
    """One pair that points the same way: -log sigmoid(1/2), or -log(1 - sigmoid(1/2))."""
    u, one = torch.tensor([[0.0, 3.0]]), torch.ones(1, 1)
    sigmoid = 1 / (1 + math.exp(-0.5))
    assert float(common_space_loss(u, 2 * u, one)) == pytest.approx(-math.log(sigmoid))
    assert float(common_space_loss(u, 2 * u, 0 * one)) == pytest.approx(-math.log(1 - sigmoid))


def test_samples_of_several_classes_are_alike_when_they_share_one() -> None:
    draw = np.random.default_rng(2)
    first, second = draw.random((7, 4)) < 0.4, draw.random((5, 4)) < 0.4
    first[0] = False
    classes = [[set(np.flatnonzero(row)) for row in labels] for labels in (first, second)]
    naive = [[float(bool(a & b)) for b in classes[1]] for a in classes[0]]
    found = shares_class(torch.from_numpy(first).float(), torch.from_numpy(second).float())
    assert found.tolist() == naive
    assert 0 < found.sum() < found.numel()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "J1 frobenius": partial(label_space_loss, reduction="frobenius"),
    "J1 rows": partial(label_space_loss, reduction="rows"),
    "J2": lambda a, b: common_space_loss(a, b, torch.eye(len(a), len(b), dtype=a.dtype)),
    "J2 with itself": lambda a, b: common_space_loss(a, a, torch.eye(len(a), dtype=a.dtype)),
    "J3 frobenius": partial(modality_invariance_loss, reduction="frobenius"),
    "J3 rows": partial(modality_invariance_loss, reduction="rows"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_equal_finite_differences(name: str) -> None:
    loss = LOSSES[name]
    first, second = map(torch.from_numpy, matrices(3, 4, 4, 3))
    first.requires_grad_()
    torch.testing.assert_close(
        torch.autograd.grad(loss(first, second), first)[0],
        slope(lambda at: loss(at, second), first.detach()),
        rtol=1e-6,
        atol=1e-8,
    )
    second.requires_grad_()
    assert torch.autograd.gradcheck(loss, (first, second))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_where_a_norm_has_none(name: str) -> None:
    """At a residual of zero, and at a representation of zeros, the gradient is zero."""
    both = torch.zeros(3, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(LOSSES[name](both, torch.zeros(3, 2)), both)
    assert torch.equal(gradient, torch.zeros(3, 2))


def test_a_zero_row_leaves_the_gradients_of_the_others_as_they_were() -> None:
    U, V = (matrix.float() for matrix in map(torch.from_numpy, matrices(4, 3, 3, 4)))
    U[1] = 0
    U.requires_grad_()
    S = torch.eye(3)
    (gradient,) = torch.autograd.grad(common_space_loss(U, V, S), U)
    assert torch.equal(gradient[1], torch.zeros(4))
    others = torch.tensor([0, 2])
    alone = U.detach()[others].requires_grad_()
    (expected,) = torch.autograd.grad(common_space_loss(alone, V, S[others]) * 2 / 3, alone)
    torch.testing.assert_close(gradient[others], expected)


@pytest.mark.parametrize("name", LOSSES)
def test_an_empty_batch_costs_nothing_and_can_be_differentiated(name: str) -> None:
    nothing = torch.zeros(0, 3, requires_grad=True)
    loss = LOSSES[name](nothing, torch.zeros(0, 3))
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, nothing)
    assert gradient.shape == (0, 3)

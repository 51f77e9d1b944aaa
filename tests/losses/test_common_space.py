"""The loss J2 of DSCMR against a loop written from its formula."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.losses import common_space_loss

Matrix = NDArray[np.float64]
sizes = st.integers(1, 6)


def naive_j2(U: Matrix, V: Matrix, S: Matrix) -> float:
    """Eq. 2 for one pair of modalities; the cosine of a zero vector counts as 0."""
    total = 0.0
    for i, u in enumerate(U):
        for j, v in enumerate(V):
            lengths = math.sqrt(float(u @ u)) * math.sqrt(float(v @ v))
            G = float(u @ v) / lengths / 2 if lengths else 0.0
            total += math.log(1 + math.exp(G)) - float(S[i, j]) * G
    return total / (len(U) * len(V))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), n=sizes, m=sizes, d=sizes)
def test_it_equals_the_loops(draw: Callable[..., Any], seed: int, n: int, m: int, d: int) -> None:
    U, V = draw(seed, (n, d), (m, d))
    U[0] = 0
    S = (np.random.default_rng(seed).random((n, m)) < 0.5).astype(float)
    # A class for each row of V: the labels of U are then S itself.
    loss = common_space_loss(*map(torch.from_numpy, (U, V, S, np.eye(m))))
    assert float(loss) == pytest.approx(naive_j2(U, V, S), rel=1e-12)


def test_it_does_not_depend_on_lengths(draw: Callable[..., Any]) -> None:
    U, V = map(torch.from_numpy, draw(1, (5, 3), (4, 3)))
    labels = (torch.ones(5, 1, dtype=U.dtype), torch.ones(4, 1, dtype=U.dtype))
    lengths = torch.tensor([1e-6, 0.1, 1, 10, 1e6], dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        common_space_loss(U * lengths, V, *labels), common_space_loss(U, V, *labels)
    )


def test_it_is_the_likelihood_of_a_sigmoid() -> None:
    """One pair of equal direction: -log sigmoid(1/2), or -log(1 - sigmoid(1/2))."""
    u, one = torch.tensor([[0.0, 3.0]]), torch.ones(1, 1)
    sigmoid = 1 / (1 + math.exp(-0.5))
    assert float(common_space_loss(u, 2 * u, one)) == pytest.approx(-math.log(sigmoid), rel=1e-5)
    assert float(common_space_loss(u, 2 * u, one, 0 * one)) == pytest.approx(
        -math.log(1 - sigmoid), rel=1e-5
    )


def test_a_zero_row_does_not_change_the_gradients_of_the_others(draw: Callable[..., Any]) -> None:
    U, V = (torch.from_numpy(matrix).float() for matrix in draw(4, (3, 4), (3, 4)))
    U[1] = 0
    U.requires_grad_()
    labels = torch.eye(3)
    (gradient,) = torch.autograd.grad(common_space_loss(U, V, labels), U)
    assert torch.equal(gradient[1], torch.zeros(4))
    others = torch.tensor([0, 2])
    rest = U.detach()[others].requires_grad_()
    (expected,) = torch.autograd.grad(
        common_space_loss(rest, V, labels[others], labels) * 2 / 3, rest
    )
    torch.testing.assert_close(gradient[others], expected)


def test_reductions_agree(draw: Callable[..., Any]) -> None:
    U, V = map(torch.from_numpy, draw(5, (4, 3), (4, 3)))
    labels = torch.eye(2, dtype=U.dtype)[[0, 1, 0, 1]]
    terms = common_space_loss(U, V, labels, reduction="none")
    assert terms.shape == (4, 4)
    torch.testing.assert_close(terms.mean(), common_space_loss(U, V, labels))
    torch.testing.assert_close(terms.sum(), common_space_loss(U, V, labels, reduction="sum"))

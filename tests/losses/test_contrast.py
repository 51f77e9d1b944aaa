"""InfoNCE, supervised contrast and triplets against loops written from their formulas."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from commonspace.losses import (
    distances,
    info_nce_loss,
    reversed_gradient,
    supervised_contrastive_loss,
    triplet_loss,
    unit_rows,
)

Matrix = NDArray[np.float64]
sizes = st.integers(1, 6)


def drawn(seed: int, *shapes: tuple[int, ...]) -> tuple[Matrix, ...]:
    draw = np.random.default_rng(seed)
    return tuple(draw.normal(size=shape) for shape in shapes)


def cosine(u: Matrix, v: Matrix) -> float:
    lengths = math.sqrt(float(u @ u)) * math.sqrt(float(v @ v))
    return float(u @ v) / lengths if lengths else 0.0


def naive_info_nce(U: Matrix, V: Matrix, scale: float) -> float:
    n = len(U)
    total = 0.0
    for i in range(n):
        for row in (
            [math.exp(scale * cosine(U[i], v)) for v in V],
            [math.exp(scale * cosine(u, V[i])) for u in U],
        ):
            total -= math.log(row[i] / sum(row))
    return total / (2 * n)


def naive_supervised(U: Matrix, Y: Matrix, temperature: float) -> float:
    """Eq. 2 of Khosla et al., one term after the other, averaged over the anchors."""
    terms = []
    for i in range(len(U)):
        others = [a for a in range(len(U)) if a != i]
        positives = [p for p in others if set(np.flatnonzero(Y[i])) & set(np.flatnonzero(Y[p]))]
        if positives:
            weights = {a: math.exp(cosine(U[i], U[a]) / temperature) for a in others}
            logs = [math.log(weights[p] / sum(weights.values())) for p in positives]
            terms.append(-sum(logs) / len(positives))
    return sum(terms) / len(terms) if terms else 0.0


def naive_triplets(V: Matrix, T: Matrix, S: Matrix, margin: float, weight: float) -> float:
    """Over every single triplet, averaged for each anchor, then over the anchors."""
    means = []
    for i, v in enumerate(V):
        terms = [
            math.dist(v, T[j]) + weight * max(0.0, margin - math.dist(v, T[k]))
            for j in range(len(T))
            for k in range(len(T))
            if S[i, j] and not S[i, k]
        ]
        if terms:
            means.append(sum(terms) / len(terms))
    return sum(means) / len(means) if means else 0.0


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), n=st.integers(2, 6), d=sizes, scale=st.floats(0.1, 20))
def test_info_nce_equals_the_loops(seed: int, n: int, d: int, scale: float) -> None:
    U, V = drawn(seed, (n, d), (n, d))
    U[0] = 0
    found = info_nce_loss(torch.from_numpy(U), torch.from_numpy(V), scale)
    assert float(found) == pytest.approx(naive_info_nce(U, V, scale), rel=1e-10)


@pytest.mark.parametrize("n", [2, 7])
def test_info_nce_of_what_says_nothing_is_log_n(n: int) -> None:
    alike = torch.ones(n, 3)
    assert float(info_nce_loss(alike, alike, 5.0)) == pytest.approx(math.log(n))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), n=st.integers(1, 7), d=sizes, t=st.floats(0.05, 5))
def test_supervised_contrast_equals_the_loops(seed: int, n: int, d: int, t: float) -> None:
    (U,) = drawn(seed, (n, d))
    Y = (np.random.default_rng(seed).random((n, 3)) < 0.4).astype(float)
    found = supervised_contrastive_loss(torch.from_numpy(U), torch.from_numpy(Y), t)
    assert float(found) == pytest.approx(naive_supervised(U, Y, t), rel=1e-10, abs=1e-12)


def test_supervised_contrast_with_one_class_a_pair_is_info_nce_with_more_to_confuse() -> None:
    """Pairs of two samples, each a class of its own: the positive is the pair alone."""
    one, other = drawn(1, (4, 3), (4, 3))
    both = torch.from_numpy(np.concatenate([one, other]))
    labels = torch.eye(4, dtype=torch.float64).repeat(2, 1)
    unit = unit_rows(both)
    scores = (unit @ unit.T / 0.5).fill_diagonal_(-torch.inf)
    own = (torch.arange(8) + 4) % 8
    expected = torch.nn.functional.cross_entropy(scores, own)
    torch.testing.assert_close(supervised_contrastive_loss(both, labels, 0.5), expected)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), n=sizes, m=sizes, d=sizes, margin=st.floats(0.1, 4))
def test_triplets_equal_the_loops(seed: int, n: int, m: int, d: int, margin: float) -> None:
    V, T = drawn(seed, (n, d), (m, d))
    S = (np.random.default_rng(seed).random((n, m)) < 0.5).astype(float)
    anchors, others, similar = map(torch.from_numpy, (V, T, S))
    found = triplet_loss(anchors, others, similar, margin, 0.7)
    expected = naive_triplets(V, T, S, margin, 0.7)
    assert float(found) == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_distances_are_those_of_euclid_and_have_no_slope_at_zero() -> None:
    U, V = map(torch.from_numpy, drawn(2, (4, 3), (5, 3)))
    torch.testing.assert_close(distances(U, V), torch.cdist(U, V))
    point = torch.tensor([[1.0, 2.0]], requires_grad=True)
    apart = distances(point, point.detach())
    (gradient,) = torch.autograd.grad(apart.sum(), point)
    assert apart.tolist() == [[0.0]]
    assert gradient.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_gradient_is_reversed_and_the_value_is_not(weight: float) -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    turned = reversed_gradient(x, weight)
    assert torch.equal(turned, x)
    (gradient,) = torch.autograd.grad((turned**2).sum(), x)
    assert torch.equal(gradient, -weight * 2 * x.detach())


LABELS = torch.eye(2, dtype=torch.float64)[[0, 1, 0, 1]]
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "InfoNCE": lambda a, b: info_nce_loss(a, b, 3.0),
    "supervised": lambda a, b: supervised_contrastive_loss(
        torch.cat([a, b]), LABELS[:2].repeat_interleave(len(a), dim=0).to(a.dtype), 0.5
    ),
    "triplets": lambda a, b: triplet_loss(a, b, torch.eye(len(a), len(b), dtype=a.dtype), 2.0, 0.7),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_equal_finite_differences(name: str) -> None:
    first, second = (torch.from_numpy(one).requires_grad_() for one in drawn(3, (4, 3), (4, 3)))
    assert torch.autograd.gradcheck(LOSSES[name], (first, second))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_where_all_is_zero(name: str) -> None:
    zero = torch.zeros(3, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(LOSSES[name](zero, torch.zeros(3, 2)), zero)
    assert torch.equal(gradient, torch.zeros(3, 2))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("n", [0, 1])
def test_too_small_a_batch_costs_nothing_and_can_be_differentiated(name: str, n: int) -> None:
    few = torch.ones(n, 3, requires_grad=True)
    loss = LOSSES[name](few, torch.ones(n, 3))
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, few)
    assert torch.equal(gradient, torch.zeros(n, 3))

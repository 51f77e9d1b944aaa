"""InfoNCE against a loop written from its formula."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.losses import info_nce_loss, normalize_rows, paired_cross_entropy

Matrix = NDArray[np.float64]


def cosine(u: Matrix, v: Matrix) -> float:
    lengths = math.sqrt(float(u @ u)) * math.sqrt(float(v @ v))
    return float(u @ v) / lengths if lengths else 0.0


def naive_info_nce(U: Matrix, V: Matrix, temperature: float) -> list[float]:
    terms = []
    for i in range(len(U)):
        term = 0.0
        for row in (
            [math.exp(cosine(U[i], v) / temperature) for v in V],
            [math.exp(cosine(u, V[i]) / temperature) for u in U],
        ):
            term -= math.log(row[i] / sum(row)) / 2
        terms.append(term)
    return terms


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 999),
    n=st.integers(2, 6),
    d=st.integers(1, 6),
    temperature=st.floats(0.05, 10),
)
def test_it_equals_the_loops(
    draw: Callable[..., Any], seed: int, n: int, d: int, temperature: float
) -> None:
    U, V = draw(seed, (n, d), (n, d))
    U[0] = 0
    expected = naive_info_nce(U, V, temperature)
    first, second = torch.from_numpy(U), torch.from_numpy(V)
    loss = info_nce_loss(first, second, temperature)
    assert float(loss) == pytest.approx(sum(expected) / n, rel=1e-10)
    terms = info_nce_loss(first, second, temperature, reduction="none")
    assert terms.tolist() == pytest.approx(expected, rel=1e-10)
    total = info_nce_loss(first, second, temperature, reduction="sum")
    assert float(total) == pytest.approx(sum(expected), rel=1e-10)


@pytest.mark.parametrize("n", [2, 7])
def test_equal_embeddings_give_log_n(n: int) -> None:
    equal = torch.ones(n, 3)
    assert float(info_nce_loss(equal, equal, 0.2)) == pytest.approx(math.log(n), rel=1e-5)


def test_a_learned_temperature_receives_a_gradient(draw: Callable[..., Any]) -> None:
    first, second = map(torch.from_numpy, draw(3, (5, 4), (5, 4)))
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: info_nce_loss(first, second, t), (temperature,))


def test_scores_with_a_factor_give_the_same_loss(draw: Callable[..., Any]) -> None:
    first, second = map(torch.from_numpy, draw(4, (5, 4), (5, 4)))
    scores = 4.0 * normalize_rows(first) @ normalize_rows(second).T
    torch.testing.assert_close(paired_cross_entropy(scores), info_nce_loss(first, second, 0.25))

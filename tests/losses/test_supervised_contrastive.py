"""The supervised contrastive loss against a loop written from its formula."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.losses import normalize_rows, supervised_contrastive_loss

Matrix = NDArray[np.float64]


def cosine(u: Matrix, v: Matrix) -> float:
    lengths = math.sqrt(float(u @ u)) * math.sqrt(float(v @ v))
    return float(u @ v) / lengths if lengths else 0.0


def naive_terms(U: Matrix, Y: Matrix, temperature: float) -> list[float]:
    """Eq. 2 of Khosla et al., one term after the other."""
    terms = []
    for i in range(len(U)):
        others = [a for a in range(len(U)) if a != i]
        positives = [p for p in others if set(np.flatnonzero(Y[i])) & set(np.flatnonzero(Y[p]))]
        if positives:
            weights = {a: math.exp(cosine(U[i], U[a]) / temperature) for a in others}
            logs = [math.log(weights[p] / sum(weights.values())) for p in positives]
            terms.append(-sum(logs) / len(positives))
    return terms


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), n=st.integers(1, 7), d=st.integers(1, 6), t=st.floats(0.05, 5))
def test_it_equals_the_loops(draw: Callable[..., Any], seed: int, n: int, d: int, t: float) -> None:
    (U,) = draw(seed, (n, d))
    Y = (np.random.default_rng(seed).random((n, 3)) < 0.4).astype(float)
    terms = naive_terms(U, Y, t)
    mean = sum(terms) / len(terms) if terms else 0.0
    embeddings, labels = torch.from_numpy(U), torch.from_numpy(Y)
    loss = supervised_contrastive_loss(embeddings, labels, t)
    assert float(loss) == pytest.approx(mean, rel=1e-10, abs=1e-12)
    each = supervised_contrastive_loss(embeddings, labels, t, reduction="none")
    assert each.tolist() == pytest.approx(terms, rel=1e-10, abs=1e-12)


def test_with_one_class_a_pair_it_is_info_nce_with_more_negatives(draw: Callable[..., Any]) -> None:
    """Pairs of two samples, each pair a class: the only positive is the other sample."""
    first, second = draw(1, (4, 3), (4, 3))
    both = torch.from_numpy(np.concatenate([first, second]))
    labels = torch.eye(4, dtype=torch.float64).repeat(2, 1)
    unit = normalize_rows(both)
    scores = (unit @ unit.T / 0.5).fill_diagonal_(-torch.inf)
    own = (torch.arange(8) + 4) % 8
    expected = torch.nn.functional.cross_entropy(scores, own)
    torch.testing.assert_close(supervised_contrastive_loss(both, labels, 0.5), expected)

"""The triplet loss of ACMR against loops over all triplets."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.losses import triplet_loss

Matrix = NDArray[np.float64]
sizes = st.integers(1, 6)


def naive_terms(V: Matrix, T: Matrix, S: Matrix, margin: float, weight: float) -> list[float]:
    """The mean over all triplets of each anchor."""
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
    return means


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), n=sizes, m=sizes, d=sizes, margin=st.floats(0.1, 4))
def test_it_equals_the_loops(
    draw: Callable[..., Any], seed: int, n: int, m: int, d: int, margin: float
) -> None:
    V, T = draw(seed, (n, d), (m, d))
    S = (np.random.default_rng(seed).random((n, m)) < 0.5).astype(float)
    # A class for each row of T: the labels of V are then S itself.
    tensors = [torch.from_numpy(matrix) for matrix in (V, T, S, np.eye(m))]
    loss = triplet_loss(*tensors, margin=margin, negative_weight=0.7)
    terms = naive_terms(V, T, S, margin, 0.7)
    mean = sum(terms) / len(terms) if terms else 0.0
    assert float(loss) == pytest.approx(mean, rel=1e-7, abs=1e-9)
    each = triplet_loss(*tensors, margin=margin, negative_weight=0.7, reduction="none")
    assert each.tolist() == pytest.approx(terms, rel=1e-7, abs=1e-9)

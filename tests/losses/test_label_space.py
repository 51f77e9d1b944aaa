"""The loss J1 of DSCMR and both of its norms against loops."""

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.errors import SettingError
from commonspace.losses import (
    ResidualNorm,
    label_space_loss,
    modality_invariance_loss,
    residual_norm,
)

NORMS: tuple[ResidualNorm, ...] = ("frobenius", "rows")
Matrix = NDArray[np.float64]
sizes = st.integers(1, 6)


def naive_residual(R: Matrix, norm: ResidualNorm) -> float:
    """(1/n) ||R||_F, or the mean of the norms of the rows, in loops."""
    squares = [sum(float(x) ** 2 for x in row) for row in R]
    if norm == "frobenius":
        return math.sqrt(sum(squares)) / len(R)
    return sum(math.sqrt(square) for square in squares) / len(R)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), n=sizes, c=sizes, norm=st.sampled_from(NORMS))
def test_j1_and_j3_equal_the_loops(
    draw: Callable[..., Any], seed: int, n: int, c: int, norm: ResidualNorm
) -> None:
    first, second = draw(seed, (n, c), (n, c))
    labels = (second > 0).astype(float)
    a, b, y = map(torch.from_numpy, (first, second, labels))
    j1, j3 = label_space_loss(a, y, norm), modality_invariance_loss(a, b, norm)
    assert float(j1) == pytest.approx(naive_residual(first - labels, norm), rel=1e-12)
    assert float(j3) == pytest.approx(naive_residual(first - second, norm), rel=1e-12)


def test_the_norms_differ_on_known_values() -> None:
    residual = torch.tensor([[3.0, 4.0], [0.0, 12.0], [0.0, 0.0], [0.0, 0.0]])
    assert float(residual_norm(residual, "frobenius")) == pytest.approx(13 / 4)
    assert float(residual_norm(residual, "rows")) == pytest.approx((5 + 12) / 4)


def test_an_unknown_norm_is_named() -> None:
    with pytest.raises(SettingError, match="`norm` must be one of 'frobenius', 'rows'"):
        residual_norm(torch.ones(2, 2), cast("ResidualNorm", "l2"))

"""Unexplained variance: exact values, its gradient, and independence of the unit."""

import pytest
import torch

from commonspace.losses import unexplained_variance


def test_the_gradient_of_the_reconstruction_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 3, dtype=torch.float64, generator=generator)
    decoded = torch.randn(7, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: unexplained_variance(x, values), (decoded,))
    assert unexplained_variance(5 * x, 5 * decoded).item() == pytest.approx(
        unexplained_variance(x, decoded).item()
    )
    assert unexplained_variance(x[:1], decoded[:1]).item() == 0


def test_zero_for_a_perfect_reconstruction_and_one_for_the_mean() -> None:
    x = torch.tensor([[1.0, 5.0], [3.0, -1.0], [2.0, 8.0]])
    assert unexplained_variance(x, x).item() == 0
    assert unexplained_variance(x, x.mean(dim=0).expand(3, 2)).item() == pytest.approx(1)

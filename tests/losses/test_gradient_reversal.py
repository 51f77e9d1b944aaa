"""Gradient reversal layer."""

import pytest
import torch

from commonspace.losses import reverse_gradient


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_gradient_is_reversed_and_the_value_is_not(weight: float) -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, weight)
    assert torch.equal(y, x)
    (gradient,) = torch.autograd.grad((y**2).sum(), x)
    assert torch.equal(gradient, -weight * 2 * x.detach())

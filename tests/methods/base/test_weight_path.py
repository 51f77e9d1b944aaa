"""The point between the weights before and after a training."""

import pytest
import torch
from torch import nn

from commonspace.methods.base.weight_path import choose_position


@pytest.mark.parametrize(("target", "expected"), [(0.0, 0.5), (1.6, 0.75), (9.0, 1.0)])
def test_the_best_point_is_kept(target: float, expected: float) -> None:
    """The weight goes from 0 to 2; the loss is its distance from the target."""
    network = nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(0.0)
        network.bias.fill_(0.0)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        network.weight.fill_(2.0)
        network.bias.fill_(5.0)
    position, loss = choose_position(
        network, before, ["weight"], lambda: abs(float(network.weight.detach()) - target)
    )
    assert position == expected
    assert network.weight.item() == 2 * expected
    assert loss == pytest.approx(abs(2 * expected - target))
    assert network.bias.item() == 5.0

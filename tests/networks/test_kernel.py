"""Kernel machine, feature scaling, and the kernel network against plain formulas."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from commonspace.networks.kernel import (
    FeatureScaling,
    KernelConfig,
    KernelMachine,
    KernelNetwork,
    set_buffers,
)


def test_a_kernel_machine_is_a_weighted_sum_of_kernels() -> None:
    machine = KernelMachine(3, 4, 2)
    for buffer in (machine.landmarks, machine.coefficients, machine.bias):
        buffer.normal_()
    machine.width.fill_(0.7)
    x = torch.randn(5, 3)
    for row, found in zip(x, machine(x), strict=True):
        kernels = torch.stack(
            [(-0.7 / 3 * (row - one).square().sum()).exp() for one in machine.landmarks]
        )
        torch.testing.assert_close(found, machine.bias + kernels @ machine.coefficients)


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_rescaling_keeps_signs(power: float) -> None:
    scale = FeatureScaling(3)
    scale.power.fill_(power)
    scale.shift.copy_(torch.tensor([1.0, 0.0, 0.0]))
    scale.weight.copy_(torch.tensor([2.0, 1.0, 0.0]))
    root = 4.0 if power == 1 else 2.0
    found = scale(torch.tensor([[4.0, -4.0, 9.0]]))
    torch.testing.assert_close(found, torch.tensor([[2 * (root - 1), -root, 0.0]]))


def test_the_kernel_network_normalizes_the_machine_of_each_modality() -> None:
    network = KernelNetwork(KernelConfig({"image": 3, "a.b": 2}, {"image": 4, "a.b": 5}, 2))
    for name in network.modalities:
        kernel = network.kernel(name)
        for buffer in (kernel.landmarks, kernel.coefficients, network.scale(name).shift):
            buffer.normal_()
    x = torch.randn(6, 2)
    expected = normalize(network.kernel("a.b")(x - network.scale("a.b").shift))
    torch.testing.assert_close(network.embed("a.b", x), expected)
    twin = KernelNetwork.from_config(network.to_config())
    twin.load_state_dict(network.state_dict())
    torch.testing.assert_close(twin.embed("a.b", x), expected)


def test_buffers_are_set_by_name() -> None:
    scale = FeatureScaling(2)
    set_buffers(scale, power=0.5, shift=np.array([1.0, 2.0]))
    assert scale.power.item() == 0.5
    assert scale.shift.tolist() == [1.0, 2.0]
    with pytest.raises(AttributeError):
        set_buffers(scale, width=1.0)

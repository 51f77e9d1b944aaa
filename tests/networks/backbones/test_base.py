"""Pretrained backbones: large batches are computed in parts, with equal features and gradients."""

import pytest
import torch
from torch import Tensor, nn

from commonspace.networks.backbones import PretrainedBackbone
from commonspace.networks.backbones.base import PHOTO, TOGETHER, standardize


class Small(PretrainedBackbone):
    """Two layers that keep the size of each batch that they get."""

    def __init__(self, numbers: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.size = 3
        self.seen: list[int] = []
        self.layers = nn.Sequential(
            nn.Linear(numbers, 5), nn.Tanh(), nn.Dropout(dropout), nn.Linear(5, 3)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the features."""
        self.seen.append(len(inputs))
        features: Tensor = self.layers(inputs.flatten(start_dim=1))
        return features


def gradients(network: nn.Module, features: Tensor) -> list[Tensor]:
    # A loss over all pairs of the batch, so that parts depend on one another.
    (features @ features.T).logsumexp(dim=1).mean().backward()  # type: ignore[no-untyped-call]
    return [one.grad.clone() for one in network.parameters() if one.grad is not None]


def test_a_large_batch_has_the_features_and_gradients_of_the_whole() -> None:
    torch.manual_seed(0)
    network = Small(4).double()
    inputs = torch.randn(TOGETHER * 2 + 5, 4, dtype=torch.float64)
    whole = network.forward(inputs)
    expected = gradients(network, whole)
    network.zero_grad()
    network.seen.clear()
    features = network(inputs)
    assert network.seen == [TOGETHER, TOGETHER, 5]
    found = gradients(network, features)
    assert len(network.seen) == 6  # each part once more for the gradient
    torch.testing.assert_close(features, whole, rtol=0, atol=1e-12)
    assert len(found) == 4
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_dropout_is_the_same_when_a_part_is_computed_again() -> None:
    torch.manual_seed(0)
    network = Small(4, dropout=0.5).double()
    inputs = torch.randn(TOGETHER + 9, 4, dtype=torch.float64)
    features = network(inputs)
    features.sum().backward()  # type: ignore[no-untyped-call]
    last = network.layers[3]
    assert isinstance(last, nn.Linear)
    assert last.weight.grad is not None
    # Each row of the gradient is the sum of the activations after dropout, of the second time.
    found = last.weight @ last.weight.grad[0]
    torch.testing.assert_close(found, (features - last.bias).sum(dim=0), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("mode", "grad"), [(False, True), (True, False)])
def test_without_training_a_batch_is_whole(mode: bool, grad: bool) -> None:
    network = Small(4).train(mode)
    with torch.set_grad_enabled(grad):
        network(torch.randn(TOGETHER * 2, 4))
    assert network.seen == [TOGETHER * 2]


def test_as_many_photos_are_together_as_their_pixels_allow() -> None:
    network = Small(3 * 448 * 224)
    network(torch.zeros(TOGETHER // 2 + 1, 3, 448, 224))
    assert network.seen == [TOGETHER // 2, 1]
    small = Small(PHOTO // 4)
    small(torch.zeros(4 * TOGETHER + 1, 3, 112, 112))
    assert small.seen == [4 * TOGETHER, 1]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_standardized_photos_have_the_channels_of_a_pixel_side_by_side(
    layout: torch.memory_format, dtype: torch.dtype
) -> None:
    photos = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    given = photos.to(dtype) if dtype == torch.uint8 else (photos / 255).to(dtype)
    found = standardize(given.contiguous(memory_format=layout), [0.1, 0.2, 0.3], [0.5, 0.25, 2.0])
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found.dtype == (torch.bfloat16 if dtype == torch.bfloat16 else torch.float32)
    unit = photos.double() / 255
    expected = [(unit[:, 0] - 0.1) / 0.5, (unit[:, 1] - 0.2) / 0.25, (unit[:, 2] - 0.3) / 2.0]
    exact = 1e-6 if dtype != torch.bfloat16 else 3e-2
    torch.testing.assert_close(
        found.double(), torch.stack(expected, dim=1), rtol=0, atol=exact, check_stride=False
    )

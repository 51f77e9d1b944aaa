"""The small image CNN against loops over pixels; augmentation."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from commonspace.networks.backbones.image_cnn import ImageCNN

Maps = NDArray[np.float64]


def _pictures(seed: int, count: int, side: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


def _backbone(*, augment: bool = True, width: int = 2, size: int = 3) -> ImageCNN:
    """Return a backbone with random statistics and weights in its norms, as after training."""
    torch.manual_seed(0)
    backbone = ImageCNN(size=size, width=width, augment=augment)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.weight.data, module.bias.data):
                assert values is not None
                values.normal_()
            assert module.running_var is not None
            module.running_var.uniform_(0.5, 2)
    return backbone


def _convolved(maps: Maps, weight: Maps, stride: int) -> Maps:
    """Return the convolution of one picture, one output pixel at a time."""
    reach = weight.shape[2] // 2
    padded = np.pad(maps, ((0, 0), (reach, reach), (reach, reach)))
    side = -(-maps.shape[1] // stride)
    out = np.zeros((len(weight), side, side))
    for o, y, x in np.ndindex(*out.shape):
        top, left, kernel = y * stride, x * stride, weight.shape[2]
        out[o, y, x] = (padded[:, top : top + kernel, left : left + kernel] * weight[o]).sum()
    return out


def _pooled(maps: Maps, pool: int) -> Maps:
    out = np.zeros((len(maps), maps.shape[1] // pool, maps.shape[2] // pool))
    for c, y, x in np.ndindex(*out.shape):
        out[c, y, x] = maps[c, y * pool : (y + 1) * pool, x * pool : (x + 1) * pool].max()
    return out


def _features(backbone: ImageCNN, picture: torch.Tensor) -> Maps:
    """Return the features of one picture in float64, by loops."""
    state = {name: values.double().numpy() for name, values in backbone.state_dict().items()}
    maps = picture.double().numpy() / 255 * 2 - 1
    for block, (stride, pool) in enumerate([(2, 1), (1, 2), (1, 2), (1, 2)]):
        maps = _pooled(_convolved(maps, state[f"layers.{block}.0.weight"], stride), pool)
        mean, var, weight, bias = (
            state[f"layers.{block}.2.{name}"][:, None, None]
            for name in ("running_mean", "running_var", "weight", "bias")
        )
        maps = np.maximum((maps - mean) / np.sqrt(var + 1e-5) * weight + bias, 0)
    pooled = np.concatenate([maps.mean(axis=(1, 2)), maps.max(axis=(1, 2))])
    features: Maps = state["out.weight"] @ pooled + state["out.bias"]
    return features


def test_features_equal_loops_over_pixels() -> None:
    backbone, pictures = _backbone().eval(), _pictures(1, 3)
    expected = [_features(backbone, picture) for picture in pictures]
    np.testing.assert_allclose(backbone(pictures).detach(), expected, rtol=1e-4, atol=1e-5)


def test_bytes_and_floats_from_0_to_1_are_the_same_pictures() -> None:
    backbone, pictures = _backbone().eval(), _pictures(2, 4, side=20)
    torch.testing.assert_close(backbone(pictures), backbone(pictures.float() / 255))


def test_evaluation_does_not_augment_and_does_not_depend_on_the_batch() -> None:
    backbone, pictures = _backbone().eval(), _pictures(3, 5)
    together = backbone(pictures)
    for row, picture in enumerate(pictures):
        torch.testing.assert_close(backbone(picture[None])[0], together[row], rtol=1e-5, atol=1e-5)


def _seen_with(seed: int, *, augment: bool) -> torch.Tensor:
    backbone = _backbone(augment=augment).train()
    torch.manual_seed(seed)
    features: torch.Tensor = backbone(_pictures(4, 6))
    return features


def test_augmentation_depends_on_the_seed() -> None:
    assert torch.equal(_seen_with(1, augment=True), _seen_with(1, augment=True))
    assert not torch.allclose(_seen_with(1, augment=True), _seen_with(2, augment=True))


def test_augmentation_can_be_switched_off() -> None:
    assert torch.equal(_seen_with(1, augment=False), _seen_with(2, augment=False))


_GREEN = torch.tensor([0, 0.15, 0])[:, None, None]
_RED = torch.tensor([1.3, 1, 1])[:, None, None]


@pytest.mark.parametrize(
    ("chance", "expected"),
    [
        ({}, lambda picture: picture),
        ({2: -1}, lambda picture: picture.flip(2)),
        ({5: 1, 9: 1}, lambda picture: picture * _RED + _GREEN),
    ],
    ids=["nothing", "mirrored", "tinted"],
)
def test_each_augmentation(
    monkeypatch: pytest.MonkeyPatch,
    chance: dict[int, float],
    expected: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    pictures = _pictures(5, 2).float() / 255
    seen = _augment_by(monkeypatch, chance, pictures)
    for picture, varied in zip(pictures, seen, strict=True):
        torch.testing.assert_close(varied, expected(picture), rtol=1e-4, atol=1e-4)


def test_the_longest_shift_is_an_eighth_of_the_side(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = _pictures(6, 2).float() / 255
    seen = _augment_by(monkeypatch, {3: 1, 4: -1}, pictures)
    torch.testing.assert_close(seen[..., 2:, :-2], pictures[..., :-2, 2:], rtol=1e-4, atol=1e-4)


def _augment_by(
    monkeypatch: pytest.MonkeyPatch, chance: dict[int, float], pictures: torch.Tensor
) -> torch.Tensor:
    """Return the input of the layers in training for these random numbers, 0 for the others."""

    def rand(count: int, width: int, device: torch.device | None = None) -> torch.Tensor:
        drawn = torch.zeros(count, width, device=device)
        for column, value in chance.items():
            drawn[:, column] = value
        return (drawn + 1) / 2

    monkeypatch.setattr(torch, "rand", rand)
    backbone = _backbone().train()
    seen: list[torch.Tensor] = []
    backbone.layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    backbone(pictures)
    return (seen[0] + 1) / 2


def test_bfloat16_stays_near_float32_and_gives_finite_gradients() -> None:
    backbone, pictures = _backbone(width=8, size=16).eval(), _pictures(7, 8, side=32)
    exact = backbone(pictures)
    with torch.autocast("cpu", torch.bfloat16):
        rough = backbone(pictures)
    assert rough.dtype == torch.bfloat16
    error = (rough.float() - exact).norm() / exact.norm()
    assert 0 < error < 0.02
    rough.float().square().sum().backward()
    for name, weight in backbone.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().sum() > 0, name


def test_it_learns_shapes_that_color_does_not_reveal() -> None:
    """Vertical against horizontal bars of random color, with the same number of pixels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (128,), generator=generator)
    pictures = torch.zeros(128, 3, 16, 16)
    start, color = (
        torch.randint(0, 13, (128,), generator=generator),
        torch.rand(128, 3, generator=generator),
    )
    for picture, label, at, paint in zip(pictures, labels, start, color, strict=True):
        picture[:, int(at) : int(at) + 3] = 0.3 + 0.7 * paint[:, None, None]
        if label:
            picture.copy_(picture.mT.clone())
    torch.manual_seed(0)
    backbone = ImageCNN(size=2, width=4)
    optimizer = torch.optim.Adam(backbone.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(backbone(pictures[:96]), labels[:96]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    correct = backbone.eval()(pictures[96:]).argmax(dim=1) == labels[96:]
    assert correct.float().mean() > 0.9

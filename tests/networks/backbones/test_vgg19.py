"""VGG-19: the published layout, a forward pass by hand, and fine-tuning."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from commonspace.networks.backbones import backbone_from_config
from commonspace.networks.backbones.vgg19 import IMAGENET_MEAN, IMAGENET_STD, VGG19

PLAIN = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
NORMED = (0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49)
CHANNELS = (64, 64, 128, 128, *[256] * 4, *[512] * 8)
POOL_AFTER = (1, 3, 7, 11, 15)  # which convolutions end a block


def published_shapes(batch_norm: bool) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the common ImageNet checkpoints, without the last layer."""
    shapes: dict[str, tuple[int, ...]] = {}
    source = 3
    for place, channels in zip(NORMED if batch_norm else PLAIN, CHANNELS, strict=True):
        shapes[f"features.{place}.weight"] = (channels, source, 3, 3)
        shapes[f"features.{place}.bias"] = (channels,)
        if batch_norm:
            for name in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"features.{place + 1}.{name}"] = (channels,)
            shapes[f"features.{place + 1}.num_batches_tracked"] = ()
        source = channels
    shapes |= {"classifier.0.weight": (4096, 25088), "classifier.0.bias": (4096,)}
    return shapes | {"classifier.3.weight": (4096, 4096), "classifier.3.bias": (4096,)}


@pytest.mark.parametrize("batch_norm", [False, True])
def test_names_and_shapes_are_those_of_the_published_checkpoint(batch_norm: bool) -> None:
    with torch.device("meta"):
        network = VGG19(batch_norm=batch_norm)
    found = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert found == published_shapes(batch_norm)


def by_hand(network: VGG19, images: Tensor, batch_norm: bool, relu: bool) -> Tensor:
    """Compute fc7 from the state dict alone, layer by layer."""
    state = network.state_dict()
    mean, std = (
        torch.tensor(values)[None, :, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    x = (images.double() / 255 - mean.double()) / std.double()
    for number, place in enumerate(NORMED if batch_norm else PLAIN):
        name = f"features.{place}"
        x = functional.conv2d(
            x, state[f"{name}.weight"].double(), state[f"{name}.bias"].double(), padding=1
        )
        if batch_norm:
            norm = {
                key: state[f"features.{place + 1}.{key}"].double()[:, None, None]
                for key in ("weight", "bias", "running_mean", "running_var")
            }
            x = (x - norm["running_mean"]) / (norm["running_var"] + 1e-5).sqrt() * norm[
                "weight"
            ] + norm["bias"]
        x = x.clamp(min=0)
        if number in POOL_AFTER:
            x = functional.max_pool2d(x, 2)
    x = x.flatten(1) @ state["classifier.0.weight"].double().T + state["classifier.0.bias"].double()
    x = (
        x.clamp(min=0) @ state["classifier.3.weight"].double().T
        + state["classifier.3.bias"].double()
    )
    features: Tensor = x.clamp(min=0) if relu else x
    return features


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("before_relu", [False, True])
def test_fc7_equals_a_pass_by_hand(batch_norm: bool, before_relu: bool) -> None:
    torch.manual_seed(1)
    network = VGG19(batch_norm, before_relu, width=2, size=8).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.1, 0.3)  # type: ignore[arg-type]
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    with torch.inference_mode():
        found = network(images)
    expected = by_hand(network, images, batch_norm, relu=not before_relu)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-5)
    assert bool((expected < 0).any()) == before_relu


def small() -> VGG19:
    torch.manual_seed(2)
    return VGG19(batch_norm=True, width=2, size=8)


def test_checkpointing_changes_no_gradient() -> None:
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    gradients = []
    for checkpointed in (False, True):
        network = small()
        if checkpointed:
            network.checkpoint_gradients()
        network.train()
        network.classifier[2] = nn.Identity()  # two dropouts would differ
        network(images).square().sum().backward()  # type: ignore[no-untyped-call]
        gradients.append([parameter.grad for parameter in network.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("part", "trained"),
    [("none", set()), ("top", {"classifier"}), ("all", {"classifier", "features"})],
)
def test_fine_tuning_trains_only_the_chosen_layers(part: str, trained: set[str]) -> None:
    network = small()
    network.fine_tune(part)  # type: ignore[arg-type]
    network.train()
    found = {name.split(".")[0] for name, one in network.named_parameters() if one.requires_grad}
    assert found == trained
    assert network.classifier[2].training == ("classifier" in trained)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    features = network(images)
    if trained:
        features.sum().backward()  # type: ignore[no-untyped-call]
        torch.optim.SGD([one for one in network.parameters() if one.requires_grad], 0.1).step()
    changed = {
        name.split(".")[0]
        for name, tensor in network.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == trained
    network.eval()
    assert not any(module.training for module in network.modules())


def test_it_is_built_again_from_its_config() -> None:
    config = {"kind": "vgg19", "batch_norm": True, "width": 2, "size": 8}
    twin = backbone_from_config(config)
    twin.load_state_dict(small().state_dict())
    images = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(twin.eval()(images), small().eval()(images))

"""Encoder: raw items of one modality to feature vectors, with its provenance."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from commonspace.encoders.inputs import Input, Joined
from commonspace.networks.backbones.joined import JoinedBackbone

__all__ = ["Encoder", "describe", "encoder_sha256", "separate", "weights_sha256"]


@dataclass(frozen=True, eq=False)
class Encoder:
    """A network that turns raw items into feature vectors, and the input that prepares the items.

    Args:
        input: turns items into network input.
        backbone: a module with a ``size``, in evaluation mode.
        backbone_config: the description from which ``backbone_from_config`` builds the backbone.
        provenance: JSON that names the encoder, its weights and its input; see ``describe``.
    """

    input: Input
    backbone: nn.Module
    backbone_config: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Length of a feature vector."""
        return int(self.backbone.size)  # type: ignore[arg-type]

    @torch.inference_mode()
    def __call__(self, items: Any) -> Tensor:  # noqa: ANN401 - what the input reads
        """Return the features of a few items: (n, size) float32, computed in one batch."""
        device = next(chain(self.backbone.parameters(), self.backbone.buffers())).device
        features: Tensor = self.backbone(self.input(items).to(device))
        return features.float().cpu()


def describe(
    input_: Input,
    backbone: nn.Module,
    backbone_config: Mapping[str, Any],
    *,
    spec: str,
    name: str,
    preprocessing: str,
    fitted_on: str,
    more: Mapping[str, Any] | None = None,
) -> Encoder:
    """Return an encoder with its provenance.

    Args:
        input_: prepares items.
        backbone: the network, with its weights.
        backbone_config: its description.
        spec: the kind of encoder, without a path: "vgg19", "hf", "textcnn".
        name: name of the network, for people.
        preprocessing: what happens to an item before, for people.
        fitted_on: "nothing", "train", or "other (…)" with the data set or checkpoint.
        more: further entries.
    """
    weights = weights_sha256(backbone)
    provenance = {
        "spec": spec,
        "name": name,
        "size": int(backbone.size),  # type: ignore[arg-type]
        "preprocessing": preprocessing,
        "fitted_on": fitted_on,
        "weights_sha256": weights,
        "sha256": encoder_sha256(input_, backbone_config, weights),
        **(more or {}),
    }
    return Encoder(input_, backbone.eval(), dict(backbone_config), provenance)


def separate(encoder: Encoder) -> tuple[Encoder, ...]:
    """Return the encoders that stand side by side in one, or the one alone.

    Args:
        encoder: of any kind. The parts have no more provenance than their hash.
    """
    if not isinstance(encoder.backbone, JoinedBackbone):
        return (encoder,)
    assert isinstance(encoder.input, Joined)
    configs = encoder.backbone_config["backbones"]
    return tuple(
        Encoder(
            input_,
            backbone,
            config,
            {"sha256": encoder_sha256(input_, config, weights_sha256(backbone))},
        )
        for input_, backbone, config in zip(
            encoder.input.inputs, encoder.backbone.backbones, configs, strict=True
        )
    )


def encoder_sha256(input_: Input, backbone_config: Mapping[str, Any], weights: str) -> str:
    """Return the SHA-256 over pre-processing, architecture and weights: equal hash, equal features.

    Args:
        input_: prepares items.
        backbone_config: the description of the network.
        weights: what ``weights_sha256`` returned.
    """
    recipe = json.dumps([input_.to_config(), dict(backbone_config), weights], sort_keys=True)
    return sha256(recipe.encode()).hexdigest()


def weights_sha256(module: nn.Module) -> str:
    """Return the SHA-256 of names, shapes and values of all weights, independent of their file."""
    digest = sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        values = tensor.detach().cpu().contiguous()
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

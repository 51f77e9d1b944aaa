"""An encoder: what turns raw items of one modality into feature vectors, and what it is.

A pair of an input, which prepares items, and a backbone, the network that reads them, together with
the facts that go wherever its features go. It knows nothing of data sets or of where weights come
from.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

from commonspace.encoders.input import Input

__all__ = ["Encoder", "described", "weights_sha256"]


@dataclass(frozen=True, eq=False)
class Encoder:
    """Raw items -> feature vectors.

    Args:
        input: prepares items for the backbone.
        backbone: a module with a ``size``, in evaluation mode.
        backbone_config: the description from which ``backbone_from_config`` builds the backbone again.
        provenance: what it is, as JSON; see ``described``.
    """

    input: Input
    backbone: nn.Module
    backbone_config: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The length of a feature vector."""
        return int(self.backbone.size)  # type: ignore[arg-type]

    @torch.inference_mode()
    def __call__(self, items: Any) -> Tensor:  # noqa: ANN401 - what the input reads
        """Return the features of a few items: (n, size) float32, all in one batch."""
        device = next(self.backbone.parameters()).device
        features: Tensor = self.backbone(self.input(items).to(device))
        return features.float().cpu()


def described(
    input_: Input,
    backbone: nn.Module,
    backbone_config: Mapping[str, Any],
    *,
    spec: str,
    name: str,
    preprocessing: str,
    fitted_on: str,
    more: Mapping[str, str] | None = None,
) -> Encoder:
    """Return an encoder with its facts.

    Args:
        input_: prepares items.
        backbone: the network, with its weights.
        backbone_config: its description.
        spec: the text form that asked for it, without a path: "vgg19", "hf", "textcnn".
        name: which network it is, for people.
        preprocessing: what happens to an item before, for people.
        fitted_on: "nothing", "train", or "other (…)" with what that was.
        more: further facts.
    """
    weights = weights_sha256(backbone)
    recipe = json.dumps([input_.to_config(), dict(backbone_config), weights], sort_keys=True)
    facts = {
        "spec": spec,
        "name": name,
        "size": int(backbone.size),  # type: ignore[arg-type]
        "preprocessing": preprocessing,
        "fitted_on": fitted_on,
        "weights_sha256": weights,
        "sha256": sha256(recipe.encode()).hexdigest(),  # weights, network and pre-processing
        **(more or {}),
    }
    return Encoder(input_, backbone.eval(), dict(backbone_config), facts)


def weights_sha256(module: nn.Module) -> str:
    """Return the SHA-256 over names, shapes and values of all weights, whatever file held them."""
    digest = sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        values = tensor.detach().cpu().contiguous()
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

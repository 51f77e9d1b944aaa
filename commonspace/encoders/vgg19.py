"""The image encoder of the paper: VGG-19, trained on ImageNet, up to fc7.

It finds the weights: a file, the one that torch's own cache holds, or the one on the net. It
knows nothing of data sets.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch

from commonspace.encoders.download import fetch
from commonspace.encoders.encoder import Encoder, described
from commonspace.encoders.photos import Photos
from commonspace.encoders.weights import load_weights, read_weights
from commonspace.networks.backbones.vgg19 import VGG19

__all__ = ["VGG19_FILES", "vgg19_encoder"]


class _Checkpoint(NamedTuple):
    """The usual ImageNet checkpoint of one form; the file name carries the hash's beginning."""

    url: str

    @property
    def file_name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def sha256_prefix(self) -> str:
        found = re.search(r"-([0-9a-f]+)\.", self.file_name)
        assert found is not None
        return found[1]


VGG19_FILES = {
    False: _Checkpoint("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"),
    True: _Checkpoint("https://download.pytorch.org/models/vgg19_bn-c79401a0.pth"),
}
"""Whether batch norms are in it -> the checkpoint."""


def vgg19_encoder(
    file: str | Path | None = None, *, batch_norm: bool = False, before_relu: bool = False
) -> Encoder:
    """Return VGG-19 with trained weights.

    Args:
        file: a checkpoint with the names of the common ImageNet one, .pth or .safetensors; None
            takes that one itself, from torch's cache of checkpoints or the net.
        batch_norm: the form with batch norms.
        before_relu: fc7 before its ReLU.

    Raises:
        DataError: the file is not there, or cannot be downloaded; the message says where to put it.
        FileFormatError: it is damaged, or the checkpoint of another architecture.
    """
    usual = VGG19_FILES[batch_norm]
    if file is None:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        path = fetch(usual.url, folder / usual.file_name, usual.sha256_prefix)
    else:
        path = Path(file)
    weights = read_weights(path)
    shown = weights.get("classifier.3.weight")
    first = weights.get("features.0.weight")
    config: dict[str, Any] = {
        "batch_norm": batch_norm,
        "before_relu": before_relu,
        "width": 64 if first is None else len(first),
        "size": 4096 if shown is None else len(shown),
    }
    name = "VGG-19" + (" with batch norms" if batch_norm else "")
    backbone = load_weights(
        lambda: VGG19(**config),
        weights,
        path=path,
        what=f"{name}: features.0.weight … classifier.3.bias",
        unused=("classifier.6.",),
    )
    return described(
        Photos(),
        backbone,
        {"kind": "vgg19", **config},
        spec="vgg19_bn" if batch_norm else "vgg19",
        name=f"{name}, fc7 {'before' if before_relu else 'after'} its ReLU",
        preprocessing="shorter side 256 (bilinear), centre 224, mean and deviation of ImageNet",
        fitted_on="other (ImageNet-1k)" if path.name == usual.file_name else f"other ({path.name})",
    )

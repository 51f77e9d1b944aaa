"""The image encoder of the DSCMR paper: VGG-19, trained on ImageNet, up to fc7."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch

from commonspace.encoders.checkpoints import first_line, load_weights, read_weights
from commonspace.encoders.encoder import Encoder, describe
from commonspace.encoders.images import Photos
from commonspace.errors import DataError, FileFormatError, OutputError
from commonspace.networks.backbones.vgg19 import VGG19

__all__ = ["VGG19_URLS", "vgg19_encoder"]

VGG19_URLS = {
    False: "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    True: "https://download.pytorch.org/models/vgg19_bn-c79401a0.pth",
}
"""Whether it has batch norms -> the ImageNet checkpoint; its name has the start of its SHA-256."""

TIMEOUT = 30.0
"""Seconds without an answer after which a download ends."""


def vgg19_encoder(
    file: str | Path | None = None, *, batch_norm: bool = False, before_relu: bool = False
) -> Encoder:
    """Return VGG-19 with trained weights.

    Args:
        file: a checkpoint with the tensor names of the common ImageNet checkpoint, .pth or
            .safetensors; None: that checkpoint, from torch's cache of checkpoints or the web.
        batch_norm: the variant with batch norms.
        before_relu: fc7 before its ReLU.

    Raises:
        DataError: If there is no such file, or it cannot be downloaded.
        FileFormatError: If it is damaged, or the checkpoint of another architecture.
        OutputError: If the download cannot be written.
    """
    url = VGG19_URLS[batch_norm]
    path = _download(url) if file is None else Path(file)
    weights = read_weights(path)
    last = weights.get("classifier.3.weight")
    first = weights.get("features.0.weight")
    config: dict[str, Any] = {
        "batch_norm": batch_norm,
        "before_relu": before_relu,
        "width": 64 if first is None else len(first),
        "size": 4096 if last is None else len(last),
    }
    name = "VGG-19" + (" with batch norms" if batch_norm else "")
    backbone = load_weights(
        lambda: VGG19(**config),
        weights,
        path=path,
        what=f"{name}: features.0.weight … classifier.3.bias",
        unused=("classifier.6.",),
    )
    return describe(
        Photos(),
        backbone,
        {"kind": "vgg19", **config},
        spec="vgg19_bn" if batch_norm else "vgg19",
        name=f"{name}, fc7 {'before' if before_relu else 'after'} its ReLU",
        preprocessing="shorter side 256 (bilinear), centre 224, mean and deviation of ImageNet",
        fitted_on="other (ImageNet-1k)" if path.name == _name(url) else f"other ({path.name})",
    )


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _download(url: str) -> Path:
    """Return the file of torch's cache of checkpoints, downloaded and checked if it is missing."""
    target = Path(torch.hub.get_dir()) / "checkpoints" / _name(url)
    if target.exists():
        return target
    prefix = re.search(r"-([0-9a-f]+)\.", target.name)
    assert prefix is not None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _timeout(TIMEOUT):
            torch.hub.download_url_to_file(url, str(target), prefix[1], progress=False)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as exc:
        raise DataError(
            f"the weights {target.name} are not on this machine and cannot be downloaded",
            expected=f"an answer from {url}",
            found=str(getattr(exc, "reason", exc)),
            advice=f"download them on a machine with access and put them at {target}",
        ) from exc
    except RuntimeError as exc:
        raise FileFormatError(
            f"the file from {url} is not the expected one",
            expected=f"a SHA-256 that starts with {prefix[1]}",
            found=first_line(exc),
            advice="try again; if this persists, a proxy may be modifying the file",
        ) from exc
    except OSError as exc:
        raise OutputError(
            f"{target} could not be written",
            expected="a writable folder with enough space",
            found=exc.strerror or str(exc),
            advice="free some space, or set $TORCH_HOME to another folder",
        ) from exc
    return target


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Limit how long connections that are opened in the block wait for an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

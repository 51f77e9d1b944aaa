"""Pretrained encoders that are on this machine: the cache of the Hugging Face Hub, and of torch.

Nothing is downloaded, and no weights are read.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from commonspace.json_text import parse_json

__all__ = ["SUGGESTED", "InstalledEncoders", "find_encoders"]

SUGGESTED = {
    "image": "hf:google/mobilenet_v2_1.0_224",
    "text": "st:sentence-transformers/all-MiniLM-L6-v2",
}
"""Small encoders to suggest where none is installed: kind of column -> name."""

PREFERRED = (
    "google/siglip2-base-patch16-224",
    "google/siglip-base-patch16-224",
    "openai/clip-vit-base-patch32",
    "facebook/dinov2-base",
    "facebook/dinov2-small",
    "google/vit-base-patch16-224",
    "microsoft/resnet-50",
    "google/mobilenet_v2_1.0_224",
    "sentence-transformers/all-mpnet-base-v2",
    "sentence-transformers/all-MiniLM-L6-v2",
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
)
"""Models to take first, if several are installed; the others follow in alphabetical order."""

LARGEST = 700_000_000
"""Bytes of weights; larger networks are too slow to be taken without being asked for."""

VGG19 = "vgg19-dcbb9e9d.pth"


@dataclass(frozen=True)
class InstalledEncoders:
    """Names of installed encoders, best first, as ``encoder_from_spec`` reads them."""

    images: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def find_encoders(hub: Path | None = None, torch_home: Path | None = None) -> InstalledEncoders:
    """Return the pretrained encoders that are on this machine.

    Args:
        hub: the cache of the Hugging Face Hub; None: where the environment says, else
            ~/.cache/huggingface/hub.
        torch_home: the cache of torch; None: likewise, else ~/.cache/torch.
    """
    images, texts = [], []
    if find_spec("transformers") is not None:
        for name, snapshot in _snapshots(hub or _hub_folder()):
            if (snapshot / "modules.json").exists():
                texts.append(f"st:{name}")
            elif (snapshot / "preprocessor_config.json").exists() and _is_image_model(snapshot):
                images.append(f"hf:{name}")
    checkpoints = (torch_home or _torch_folder()) / "hub" / "checkpoints"
    if (checkpoints / VGG19).is_file():
        images.append("vgg19")
    return InstalledEncoders(tuple(images), tuple(texts))


def _snapshots(hub: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and folder of each cached model with its weights, in order of preference."""
    found = {}
    for folder in sorted(hub.glob("models--*")):
        name = folder.name.removeprefix("models--").replace("--", "/")
        snapshots = sorted((folder / "snapshots").glob("*"), key=lambda one: one.stat().st_mtime)
        if snapshots and 0 < _weights(snapshots[-1]) <= LARGEST:
            found[name] = snapshots[-1]
    known = [name for name in PREFERRED if name in found]
    for name in [*known, *(name for name in found if name not in known)]:
        yield name, found[name]


def _weights(snapshot: Path) -> int:
    """Return the size of the weights in bytes; 0 without weights or config."""
    files = [snapshot / name for name in ("model.safetensors", "pytorch_model.bin")]
    if not (snapshot / "config.json").exists():
        return 0
    return next((file.stat().st_size for file in files if file.exists()), 0)


def _is_image_model(snapshot: Path) -> bool:
    """Return whether the processor of a model reads images, rather than sound."""
    try:
        processor: Any = parse_json((snapshot / "preprocessor_config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(processor, dict) and ("image_mean" in processor or "size" in processor)


def _hub_folder() -> Path:
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"])
    home = os.environ.get("HF_HOME")
    return (Path(home) if home else _cache() / "huggingface") / "hub"


def _torch_folder() -> Path:
    home = os.environ.get("TORCH_HOME")
    return Path(home) if home else _cache() / "torch"


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base) if base else Path.home() / ".cache"

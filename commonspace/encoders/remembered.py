"""Remembered descriptions of text encoders, so that a search need not import transformers.

The description of an encoder that was loaded once lies in the cache as JSON. With it, and the
weights in the folder of the model, the encoder is built in plain torch. It is used only if its hash
over input, network and weights is that of the encoder which is wanted, and if it was loaded as the
same kind: with or without a cache, "hf:FOLDER" is not "st:FOLDER".
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from commonspace.atomic import replace_file
from commonspace.encoders.checkpoints import read_weights
from commonspace.encoders.encoder import Encoder, encoder_sha256, weights_sha256
from commonspace.encoders.inputs import input_from_config
from commonspace.errors import CommonspaceError
from commonspace.extras import optional
from commonspace.networks.backbones.bert import is_plain_bert
from commonspace.networks.backbones.build import backbone_from_config

__all__ = ["recall_encoder", "remember_encoder"]

_KINDS = ("st", "hf")
_OF_MODEL = "model."


def remember_encoder(cache: Path, encoder: Encoder) -> None:
    """Write the description of an encoder into the cache, if it can be built in plain torch.

    Args:
        cache: the cache folder. Where it cannot be written, nothing is stored.
        encoder: of texts or images.
    """
    if not _is_plain(_inner(encoder.backbone_config)[1]):
        return
    content = {
        "input": encoder.input.to_config(),
        "backbone": dict(encoder.backbone_config),
        "provenance": dict(encoder.provenance),
    }
    file = _file(cache, encoder.provenance["sha256"])
    with suppress(OSError, CommonspaceError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(file, overwrite=True) as draft:
            draft.write_text(json.dumps(content), "utf-8")


def recall_encoder(cache: Path, spec: str, sha256: str) -> Encoder | None:
    """Return an encoder from its remembered description and the weights of its model.

    Args:
        cache: the cache folder.
        spec: "st:FOLDER_OR_NAME" or "hf:FOLDER_OR_NAME".
        sha256: hash of the encoder.

    Returns:
        None if the description, the model or one of this hash is not on this machine, or the
        encoder was of the other kind.
    """
    kind, _, source = spec.partition(":")
    file = _file(cache, sha256)
    if kind not in _KINDS or not file.is_file():
        return None
    try:
        content = json.loads(file.read_text("utf-8"))
        if content["provenance"]["spec"] != kind:
            return None
        config = content["backbone"]
        prefix, inner = _inner(config)
        if not _is_plain(inner):
            return None
        backbone = backbone_from_config(config)
        weights = _plain_weights(_model_folder(source, kind))
        size = inner["config"]["hidden_size"]
        poolers = {  # zero where a checkpoint has none, as in ``load_model``
            "pooler.dense.weight": torch.zeros(size, size),
            "pooler.dense.bias": torch.zeros(size),
        }
        named = {f"{prefix}{_OF_MODEL}{name}": one for name, one in (poolers | weights).items()}
        backbone.load_state_dict(named)
        input_ = input_from_config(content["input"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, CommonspaceError):
        return None  # the encoder is then loaded as if it had not been remembered
    if encoder_sha256(input_, config, weights_sha256(backbone)) != sha256:
        return None
    return Encoder(input_, backbone.eval(), config, content["provenance"])


def _inner(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the prefix of the names of weights, and the description of the network itself."""
    if config.get("kind") == "mean_of_captions":
        return "backbone.", config["backbone"]
    return "", config


def _is_plain(config: Mapping[str, Any]) -> bool:
    return (
        config.get("kind") == "pretrained_texts"
        and is_plain_bert(config["config"])
        and not config.get("dense")
    )


def _model_folder(source: str, kind: str) -> Path:
    """Return the folder of the weights of a model that is on this machine."""
    if Path(source).is_dir():
        folder = Path(source)
    else:
        name = source if kind == "hf" or "/" in source else f"sentence-transformers/{source}"
        hub = optional("huggingface_hub", "a model by its name")
        folder = Path(hub.snapshot_download(name, local_files_only=True))
    if kind == "hf":
        return folder
    parts = json.loads((folder / "modules.json").read_text("utf-8"))
    return folder / str(parts[0]["path"])


def _plain_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a model by the names of its network: without that of its class."""
    files = [folder / name for name in ("model.safetensors", "pytorch_model.bin")]
    weights = read_weights(next((file for file in files if file.exists()), files[0]))
    for prefix in ("bert.", "roberta."):
        if any(name.startswith(f"{prefix}embeddings.") for name in weights):
            weights = {
                name.removeprefix(prefix): tensor
                for name, tensor in weights.items()
                if name.startswith(prefix)
            }
    return {
        name: tensor.float()
        for name, tensor in weights.items()
        if name.startswith(("embeddings.", "encoder.", "pooler."))
        and not name.endswith("position_ids")
    }


def _file(cache: Path, sha256: str) -> Path:
    return cache / "encoders" / f"{sha256}.json"

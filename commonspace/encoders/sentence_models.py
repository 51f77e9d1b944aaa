"""Models of sentence-transformers, from their folder: a transformer, a pooling, what follows.

The folder says in ``modules.json`` which parts the model has. Transformer, Pooling, Dense and
Normalize are read; they make nearly all of the published models. The library itself is not needed.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from commonspace.encoders.checkpoints import load_model, model_config, unreachable
from commonspace.encoders.encoder import Encoder, described
from commonspace.encoders.pretrained import tokens_input
from commonspace.encoders.weights import read_weights
from commonspace.errors import DataError, FileFormatError
from commonspace.extras import optional
from commonspace.networks.backbones.pretrained import TEXT_POOLINGS, PretrainedTexts

__all__ = ["sentence_encoder"]


def sentence_encoder(source: str) -> Encoder:
    """Return a model of sentence-transformers as an encoder.

    Args:
        source: its folder, or its name on the hub; without an owner, that is sentence-transformers.

    Raises:
        DataError: the model is not on this machine and cannot be downloaded, or has a part that is
            not read here.
        FileFormatError: its files are damaged.
        MissingExtraError: transformers is not installed.
    """
    folder = _folder(source)
    parts = _json(folder / "modules.json")
    kinds = [str(part["type"]).rpartition(".")[2] for part in parts]
    places = [folder / part["path"] for part in parts]
    dense = [place for kind, place in zip(kinds, places, strict=True) if kind == "Dense"]
    unit_length = kinds[-1] == "Normalize"
    if kinds != ["Transformer", "Pooling", *["Dense"] * len(dense), *["Normalize"] * unit_length]:
        raise DataError(
            f"the model {source} has parts that are not read here",
            expected="Transformer, Pooling, any number of Dense, perhaps Normalize",
            found=", ".join(kinds),
            advice="choose another model, or make the features with sentence-transformers and give"
            " them as a file",
        )
    settings = _json(places[0] / "sentence_bert_config.json", default={})
    model, _ = load_model(str(places[0]), "text")
    input_, padding = tokens_input(str(places[0]), model, settings.get("max_seq_length"))
    layers = [_layer(place) for place in dense]
    config: dict[str, Any] = {
        "config": model_config(model),
        "pooling": _pooling(_json(places[1] / "config.json"), source),
        "size": layers[-1][1] if layers else int(model.config.hidden_size),  # type: ignore[union-attr, arg-type]
        "padding": padding,
        "dense": layers,
        "unit_length": unit_length,
    }
    with torch.device("meta"):  # its own weights are not needed
        backbone = PretrainedTexts(**config)
    backbone.model = model
    _fill(backbone.dense, dense)
    name = folder.name if Path(source).is_dir() else source
    return described(
        input_,
        backbone,
        {"kind": "pretrained_texts", **config},
        spec="st",
        name=f"{name} ({config['pooling']}{', unit length' if unit_length else ''})",
        preprocessing=f"its own tokenizer, at most {input_.maximum_length} tokens",
        fitted_on=f"other (as the checkpoint {name} was)",
    )


def _folder(source: str) -> Path:
    """Return the folder of a model, from this machine if it is there, else from the hub."""
    if Path(source).is_dir():
        return Path(source)
    hub = optional("huggingface_hub", "a model by its name")
    name = source if "/" in source else f"sentence-transformers/{source}"
    unneeded = ["*.onnx", "*.h5", "*.msgpack", "*.ot", "onnx/*", "openvino/*"]
    try:
        return Path(hub.snapshot_download(name, local_files_only=True))
    except Exception:  # not here: whatever the reason, the hub decides
        try:
            return Path(hub.snapshot_download(name, ignore_patterns=unneeded))
        except Exception as exc:
            raise unreachable(source, exc) from exc


def _json(path: Path, default: Any = None) -> Any:  # noqa: ANN401 - any JSON
    if default is not None and not path.exists():
        return default
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise FileFormatError(
            f"{path} cannot be read",
            expected="a folder as sentence-transformers saves its models",
            found="no such file" if not path.exists() else str(exc),
            advice="name the folder that holds modules.json, or hf:FOLDER for a plain transformer",
        ) from exc


def _pooling(config: dict[str, Any], source: str) -> str:
    """Return the one way to pool, from the present or the former way to write it."""
    older = [key.removeprefix("pooling_mode_") for key, on in config.items() if on is True]
    names = {"cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max"}
    modes = config.get("pooling_mode") or [names.get(one, one) for one in older]
    chosen = (
        [modes] if isinstance(modes, str) else [one for one in modes if one != "include_prompt"]
    )
    if len(chosen) != 1 or chosen[0] not in TEXT_POOLINGS:
        raise DataError(
            f"the model {source} pools in a way that is not known here",
            expected="one of mean, max, cls, lasttoken",
            found=", ".join(chosen) or "none",
            advice="choose another model",
        )
    return str(chosen[0])


def _layer(place: Path) -> tuple[int, int, bool, str]:
    config = _json(place / "config.json")
    library, _, activation = str(config["activation_function"]).rpartition(".")
    if not library.startswith("torch.nn") or config.get("use_residual"):
        raise DataError(
            f"the layer {place} is not a plain one",
            expected="a linear layer and an activation of torch.nn",
            found=str(config),
            advice="choose another model",
        )
    return config["in_features"], config["out_features"], bool(config.get("bias", True)), activation


def _fill(layers: nn.Sequential, places: list[Path]) -> None:
    for layer, place in zip(layers, places, strict=True):
        files = [place / name for name in ("model.safetensors", "pytorch_model.bin")]
        path = next((file for file in files if file.exists()), files[0])
        weights = {
            f"0.{name.removeprefix('linear.')}": tensor.float()
            for name, tensor in read_weights(path).items()
        }
        try:
            layer.load_state_dict(weights, assign=True)
        except RuntimeError as exc:
            raise FileFormatError(
                f"{path} does not fit its config.json",
                expected="linear.weight and linear.bias of the sizes that it names",
                found=str(exc).splitlines()[-1].strip(),
                advice="fetch the model again",
            ) from exc

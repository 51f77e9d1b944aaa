"""Text encoders from models of sentence-transformers: a transformer, a pooling, and further layers.

``modules.json`` in the folder of a model lists its parts. Transformer, Pooling, Dense and Normalize
are supported, which nearly all published models consist of. The library itself is not needed, and
no code that a folder contains is run.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from commonspace.encoders.checkpoints import hub_folder, load_model, model_config, read_weights
from commonspace.encoders.encoder import Encoder, describe
from commonspace.encoders.huggingface import tokens_input
from commonspace.errors import DataError, FileFormatError
from commonspace.json_text import parse_json
from commonspace.networks.backbones.pretrained import ACTIVATIONS, TEXT_POOLINGS, PretrainedTexts

__all__ = ["sentence_encoder"]

LARGEST = 2**20
"""Numbers in a vector; more is a damaged config."""


def sentence_encoder(source: str) -> Encoder:
    """Return a model of sentence-transformers as an encoder.

    Args:
        source: its folder, or its name on the hub; the default owner is sentence-transformers.

    Raises:
        DataError: If the model is not on this machine and cannot be downloaded, or has a part that
            is not supported.
        FileFormatError: If its files are damaged.
        MissingExtraError: If transformers is not installed.
    """
    local = Path(source).is_dir() or "/" in source
    folder = hub_folder(source if local else f"sentence-transformers/{source}")
    parts = _parts(folder / "modules.json")
    kinds, places = [kind for kind, _ in parts], [place for _, place in parts]
    dense = [place for kind, place in parts if kind == "Dense"]
    unit_length = kinds[-1:] == ["Normalize"]
    if kinds != ["Transformer", "Pooling", *["Dense"] * len(dense), *["Normalize"] * unit_length]:
        raise DataError(
            f"the model {source} has parts that are not supported",
            expected="Transformer, Pooling, any number of Dense, perhaps Normalize",
            found=", ".join(kinds),
            advice="choose another model, or make the features with sentence-transformers and give"
            " them as a file",
        )
    settings = _settings(places[0] / "sentence_bert_config.json", optional=True)
    longest = settings.get("max_seq_length")
    if longest is not None and (type(longest) is not int or longest < 1):
        raise _damaged(places[0] / "sentence_bert_config.json", f"max_seq_length: {longest!r}"[:80])
    model, _ = load_model(str(places[0]), "text")
    input_, padding = tokens_input(str(places[0]), model, longest)
    layers = [_layer(place) for place in dense]
    config: dict[str, Any] = {
        "config": model_config(model),
        "pooling": _pooling(_settings(places[1] / "config.json"), source),
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
    return describe(
        input_,
        backbone,
        {"kind": "pretrained_texts", **config},
        spec="st",
        name=f"{name} ({config['pooling']}{', unit length' if unit_length else ''})",
        preprocessing=f"its own tokenizer, at most {input_.maximum_length} tokens",
        fitted_on=f"other (as the checkpoint {name} was)",
    )


def _parts(path: Path) -> list[tuple[str, Path]]:
    """Return the kind of each part of a model, and its folder."""
    listed = _json(path)
    if not isinstance(listed, list):
        raise _damaged(path, f"a JSON {type(listed).__name__} in place of a list")
    parts = []
    for part in listed:
        known: dict[str, Any] = part if isinstance(part, dict) else {}
        kind, place = known.get("type"), known.get("path")
        if not isinstance(kind, str) or not isinstance(place, str):
            raise _damaged(path, f"a part without type and path: {part!r}"[:80])
        if "\0" in place or Path(place).is_absolute() or ".." in Path(place).parts:
            raise _damaged(path, f"a part outside of the folder: {place!r}"[:80])
        parts.append((kind.rpartition(".")[2], path.parent / place))
    return parts


def _settings(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Return the object in a JSON file; {} if an optional one is missing."""
    if optional and not path.exists():
        return {}
    content = _json(path)
    if not isinstance(content, dict):
        raise _damaged(path, f"a JSON {type(content).__name__} in place of an object")
    return content


def _json(path: Path) -> Any:  # noqa: ANN401 - any JSON
    try:
        return parse_json(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise _damaged(path, "no such file") from exc
    except (OSError, ValueError) as exc:
        raise _damaged(path, str(exc)[:200]) from exc


def _damaged(path: Path, found: str) -> FileFormatError:
    return FileFormatError(
        f"{path} cannot be read",
        expected="a folder as sentence-transformers saves its models",
        found=found,
        advice="name the folder that holds modules.json, or hf:FOLDER for a plain transformer",
    )


def _pooling(config: dict[str, Any], source: str) -> str:
    """Return the pooling, from the present or the former layout of its config."""
    flags = [key.removeprefix("pooling_mode_") for key, on in config.items() if on is True]
    names = {"cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max"}
    modes = config.get("pooling_mode") or [names.get(flag, flag) for flag in flags]
    modes = [modes] if isinstance(modes, str) else [m for m in modes if m != "include_prompt"]
    if len(modes) != 1 or modes[0] not in TEXT_POOLINGS:
        raise DataError(
            f"the pooling of the model {source} is not supported",
            expected="one of mean, max, cls, lasttoken",
            found=", ".join(modes) or "none",
            advice="choose another model",
        )
    return str(modes[0])


def _layer(place: Path) -> tuple[int, int, bool, str]:
    config = _settings(place / "config.json")
    library, _, activation = str(config.get("activation_function")).rpartition(".")
    sizes: list[Any] = [config.get("in_features"), config.get("out_features")]
    if (
        not library.startswith("torch.nn")
        or activation not in ACTIVATIONS
        or config.get("use_residual")
        or not all(type(size) is int and 0 < size < LARGEST for size in sizes)
    ):
        raise DataError(
            f"the layer {place} is not supported",
            expected="a linear layer and an activation of torch.nn",
            found=str(config)[:200],
            advice="choose another model",
        )
    return sizes[0], sizes[1], bool(config.get("bias", True)), activation


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
                advice="download the model again",
            ) from exc

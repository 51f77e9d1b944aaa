"""Encoders of today: any image or text model of transformers, by name or from a local folder.

This module knows nothing of data sets, and nothing of where a checkpoint comes from.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from commonspace.encoders.checkpoints import first_line, load_model, load_part, model_config, plain
from commonspace.encoders.encoder import Encoder, described
from commonspace.encoders.processed import Processed
from commonspace.encoders.tokens import Tokens
from commonspace.errors import DataError
from commonspace.extras import optional
from commonspace.networks.backbones.pretrained import (
    IMAGE_POOLINGS,
    PretrainedImages,
    PretrainedTexts,
)

__all__ = ["image_encoder", "text_encoder", "tokens_input"]

_PROBE = "A tall red-brown dog; it isn't here?"
_LONGEST = 512
_FILLED_UP = ("siglip", "siglip2")  # trained on rows of one length


def image_encoder(source: str) -> Encoder:
    """Return an image model of transformers as an encoder.

    Its vector is the projection of its image tower where it joins images and texts (CLIP, SigLIP),
    else what its own pooler gives, else the mean over the places of its last layer; the facts say
    which.

    Args:
        source: a folder, or the name of a model on the hub.

    Raises:
        DataError: the model is not on this machine and cannot be downloaded, or reads no pictures.
        FileFormatError: its files are damaged, or of another architecture.
        MissingExtraError: transformers is not installed.
    """
    transformers = optional("transformers", "an image model of transformers")
    processor = load_part(transformers.AutoImageProcessor, source, backend="pil")
    model, without_pooler = load_model(source, "image")
    settings = {
        key: value for key, value in plain(processor.to_dict()).items() if not key.startswith("_")
    }
    settings.pop("image_processor_type", None)
    settings.pop("processor_class", None)
    as_bytes = bool(
        settings.get("do_rescale")
        and settings.get("do_normalize")
        and abs(settings.get("rescale_factor", 0) - 1 / 255) < 1e-9
    )
    input_ = Processed(type(processor).__name__, settings, as_bytes)
    config: dict[str, Any] = {
        "config": model_config(model),
        "mean": list(settings["image_mean"]) if as_bytes else None,
        "std": list(settings["image_std"]) if as_bytes else None,
    }
    pooling, size = _image_pooling(model, without_pooler, input_, config, source)
    config |= {"pooling": pooling, "size": size}
    backbone = _around(PretrainedImages, config, model)
    return described(
        input_,
        backbone,
        {"kind": "pretrained_images", **config},
        spec="hf",
        name=f"{_short(source)} ({config['config']['model_type']}, {pooling})",
        preprocessing=_sentence(input_, settings),
        fitted_on=f"other (as the checkpoint {_short(source)} was)",
    )


def text_encoder(source: str) -> Encoder:
    """Return a text model of transformers as an encoder.

    Its vector is the projection of its text tower where it joins images and texts, else the mean
    over the tokens of its last layer.

    Args:
        source: a folder, or the name of a model on the hub.

    Raises:
        DataError: the model is not on this machine and cannot be downloaded, or reads no text.
        FileFormatError: its files are damaged, or of another architecture.
        MissingExtraError: transformers is not installed.
    """
    model, _ = load_model(source, "text")
    input_, padding = tokens_input(source, model)
    pooling = "text tower" if hasattr(model, "get_text_features") else "mean"
    config: dict[str, Any] = {
        "config": model_config(model),
        "pooling": pooling,
        "size": _text_size(model, pooling),
        "padding": padding,
    }
    backbone = _around(PretrainedTexts, config, model)
    return described(
        input_,
        backbone,
        {"kind": "pretrained_texts", **config},
        spec="hf",
        name=f"{_short(source)} ({config['config']['model_type']}, {pooling})",
        preprocessing=f"its own tokenizer, at most {input_.maximum_length} tokens",
        fitted_on=f"other (as the checkpoint {_short(source)} was)",
    )


def tokens_input(source: str, model: nn.Module, longest: int | None = None) -> tuple[Tokens, int]:
    """Return the input made of the model's tokenizer, and the number of its filling token.

    Args:
        source: a folder, or the name of a model on the hub.
        model: the model, which knows how many places it has.
        longest: how many tokens to keep at most; None: as many as model and tokenizer allow.

    Raises:
        DataError: it has no tokenizer, or one that is more than a tokenizer file.
    """
    transformers = optional("transformers", "a text model of transformers")
    tokenizer = load_part(transformers.AutoTokenizer, source)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise DataError(
            f"the tokenizer of {source} cannot be kept in a saved space",
            expected="one of the library tokenizers (tokenizer.json)",
            found=type(tokenizer).__name__,
            advice="choose another text model",
        )
    config: Any = model.config
    config = getattr(config, "text_config", config)
    places = getattr(config, "max_position_embeddings", _LONGEST)
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        places -= 2  # two places are taken by the padding's offset
    length = min(longest or _LONGEST, tokenizer.model_max_length, places)
    padding = 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    filled = str(model.config.model_type).startswith(_FILLED_UP)  # type: ignore[union-attr]
    input_ = Tokens(json.loads(backend.to_str()), length, padding if filled else None)
    ours = [number for number in input_([_PROBE])[0].tolist() if number >= 0]
    theirs = tokenizer(_PROBE, truncation=True, max_length=length)["input_ids"]
    if ours[: len(theirs)] != theirs:
        raise DataError(
            f"the tokenizer of {source} does more than its tokenizer file says",
            expected=f"{theirs} for {_PROBE!r}",
            found=f"{ours}",
            advice="choose another text model",
        )
    return input_, padding


def _around(build: Callable[..., nn.Module], config: dict[str, Any], model: nn.Module) -> nn.Module:
    """Return a backbone that holds a model that is already loaded."""
    with torch.device("meta"):  # its own weights are not needed
        backbone = build(**config)
    backbone.model = model
    return backbone.eval()


def _image_pooling(
    model: nn.Module, without_pooler: bool, input_: Processed, config: dict[str, Any], source: str
) -> tuple[str, int]:
    blank = input_([torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()])
    names = ["image tower"] if hasattr(model, "get_image_features") else ["pooler", "mean"]
    found = ""
    for name in names:
        if name == "pooler" and without_pooler:
            continue  # fresh weights would stand in its place
        backbone = _around(PretrainedImages, {**config, "pooling": name, "size": 0}, model)
        try:
            with torch.inference_mode():
                return name, int(backbone(blank).shape[1])
        except (AttributeError, TypeError, ValueError, RuntimeError) as exc:
            found = first_line(exc)
    raise DataError(
        f"{source} gives no vector for a picture",
        expected=f"a model with one of: {', '.join(IMAGE_POOLINGS)}",
        found=f"{type(model).__name__}: {found}",
        advice="choose an image model, or one with an image tower",
    )


def _text_size(model: nn.Module, pooling: str) -> int:
    config: Any = model.config
    if pooling == "text tower":
        text = getattr(config, "text_config", config)
        return int(getattr(text, "projection_size", None) or config.projection_dim)
    return int(config.hidden_size)


def _short(source: str) -> str:
    return Path(source).resolve().name if Path(source).is_dir() else source


def _sentence(input_: Processed, settings: dict[str, Any]) -> str:
    parts = [input_.processor]
    for key in ("size", "crop_size", "resample", "image_mean", "image_std"):
        if settings.get(key) is not None:
            shown = json.dumps(settings[key]).replace('"', "").strip("{}")
            parts.append(f"{key.replace('_', ' ')} {shown}")
    return ", ".join(parts)

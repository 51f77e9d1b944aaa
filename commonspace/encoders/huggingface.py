"""Encoders from image and text models of transformers, by name or from a local folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from commonspace.encoders.checkpoints import (
    as_json,
    first_line,
    load_model,
    load_part,
    model_config,
)
from commonspace.encoders.encoder import Encoder, describe
from commonspace.encoders.forms import ImageModel, InputForm
from commonspace.encoders.images import Photos, Processed
from commonspace.encoders.inputs import Input
from commonspace.encoders.texts import Tokens
from commonspace.errors import DataError, SettingError
from commonspace.extras import optional
from commonspace.networks.backbones.pretrained import (
    IMAGE_POOLINGS,
    PretrainedImages,
    PretrainedTexts,
)

__all__ = ["image_encoder", "image_model", "text_encoder", "tokens_input"]

_PROBE = "A tall red-brown dog; it isn't here?"
_LONGEST = 512
_FIXED_LENGTH = ("siglip", "siglip2")  # trained on rows of one length


def image_encoder(source: str, form: InputForm | None = None) -> Encoder:
    """Return an image model of transformers as an encoder.

    Its vector is the projection of its image tower if it joins images and texts (CLIP, SigLIP),
    else the output of its pooler, else the mean over the positions of its last layer; the
    provenance names which.

    Args:
        source: a folder, or the name of a model on the hub.
        form: how it sees a photo; None: by its own image processor.

    Raises:
        DataError: If the model is not on this machine and cannot be downloaded, needs code of its
            own, or is not an image model.
        FileFormatError: If its files are damaged, or of another architecture.
        MissingExtraError: If transformers is not installed.
        SettingError: If the model does not support the form.
    """
    return image_model(source).build(form or InputForm())


def image_model(source: str) -> ImageModel:
    """Load an image model of transformers whose input form is still open.

    Raises:
        DataError, FileFormatError, MissingExtraError: As for ``image_encoder``.
    """
    transformers = optional("transformers", "an image model of transformers")
    processor = load_part(transformers.AutoImageProcessor, source, backend="pil")
    model, without_pooler = load_model(source, "image")
    settings = {
        key: value for key, value in as_json(processor.to_dict()).items() if not key.startswith("_")
    }
    for key in ("auto_map", "image_processor_type", "processor_class"):
        settings.pop(key, None)
    as_bytes = bool(
        settings.get("do_rescale")
        and settings.get("do_normalize")
        and abs(settings.get("rescale_factor", 0) - 1 / 255) < 1e-9
    )
    own = Processed(type(processor).__name__, settings, as_bytes)
    config: dict[str, Any] = {
        "config": model_config(model),
        "mean": list(settings["image_mean"]) if as_bytes else None,
        "std": list(settings["image_std"]) if as_bytes else None,
    }
    blank = own([np.zeros((64, 64, 3), dtype=np.uint8)])
    pooling = _image_pooling(model, without_pooler, blank, config, source)
    side = int(blank.shape[-1])

    def build(form: InputForm) -> Encoder:
        input_ = _image_input(own, form, side)
        pooled = pooling + "+max" * (form.pooling == "mean+max")
        if pooled not in IMAGE_POOLINGS:
            raise _unsupported(source, form, "its projection has no feature map")
        full = {**config, "pooling": pooled, "size": 0, "views": form.views}
        backbone = _around(PretrainedImages, full, model)
        try:
            with torch.inference_mode():
                full["size"] = int(backbone(input_([_BLANK])).shape[1])
        except (AttributeError, TypeError, ValueError, RuntimeError) as exc:
            raise _unsupported(source, form, first_line(exc)) from exc
        return describe(
            input_,
            _around(PretrainedImages, full, model),
            {"kind": "pretrained_images", **full},
            spec="hf",
            name=f"{_short(source)} ({config['config']['model_type']}, {pooled})",
            preprocessing=_sentence(own, settings) if input_ is own else str(form),
            fitted_on=f"other (as the checkpoint {_short(source)} was)",
            more={"input_form": str(form)},
        )

    return ImageModel(_short(source), side, build)


def text_encoder(source: str) -> Encoder:
    """Return a text model of transformers as an encoder.

    Its vector is the projection of its text tower if it joins images and texts, else the mean over
    the tokens of its last layer.

    Args:
        source: a folder, or the name of a model on the hub.

    Raises:
        DataError: If the model is not on this machine and cannot be downloaded, needs code of its
            own, or is not a text model.
        FileFormatError: If its files are damaged, or of another architecture.
        MissingExtraError: If transformers is not installed.
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
    return describe(
        input_,
        _around(PretrainedTexts, config, model),
        {"kind": "pretrained_texts", **config},
        spec="hf",
        name=f"{_short(source)} ({config['config']['model_type']}, {pooling})",
        preprocessing=f"its own tokenizer, at most {input_.maximum_length} tokens",
        fitted_on=f"other (as the checkpoint {_short(source)} was)",
    )


def tokens_input(source: str, model: nn.Module, longest: int | None = None) -> tuple[Tokens, int]:
    """Return the input with the tokenizer of a model, and the number of its filling token.

    Args:
        source: a folder, or the name of a model on the hub.
        model: the model, which limits the length.
        longest: maximum number of tokens; None: as many as model and tokenizer allow.

    Raises:
        DataError: If it has no tokenizer, or one that is more than a tokenizer file.
    """
    transformers = optional("transformers", "a text model of transformers")
    tokenizer = load_part(transformers.AutoTokenizer, source)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise DataError(
            f"the tokenizer of {source} cannot be stored in a saved space",
            expected="a tokenizer of the library tokenizers (tokenizer.json)",
            found=type(tokenizer).__name__,
            advice="choose another text model",
        )
    config: Any = model.config
    config = getattr(config, "text_config", config)
    positions = getattr(config, "max_position_embeddings", _LONGEST)
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        positions -= 2  # the offset of the padding takes two
    length = min(longest or _LONGEST, tokenizer.model_max_length, positions)
    if type(length) is not int or length < 1:
        raise DataError(
            f"the longest text of {source} is not a number of tokens",
            expected="a whole number >= 1",
            found=repr(length)[:40],
            advice="download its files again",
        )
    padding = 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    filled = str(model.config.model_type).startswith(_FIXED_LENGTH)  # type: ignore[union-attr]
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


_BLANK = np.zeros((64, 64, 3), dtype=np.uint8)


def _around(build: Callable[..., nn.Module], config: dict[str, Any], model: nn.Module) -> nn.Module:
    """Return a backbone with a model that is loaded already."""
    with torch.device("meta"):  # its own weights are not needed
        backbone = build(**config)
    backbone.model = model
    return backbone.eval()


def _image_input(own: Processed, form: InputForm, side: int) -> Input:
    """Return the model's own processor for its own crop, else the whole photo at one side."""
    wanted = form.side or side
    if form.form == "crop" and wanted == side:
        return own
    if not own.as_bytes:
        raise _unsupported(own.processor, form, "its image processor is not a plain scaling")
    resize = own.settings.get("size", {}).get("shortest_edge", side)
    return Photos(round(resize * wanted / side), wanted, form.form)


def _image_pooling(
    model: nn.Module, without_pooler: bool, blank: torch.Tensor, config: dict[str, Any], source: str
) -> str:
    names = ["image tower"] if hasattr(model, "get_image_features") else ["pooler", "mean"]
    message = ""
    for name in names:
        if name == "pooler" and without_pooler:
            continue  # its weights are missing
        backbone = _around(PretrainedImages, {**config, "pooling": name, "size": 0}, model)
        try:
            with torch.inference_mode():
                backbone(blank)
            return name
        except (AttributeError, TypeError, ValueError, RuntimeError) as exc:
            message = first_line(exc)
    raise DataError(
        f"{source} gives no vector for an image",
        expected="a model with an image tower, a pooler or a last layer",
        found=f"{type(model).__name__}: {message}",
        advice="choose an image model, or one with an image tower",
    )


def _unsupported(source: str, form: InputForm, reason: str) -> SettingError:
    return SettingError(
        f"the input form {form} is not supported by {source}",
        expected="a form that the network can read",
        found=reason,
        advice="write --input-form auto, which tries what the network supports",
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

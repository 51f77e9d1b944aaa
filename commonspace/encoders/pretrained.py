"""Encoders of today: any image or text model of transformers, by name or from a local folder.

What is on this machine is used first and the net only for what is not. Code that comes with a
checkpoint is never run. This module knows nothing of data sets.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from commonspace.encoders.encoder import Encoder, described
from commonspace.encoders.processed import Processed
from commonspace.encoders.tokens import Tokens
from commonspace.errors import DataError, FileFormatError
from commonspace.extras import optional
from commonspace.networks.pretrained import (
    IMAGE_POOLINGS,
    PretrainedImages,
    PretrainedTexts,
    keep_tower,
)

__all__ = [
    "image_encoder",
    "load_model",
    "model_config",
    "text_encoder",
    "tokens_input",
    "unreachable",
]

_POOLERS = ("pooler.", "vision_model.pooler.", "text_model.pooler.")
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
    processor = _load(transformers.AutoImageProcessor, source, backend="pil")
    model, without_pooler = load_model(source, "image")
    settings = {
        key: value for key, value in _plain(processor.to_dict()).items() if not key.startswith("_")
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
    trunk = _around(PretrainedImages, config, model)
    return described(
        input_,
        trunk,
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
    trunk = _around(PretrainedTexts, config, model)
    return described(
        input_,
        trunk,
        {"kind": "pretrained_texts", **config},
        spec="hf",
        name=f"{_short(source)} ({config['config']['model_type']}, {pooling})",
        preprocessing=f"its own tokenizer, at most {input_.maximum_length} tokens",
        fitted_on=f"other (as the checkpoint {_short(source)} was)",
    )


def load_model(source: str, tower: str) -> tuple[nn.Module, bool]:
    """Load the model itself, float32, in evaluation mode, and tell whether it lacks a pooler.

    Args:
        source: a folder, or the name of a model on the hub.
        tower: "image" or "text": which half of a model that joins them.

    Raises:
        DataError: it is not on this machine and cannot be downloaded.
        FileFormatError: its files are damaged, or lack weights.
        MissingExtraError: transformers is not installed.
    """
    transformers = optional("transformers", "a model of transformers")
    model, report = _load(
        transformers.AutoModel, source, output_loading_info=True, dtype=torch.float32
    )
    keep_tower(model, tower)
    here = set(model.state_dict())
    missing = {name for name in report["missing_keys"] if name in here}
    poolers = {name for name in missing if name.startswith(_POOLERS)}
    if missing - poolers or report["mismatched_keys"]:
        first = sorted(missing - poolers) or sorted(map(str, report["mismatched_keys"]))
        raise FileFormatError(
            f"the checkpoint of {source} is that of another architecture",
            expected=f"the weights of {type(model).__name__}, as its config.json says",
            found=f"{len(first)} of them missing or of another shape, first {first[0]}",
            advice="fetch config.json and the weights from one place",
        )
    for name in poolers:  # never used; fresh weights would give the model another hash each time
        model.get_parameter(name).data.zero_()
    return model.eval(), bool(poolers)


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
    tokenizer = _load(transformers.AutoTokenizer, source)
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


def model_config(model: nn.Module) -> dict[str, Any]:
    """Return the configuration of a model, without names of classes and places on this machine."""
    config: dict[str, Any] = _plain(model.config.to_dict())  # type: ignore[union-attr, operator]
    for key in ("_name_or_path", "id2label", "label2id", "architectures", "transformers_version"):
        config.pop(key, None)
    return config


def _load(kind: Any, source: str, **options: Any) -> Any:  # noqa: ANN401 - transformers' own
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise DataError(
            f"{folder} holds no model",
            expected="config.json and the weights, as transformers saves them",
            found=", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing",
            advice="name the folder that holds config.json",
        )
    with _quiet():
        try:
            return kind.from_pretrained(source, local_files_only=True, **options)
        except Exception as local:  # what is damaged makes transformers raise nearly anything
            if folder.is_dir():
                raise _damaged(source, local) from local
        try:
            return kind.from_pretrained(source, **options)
        except Exception as exc:
            raise unreachable(source, exc) from exc


def unreachable(source: str, exc: Exception) -> DataError:
    """Return the error that says how to bring a model that cannot be downloaded."""
    return DataError(
        f"the model {source!r} is not on this machine and cannot be downloaded",
        expected="a folder, or a name that the hub knows",
        found=_first_line(exc),
        advice=f"where there is access: hf download {source} --local-dir FOLDER;"
        " bring FOLDER here and name it: hf:FOLDER or st:FOLDER",
    )


def _damaged(source: str, exc: Exception) -> FileFormatError:
    return FileFormatError(
        f"the model in {source} cannot be loaded",
        expected="the files of one model, as transformers saves them",
        found=_first_line(exc),
        advice="fetch its files again",
    )


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and reports while it loads."""
    logging = optional("transformers", "a model of transformers").logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _around(build: Callable[..., nn.Module], config: dict[str, Any], model: nn.Module) -> nn.Module:
    """Return a trunk that holds a model that is already loaded."""
    with torch.device("meta"):  # its own weights are not needed
        trunk = build(**config)
    trunk.model = model
    return trunk.eval()


def _image_pooling(
    model: nn.Module, without_pooler: bool, input_: Processed, config: dict[str, Any], source: str
) -> tuple[str, int]:
    blank = input_([torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()])
    names = ["image tower"] if hasattr(model, "get_image_features") else ["pooler", "mean"]
    found = ""
    for name in names:
        if name == "pooler" and without_pooler:
            continue  # fresh weights would stand in its place
        trunk = _around(PretrainedImages, {**config, "pooling": name, "size": 0}, model)
        try:
            with torch.inference_mode():
                return name, int(trunk(blank).shape[1])
        except (AttributeError, TypeError, ValueError, RuntimeError) as exc:
            found = _first_line(exc)
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


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return settings as plain JSON: tuples as lists, keys as strings."""
    return json.loads(json.dumps(value, default=str))


def _short(source: str) -> str:
    return Path(source).resolve().name if Path(source).is_dir() else source


def _sentence(input_: Processed, settings: dict[str, Any]) -> str:
    parts = [input_.processor]
    for key in ("size", "crop_size", "resample", "image_mean", "image_std"):
        if settings.get(key) is not None:
            shown = json.dumps(settings[key]).replace('"', "").strip("{}")
            parts.append(f"{key.replace('_', ' ')} {shown}")
    return ", ".join(parts)

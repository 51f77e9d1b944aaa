"""Checkpoints of transformers: from this machine first, and from the net only what is not here.

Code that comes with a checkpoint is never run. This module knows nothing of encoders.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from commonspace.errors import DataError, FileFormatError
from commonspace.extras import optional
from commonspace.networks.backbones.pretrained import keep_tower

__all__ = ["first_line", "load_model", "load_part", "model_config", "plain", "unreachable"]

_POOLERS = ("pooler.", "vision_model.pooler.", "text_model.pooler.")


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
    model, report = load_part(
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


def model_config(model: nn.Module) -> dict[str, Any]:
    """Return the configuration of a model, without names of classes and places on this machine."""
    config: dict[str, Any] = plain(model.config.to_dict())  # type: ignore[union-attr, operator]
    for key in ("_name_or_path", "id2label", "label2id", "architectures", "transformers_version"):
        config.pop(key, None)
    return config


def load_part(kind: Any, source: str, **options: Any) -> Any:  # noqa: ANN401 - transformers' own
    """Return what a class of transformers loads from a folder or by name.

    Args:
        kind: the class, with ``from_pretrained``.
        source: a folder, or the name of a model on the hub.
        options: of ``from_pretrained``.

    Raises:
        DataError: it is not on this machine and cannot be downloaded.
        FileFormatError: its files are damaged.
    """
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
        found=first_line(exc),
        advice=f"where there is access: hf download {source} --local-dir FOLDER;"
        " bring FOLDER here and name it: hf:FOLDER or st:FOLDER",
    )


def _damaged(source: str, exc: Exception) -> FileFormatError:
    return FileFormatError(
        f"the model in {source} cannot be loaded",
        expected="the files of one model, as transformers saves them",
        found=first_line(exc),
        advice="fetch its files again",
    )


def first_line(exc: BaseException) -> str:
    """Return the first line of what an error says, or its name."""
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


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return settings as plain JSON: tuples as lists, keys as strings."""
    return json.loads(json.dumps(value, default=str))

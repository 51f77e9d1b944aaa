"""Checkpoints: tensors from files, and models of transformers from folders or the hub.

No code that comes with a checkpoint is ever run: files are read without unpickling objects, and a
model that needs code of its own is an error.
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from commonspace.errors import DataError, FileFormatError
from commonspace.extras import optional
from commonspace.networks.backbones.pretrained import keep_tower

__all__ = [
    "as_json",
    "first_line",
    "hub_folder",
    "load_model",
    "load_part",
    "load_weights",
    "model_config",
    "read_weights",
]

HUB_TIMEOUT = 10.0
"""Seconds after which a hub that does not answer is out of reach."""

_POOLERS = ("pooler.", "vision_model.pooler.", "text_model.pooler.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a ``.safetensors`` file, or from one that torch.save wrote.

    Raises:
        DataError: If there is no such file.
        FileFormatError: If it is damaged, truncated, or contains anything but named tensors.
    """
    if not path.is_file():
        raise DataError(
            f"there is no checkpoint {path}",
            expected="a .pth or .safetensors file with the weights",
            found="a folder" if path.is_dir() else "no such file",
            advice="check the path",
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as exc:  # a damaged file makes torch raise nearly anything
        raise FileFormatError(
            f"the checkpoint {path} cannot be read",
            expected="named tensors, as torch.save or safetensors write them",
            found=first_line(exc),
            advice="download the file again, or from another source",
        ) from exc
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(t, Tensor) for t in content.values()):
        raise FileFormatError(
            f"{path} does not contain weights alone",
            expected="a dict of name -> tensor",
            found=type(content).__name__,
            advice="save model.state_dict(), not the model",
        )
    return content


def load_weights(
    build: Callable[[], nn.Module],
    weights: Mapping[str, Tensor],
    *,
    path: Path,
    what: str,
    unused: tuple[str, ...] = (),
) -> nn.Module:
    """Build a network and give it weights, without drawing random ones first.

    Args:
        build: builds the network.
        weights: name -> tensor; floating-point ones become float32.
        path: their file, for messages.
        what: the architecture, for messages.
        unused: prefixes of names that the network does not need.

    Raises:
        FileFormatError: If the weights belong to another architecture.
    """
    with torch.device("meta"):
        network = build()
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
        if not name.startswith(unused)
    }
    missing = sorted(set(wanted) - set(given))
    unknown = sorted(set(given) - set(wanted))
    differing = [
        f"{name} of shape {tuple(given[name].shape)} in place of {shape}"
        for name, shape in wanted.items()
        if name in given and tuple(given[name].shape) != shape
    ]
    if missing or unknown or differing:
        parts = [f"without {missing[0]} ({len(missing)} missing)"] if missing else []
        parts += [f"with {unknown[0]} ({len(unknown)} unknown)"] if unknown else []
        parts += differing[:1]
        raise FileFormatError(
            f"{path} is the checkpoint of another architecture",
            expected=what,
            found="; ".join(parts),
            advice="give the file that belongs to this network, or name the network it belongs to",
        )
    network.load_state_dict(given, assign=True)
    return network


def load_model(source: str, tower: str) -> tuple[nn.Module, bool]:
    """Load a model of transformers, float32, in evaluation mode; and whether it lacks a pooler.

    Args:
        source: a folder, or the name of a model on the hub.
        tower: "image" or "text": which half to keep of a model that joins both.

    Raises:
        DataError: If it is not on this machine and cannot be downloaded, or needs code of its own.
        FileFormatError: If its files are damaged, or lack weights.
        MissingExtraError: If transformers is not installed.
    """
    transformers = optional("transformers", "a model of transformers")
    model, report = load_part(
        transformers.AutoModel, source, output_loading_info=True, dtype=torch.float32
    )
    keep_tower(model, tower)
    names = set(model.state_dict())
    missing = {name for name in report["missing_keys"] if name in names}
    poolers = {name for name in missing if name.startswith(_POOLERS)}
    if missing - poolers or report["mismatched_keys"]:
        first = sorted(missing - poolers) or sorted(map(str, report["mismatched_keys"]))
        raise FileFormatError(
            f"the checkpoint of {source} belongs to another architecture",
            expected=f"the weights of {type(model).__name__}, as its config.json says",
            found=f"{len(first)} of them missing or of another shape, first {first[0]}",
            advice="download config.json and the weights from one place",
        )
    for name in poolers:  # never used; random weights would change the model's hash each time
        model.get_parameter(name).data.zero_()
    return model.eval(), bool(poolers)


def load_part(kind: Any, source: str, **options: Any) -> Any:  # noqa: ANN401 - transformers' own
    """Load the object that a class of transformers makes of a folder or a name.

    Args:
        kind: the class, with ``from_pretrained``.
        source: a folder, or the name of a model on the hub.
        options: of ``from_pretrained``.

    Raises:
        DataError: If it is not on this machine and cannot be downloaded, or needs code of its own.
        FileFormatError: If its files are damaged.
    """
    options = {**options, "trust_remote_code": False}
    folder = hub_folder(source)
    if not (folder / "config.json").is_file():
        raise DataError(
            f"{folder} does not contain a model",
            expected="config.json and the weights, as transformers saves them",
            found=", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing",
            advice="name the folder that contains config.json",
        )
    with _quiet():
        try:
            return kind.from_pretrained(str(folder), local_files_only=True, **options)
        except Exception as exc:  # damaged files make transformers raise nearly anything
            if "trust_remote_code" in str(exc):
                raise _needs_code(source) from exc
            raise FileFormatError(
                f"the model in {source} cannot be loaded",
                expected="the files of one model, as transformers saves them",
                found=first_line(exc),
                advice="download its files again",
            ) from exc


def hub_folder(source: str) -> Path:
    """Return the folder of a model: a local one, or that of the hub's cache, downloaded if needed.

    Args:
        source: a folder, or the name of a model on the hub.

    Raises:
        DataError: If the model is not on this machine and cannot be downloaded.
        MissingExtraError: If huggingface_hub is not installed.
    """
    if Path(source).is_dir():
        return Path(source)
    hub = optional("huggingface_hub", "a model by its name")
    unneeded = ["*.onnx", "*.h5", "*.msgpack", "*.ot", "*.py", "onnx/*", "openvino/*"]
    with _quiet():
        try:
            return Path(hub.snapshot_download(source, local_files_only=True))
        except Exception:  # not on this machine: whatever the reason, the hub decides
            pass
        try:
            hub.HfApi().model_info(source, timeout=HUB_TIMEOUT)  # one request, no retries
            return Path(hub.snapshot_download(source, ignore_patterns=unneeded))
        except Exception as exc:
            raise DataError(
                f"the model {source!r} is not on this machine and cannot be downloaded",
                expected="a folder, or the name of a model on the hub",
                found=first_line(exc),
                advice=f"where there is access: hf download {source} --local-dir FOLDER;"
                " bring FOLDER here and name it: hf:FOLDER or st:FOLDER",
            ) from exc


def model_config(model: nn.Module) -> dict[str, Any]:
    """Return the configuration of a model, without names of classes and paths of this machine."""
    config: dict[str, Any] = as_json(model.config.to_dict())  # type: ignore[union-attr, operator]
    for key in (
        "_name_or_path",
        "architectures",
        "auto_map",
        "id2label",
        "label2id",
        "transformers_version",
    ):
        config.pop(key, None)
    return config


def first_line(exc: BaseException) -> str:
    """Return the first line of the message of an error, or its name."""
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]


def as_json(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return settings as plain JSON: tuples as lists, keys as strings."""
    return json.loads(json.dumps(value, default=str))


def _needs_code(source: str) -> DataError:
    return DataError(
        f"the model {source} needs code of its own, which is never run",
        expected="an architecture that the installed transformers contains",
        found="`auto_map` in its config.json, which names Python files",
        advice="choose another model; or write it as a torch module and name it: FILE.py:Class",
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers and the hub from printing bars, warnings and log lines while they load."""
    names = ("transformers", "huggingface_hub", "httpx", "urllib3", "filelock")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    hub_bars = optional("huggingface_hub", "a model by its name").utils
    shown = not hub_bars.are_progress_bars_disabled()
    transformers = optional("transformers", "a model of transformers").logging
    bars = transformers.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    transformers.disable_progress_bar()
    hub_bars.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            transformers.enable_progress_bar()
        if shown:
            hub_bars.enable_progress_bars()


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"

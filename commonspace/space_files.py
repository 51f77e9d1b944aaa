"""Files of a saved space: ``config.json`` and ``model.safetensors``, with checksums.

The config is written last, with the hash of the weights and its own, so that a folder with a config
is complete, and damage is detected.
"""

import json
from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from commonspace.atomic import replace_file
from commonspace.errors import OutputError, SettingError, SpaceError
from commonspace.json_text import parse_json

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "compute_fingerprint",
    "network_weights",
    "read_space_files",
    "write_space_files",
]

_FORMAT = 2
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
_KEYS = (
    "format",
    "network",
    "inputs",
    "class_names",
    "provenance",
    "weights_sha256",
    "config_sha256",
)


def write_space_files(
    folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> None:
    """Write both files into a folder without a saved space.

    Args:
        folder: May hold other files, such as those of the training.
        config: Description of the space as JSON values.
        weights: Name -> contiguous tensor on the CPU; no two share memory.

    Raises:
        OutputError: If the folder holds a space already, or cannot be written.
    """
    if (folder / CONFIG).exists():
        raise OutputError(
            f"{folder} holds a space already",
            expected="a folder without one",
            found=CONFIG,
            advice="choose another folder, or move this one; nothing was changed",
        )
    with replace_file(folder / WEIGHTS, overwrite=True) as draft:
        try:
            save_file(dict(weights), draft)
        except SafetensorError as exc:  # hides the OSError of a full disk
            raise OSError(str(exc)) from exc
    content = {"format": _FORMAT, **config, "weights_sha256": _sha256(folder / WEIGHTS)}
    content["config_sha256"] = _config_sha256(json.loads(json.dumps(content)))
    with replace_file(folder / CONFIG) as draft:
        draft.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def network_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network for safetensors: on the CPU, none of them sharing memory.

    Raises:
        SettingError: If its ``state_dict`` holds anything but tensors.
    """
    weights: dict[str, Tensor] = {}
    addresses: set[int] = set()
    for name, tensor in network.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise SettingError(
                f"a network of class {type(network).__name__} cannot be saved",
                expected="tensors in its state_dict",
                found=f"{name!r} of type {type(tensor).__name__}",
                advice="put settings into to_config() instead",
            )
        stored = tensor.detach().cpu().contiguous()
        if stored.untyped_storage().data_ptr() in addresses:
            stored = stored.clone()
        addresses.add(stored.untyped_storage().data_ptr())
        weights[name] = stored
    return weights


def compute_fingerprint(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256, 64 hex digits, of a config and weights.

    Args:
        config: Description of a space as JSON values. The order of keys counts, since networks
            number their modalities in that order.
        weights: Name -> tensor, on any device; every bit counts.
    """
    digest = sha256(json.dumps(config).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_space_files(
    folder: Path, *, check_weights: bool = True
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read both files.

    Args:
        folder: of the space.
        check_weights: whether the weights are compared with their hash; False for a caller who
            compares the fingerprint, which has every bit of them.

    Returns:
        The config, and name -> tensor on the CPU.

    Raises:
        SpaceError: If there is no space, or if it is damaged or of another version.
    """
    config = _read_config(folder)
    return config, _read_weights(folder, str(config["weights_sha256"]) if check_weights else None)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        text = path.read_text("utf-8")
        config = parse_json(text)
        if not isinstance(config, dict):
            raise ValueError("a JSON object was expected")
        missing = [key for key in _KEYS if key not in config]
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise SpaceError(
            f"{folder} holds no saved space",
            expected=f"a folder with {CONFIG} and {WEIGHTS}",
            found="a training run that has not ended"
            if (folder / "checkpoint.safetensors").exists()
            else _describe_folder(folder),
            advice="pass the folder given as --out, or finish the training with --resume",
        ) from exc
    except (ValueError, TypeError, OSError) as exc:
        raise SpaceError(
            f"{path} cannot be read",
            expected="JSON, as written by commonspace",
            found=str(exc),
            advice="restore the file from a copy, or train again",
        ) from exc
    if missing or config["format"] != _FORMAT:
        raise SpaceError(
            f"{path} has a format that this version does not read",
            expected=f"format {_FORMAT} with {', '.join(_KEYS)}",
            found=f"format {config.get('format')!r}"
            + (f" without {', '.join(missing)}" if missing else ""),
            advice="update commonspace, or train again with this version",
        )
    written = json.dumps(config, ensure_ascii=False)  # another way to write a number is damage, too
    same = "".join(text.split()) == "".join(written.split())
    if not same or config["config_sha256"] != _config_sha256(config):
        raise SpaceError(
            f"{path} is damaged or was changed by hand",
            expected=f"content of SHA-256 {str(config['config_sha256'])[:12]}…, as recorded in it",
            found=f"{_config_sha256(config)[:12]}…"
            if same
            else "numbers or texts written otherwise",
            advice="restore the file from a copy, or train again",
        )
    return config


def _describe_folder(folder: Path) -> str:
    if not folder.exists():
        return "no such folder"
    return f"no {CONFIG}" if folder.is_dir() else "a file"


def _read_weights(folder: Path, expected_hash: str | None) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    try:
        actual = None if expected_hash is None else _sha256(path)
        weights = load_file(path) if actual == expected_hash else None
    except (OSError, SafetensorError) as exc:
        raise SpaceError(
            f"{path} cannot be read",
            expected="the weights of the space",
            found=str(exc),
            advice="restore the file from a copy, or train again",
        ) from exc
    if weights is None:
        raise SpaceError(
            f"{path} is damaged or belongs to another space",
            expected=f"SHA-256 {str(expected_hash)[:12]}…, as recorded in {CONFIG}",
            found=f"{str(actual)[:12]}…",
            advice="restore both files from one copy, or train again",
        )
    return weights


def _config_sha256(config: Mapping[str, Any]) -> str:
    """Return the hash of a config as JSON is read, whatever the white space of its file.

    The order of keys counts, since networks number their modalities in that order.
    """
    content = {key: value for key, value in config.items() if key != "config_sha256"}
    return sha256(json.dumps(content).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()

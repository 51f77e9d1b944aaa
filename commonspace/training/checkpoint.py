"""Checkpoint: the state of a training between two epochs, in one file written atomically.

Random numbers of each epoch follow from the seed and the number of the epoch, so weights,
optimizer and history are the whole state: no state of a generator is stored.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from commonspace.atomic import replace_file
from commonspace.callbacks import EpochRecord
from commonspace.errors import SpaceError

__all__ = ["CHECKPOINT", "Checkpoint", "read_checkpoint", "write_checkpoint"]

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """All that a training needs to continue after ``len(history)`` epochs."""

    task: str
    """Method, settings and data of the training, as one JSON string."""
    history: tuple[EpochRecord, ...]
    network: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    """Its state by name: "<parameter number>.<name>"."""


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint, replacing an older one; on failure the older one stays.

    Raises:
        OutputError: If the file cannot be written.
    """
    groups = {
        "network": checkpoint.network,
        "best": checkpoint.best,
        "optimizer": checkpoint.optimizer,
    }
    tensors = {
        f"{group}/{name}": tensor.detach().cpu().contiguous().clone()
        for group, state in groups.items()
        for name, tensor in state.items()
    }
    texts = {
        "task": checkpoint.task,
        "history": json.dumps([asdict(record) for record in checkpoint.history]),
    }
    metadata = texts | {"digest": _digest(tensors, texts)}
    with replace_file(path, overwrite=True) as draft:
        try:
            save_file(tensors, draft, metadata=metadata)
        except SafetensorError as exc:  # it hides the OSError of a full disk
            raise OSError(str(exc)) from exc


def read_checkpoint(path: Path, task: str, device: torch.device) -> Checkpoint:
    """Read the checkpoint of a task.

    Raises:
        SpaceError: If there is none, it is damaged, or it belongs to another task.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        texts = {name: metadata[name] for name in ("task", "history")}
        if metadata["digest"] != _digest(tensors, texts):
            raise ValueError("its content is not what was written")
        history = tuple(EpochRecord(**record) for record in json.loads(texts["history"]))
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as exc:
        raise SpaceError(
            f"{path} cannot be read",
            expected="the checkpoint of a training that was interrupted",
            found="no such file" if not path.exists() else str(exc),
            advice="start again without --resume, with another --out",
        ) from exc
    if texts["task"] != task:
        raise SpaceError(
            f"{path} belongs to another training",
            expected="the same data, method and settings as before",
            found=_difference(json.loads(texts["task"]), json.loads(task)),
            advice="resume with the settings that it was started with, or use another --out",
        )
    state: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    for key, tensor in tensors.items():
        group, name = key.split("/", 1)
        state[group][name] = tensor.to(device)
    return Checkpoint(task, history, **state)


def _digest(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    """Return the SHA-256 of all content; the file format has no checksum."""
    digest = sha256(json.dumps(texts, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _difference(before: Any, now: Any, where: str = "") -> str:  # noqa: ANN401 - any JSON
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        return "; ".join(
            _difference(before.get(key), now.get(key), f"{where}.{key}".strip(".")) for key in keys
        )
    return f"{where} was {before!r}, now {now!r}"

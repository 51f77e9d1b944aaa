"""The common space: what every method returns, what is saved and loaded, what search builds on.

A space turns items of any of its modalities into vectors whose inner product is the score. It
knows nothing of how it was fitted, save for the record of it that it carries.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from commonspace.atomic import new_folder, replacing
from commonspace.data.dataset import Dataset
from commonspace.encoders import Input, input_from_config
from commonspace.errors import OutputError, SettingError, SpaceError
from commonspace.networks.dscmr import DSCMRNetwork

__all__ = ["CommonSpace", "Embedded", "EmbeddingNetwork", "load", "versions"]

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
KEYS = (
    "format",
    "network",
    "inputs",
    "class_names",
    "weights_sha256",
    "provenance",
    "config_sha256",
)


class EmbeddingNetwork(Protocol):
    """What a space expects of the module that it holds (which is an ``nn.Module`` besides)."""

    kind: ClassVar[str]

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that it can embed."""

    @property
    def dimension(self) -> int:
        """d, the length of its vectors."""

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 vectors whose inner product is the score."""

    def to_config(self) -> dict[str, Any]:
        """Return a description, fit for JSON."""


NETWORKS: dict[str, Any] = {DSCMRNetwork.kind: DSCMRNetwork}


@dataclass(frozen=True)
class Embedded:
    """The vectors of one modality of a data set."""

    vectors: NDArray[np.float32]
    """(m, d), one for each sample that has the modality."""
    rows: NDArray[np.intp]
    """(m,): to which row of the data set each vector belongs."""


class CommonSpace:
    """A fitted common space.

    Args:
        network: turns network input of each modality into (n, d) vectors; an ``nn.Module``.
        inputs: modality name -> what turns raw items, or features, into network input.
        class_names: the classes that the space was fitted on, in the order of its outputs.
        provenance: what it was fitted on and how: method, data fingerprint, seed, versions.
    """

    def __init__(
        self,
        network: nn.Module,
        inputs: Mapping[str, Input],
        class_names: tuple[str, ...],
        provenance: Mapping[str, Any],
    ) -> None:
        """Keep the parts; the network stays on the device where it is."""
        self.network = network.eval()
        self.inputs = dict(inputs)
        self.class_names = class_names
        self.provenance = dict(provenance)

    def __repr__(self) -> str:
        """Return one line: method, modalities, size."""
        method = self.provenance.get("method", {}).get("name", "?")
        return f"CommonSpace({method}, {' + '.join(self.modalities)}, {self.dimension}-d)"

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that it can embed."""
        return tuple(self.inputs)

    @property
    def dimension(self) -> int:
        """d, the length of its vectors."""
        return int(self.network.dimension)  # type: ignore[arg-type]

    def embed(
        self,
        modality: str,
        items: Any,  # noqa: ANN401 - what the modality reads
        *,
        batch_size: int = 512,
    ) -> NDArray[np.float32]:
        """Return vectors whose inner product is the score.

        Args:
            modality: one of ``modalities``.
            items: a column of a data set; or (n, size) features, where the space was fitted on
                features; or a list of strings, or of image paths or arrays, where it was
                fitted on raw items.
            batch_size: how many items the network sees at a time; the result does not depend on
                it beyond rounding.

        Returns:
            (n, d) float32.

        Raises:
            SettingError: the space does not know this modality.
            DataError: the items are of another kind or size than it was fitted on.
        """
        if modality not in self.inputs:
            raise SettingError(
                "the space does not know this modality",
                expected=" or ".join(map(repr, self.modalities)),
                found=repr(modality),
                advice="embed it with a space that was fitted on it",
            )
        device = next(self.network.parameters()).device
        prepared = self.inputs[modality](items)
        vectors = np.empty((len(prepared), self.dimension), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(prepared), batch_size):
                batch = prepared[start : start + batch_size].to(device)
                vectors[start : start + batch_size] = self._embed(modality, batch).cpu().numpy()
        return vectors

    def embed_dataset(self, data: Dataset) -> dict[str, Embedded]:
        """Embed every modality of a data set that the space knows, where it is present.

        Raises:
            SettingError: they have no modality in common.
            DataError: a column is of another kind or size than the space was fitted on.
        """
        shared = [name for name in self.modalities if name in data.columns]
        if not shared:
            raise SettingError(
                f"the space and {data.name!r} have no modality in common",
                expected=" or ".join(map(repr, self.modalities)),
                found=", ".join(map(repr, data.modalities)),
                advice="rename the columns of the data, or use the data it was fitted on",
            )
        embedded = {}
        for name in shared:
            rows = np.flatnonzero(data.columns[name].present)
            embedded[name] = Embedded(self.embed(name, data.columns[name].take(rows)), rows)
        return embedded

    def save(self, path: str | Path) -> None:
        """Write the space into a new folder: ``config.json`` and ``model.safetensors``.

        Raises:
            OutputError: the folder is already there and not empty, or it cannot be written.
        """
        self.write(new_folder(Path(path)))

    def write(self, folder: Path) -> None:
        """Write the space into a folder that may hold other files, such as those of its training.

        The config is written last and names the hash of the weights, so that a folder with a
        config is whole.

        Raises:
            OutputError: the folder holds a space already, or it cannot be written.
        """
        if (folder / CONFIG).exists():
            raise OutputError(
                f"{folder} holds a space already",
                expected="a folder without one",
                found=CONFIG,
                advice="choose another place, or move it away first; nothing was changed",
            )
        weights = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.network.state_dict().items()
        }
        with replacing(folder / WEIGHTS, overwrite=True) as draft:
            _save_weights(weights, draft)
        config = {
            "format": FORMAT,
            "network": {"kind": self.network.kind, "config": self.network.to_config()},  # type: ignore[operator]
            "inputs": {name: input_.to_config() for name, input_ in self.inputs.items()},
            "class_names": list(self.class_names),
            "weights_sha256": _sha256(folder / WEIGHTS),
            "provenance": self.provenance,
        }
        config["config_sha256"] = _config_sha256(config)
        with replacing(folder / CONFIG) as draft:
            draft.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def _embed(self, modality: str, inputs: Tensor) -> Tensor:
        vectors: Tensor = self.network.embed(modality, inputs)  # type: ignore[operator]
        return vectors


def load(path: str | Path, *, device: str | torch.device = "cpu") -> CommonSpace:
    """Load a space that ``CommonSpace.save`` or a training run wrote.

    Args:
        path: the folder.
        device: where its network should live.

    Raises:
        SpaceError: there is no space, or it is damaged or of a newer version.
        SettingError: this machine has no such device.
    """
    folder = Path(path)
    config = _read_config(folder)
    weights = _read_weights(folder, str(config["weights_sha256"]))
    kind = config["network"]["kind"]
    if kind not in NETWORKS:
        raise SpaceError(
            f"{folder / CONFIG} describes a network of an unknown kind",
            expected=", ".join(NETWORKS),
            found=repr(kind),
            advice="it was written by a newer version of commonspace: update it",
        )
    try:
        with torch.random.fork_rng(devices=[]):  # fresh weights are drawn, then replaced
            network: nn.Module = NETWORKS[kind].from_config(config["network"]["config"])
        network.load_state_dict(weights)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise SpaceError(
            f"{folder} holds a network that this version cannot build again",
            expected=f"weights in {WEIGHTS} that fit the network in {CONFIG}",
            found=str(exc).splitlines()[-1].strip(),
            advice="load it with the version of commonspace that it names, or train again",
        ) from exc
    try:
        network.to(device)
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        raise SettingError(
            f"this machine has no device {str(device)!r}",
            expected='"cpu", "cuda" or "mps", as the machine has it',
            found=str(exc).splitlines()[0],
            advice='leave it out: "cpu" is everywhere',
        ) from exc
    inputs = {name: input_from_config(described) for name, described in config["inputs"].items()}
    return CommonSpace(network, inputs, tuple(config["class_names"]), config["provenance"])


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, for its record."""
    packages = ("commonspace", "torch", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text("utf-8"))
        if not isinstance(config, dict):
            raise ValueError("a JSON object was expected")
        missing = [key for key in KEYS if key not in config]
    except FileNotFoundError as exc:
        raise SpaceError(
            f"{folder} holds no space",
            expected=f"a folder with {CONFIG} and {WEIGHTS}",
            found="a training that has not ended"
            if (folder / "checkpoint.safetensors").exists()
            else ("no such folder" if not folder.exists() else f"no {CONFIG}"),
            advice="give the folder that was named with --out, or finish it with --resume",
        ) from exc
    except (ValueError, TypeError, OSError) as exc:
        raise SpaceError(
            f"{path} cannot be read",
            expected="JSON, as this package writes it",
            found=str(exc),
            advice="restore the file from a copy, or train again",
        ) from exc
    if missing or config["format"] != FORMAT:
        raise SpaceError(
            f"{path} is not of a form that this version reads",
            expected=f"format {FORMAT} with {', '.join(KEYS)}",
            found=f"format {config.get('format')!r}"
            + (f" without {', '.join(missing)}" if missing else ""),
            advice="update commonspace, or train again with this version",
        )
    if config["config_sha256"] != _config_sha256(config):
        raise SpaceError(
            f"{path} is damaged or was changed by hand",
            expected=f"content whose SHA-256 is {str(config['config_sha256'])[:12]}…, as it says",
            found=f"{_config_sha256(config)[:12]}…",
            advice="restore the file from a copy, or train again",
        )
    return config


def _read_weights(folder: Path, expected_hash: str) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    try:
        actual = _sha256(path)
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
            expected=f"SHA-256 {expected_hash[:12]}…, as {CONFIG} says",
            found=f"{actual[:12]}…",
            advice="restore both files from one copy, or train again",
        )
    return weights


def _config_sha256(config: Mapping[str, Any]) -> str:
    """Return the hash of what a config says, however its file is laid out."""
    said = {key: value for key, value in config.items() if key != "config_sha256"}
    as_read = json.loads(json.dumps(said))
    return sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()


def _save_weights(weights: dict[str, Tensor], path: Path) -> None:
    try:
        save_file(weights, path)
    except SafetensorError as exc:  # it hides the OSError of a full disk
        raise OSError(str(exc)) from exc


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()

"""The common space: what every method returns, what is saved and loaded, what search builds on.

A space turns items of any of its modalities into vectors whose inner product is the score. It
knows nothing of how it was fitted, save for the record of it that it carries.
"""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from commonspace.atomic import new_folder
from commonspace.data.columns import Images, Texts
from commonspace.data.dataset import Dataset
from commonspace.encoders import Input, input_from_config
from commonspace.errors import SettingError, SpaceError
from commonspace.machine import choose_device
from commonspace.networks.dscmr import DSCMRNetwork
from commonspace.networks.linear import LinearNetwork
from commonspace.space_files import CONFIG, WEIGHTS, read_space_files, write_space_files

__all__ = ["CommonSpace", "Embedded", "EmbeddingNetwork", "load", "versions"]


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


NETWORKS: dict[str, Any] = {network.kind: network for network in (DSCMRNetwork, LinearNetwork)}

PORTION = 512
"""Raw items that are turned into network input at a time."""

BATCH_NUMBERS = 2**23
"""Numbers that the network reads at a time: for large pictures that limits the batch."""


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
            batch_size: how many items the network sees at a time, at most; the result does not
                depend on it beyond rounding.

        Returns:
            (n, d) float32.

        Raises:
            SettingError: the space does not know this modality, or the batch size is below 1.
            DataError: the items are of another kind or size than it was fitted on.
        """
        if modality not in self.inputs:
            raise SettingError(
                "the space does not know this modality",
                expected=" or ".join(map(repr, self.modalities)),
                found=repr(modality),
                advice="embed it with a space that was fitted on it",
            )
        if batch_size < 1:
            raise SettingError(
                "the batch size cannot work",
                expected="at least 1",
                found=repr(batch_size),
                advice="leave it out to take the default",
            )
        device = next(self.network.parameters()).device
        parts = [np.empty((0, self.dimension), dtype=np.float32)]
        with torch.inference_mode():
            for some in _portions(items):  # raw items take little room, network input much
                prepared = self.inputs[modality](some)
                size = min(batch_size, _most(prepared))
                for batch in torch.split(prepared, size):
                    parts.append(self._embed(modality, batch.to(device)).cpu().numpy())
        return np.concatenate(parts)

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
        weights = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.network.state_dict().items()
        }
        config = {
            "network": {"kind": self.network.kind, "config": self.network.to_config()},  # type: ignore[operator]
            "inputs": {name: input_.to_config() for name, input_ in self.inputs.items()},
            "class_names": list(self.class_names),
            "provenance": self.provenance,
        }
        write_space_files(folder, config, weights)

    def _embed(self, modality: str, inputs: Tensor) -> Tensor:
        vectors: Tensor = self.network.embed(modality, inputs)  # type: ignore[operator]
        return vectors


def load(path: str | Path, *, device: str | torch.device = "cpu") -> CommonSpace:
    """Load a space that ``CommonSpace.save`` or a training run wrote.

    Args:
        path: the folder.
        device: where its network should live: "auto", or what torch calls it.

    Raises:
        SpaceError: there is no space, or it is damaged or of a newer version.
        SettingError: this machine has no such device.
    """
    folder, place = Path(path), choose_device(device)
    config, weights = read_space_files(folder)
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
    inputs = {name: input_from_config(described) for name, described in config["inputs"].items()}
    return CommonSpace(
        network.to(place), inputs, tuple(config["class_names"]), config["provenance"]
    )


def _portions(items: Any) -> Iterator[Any]:  # noqa: ANN401 - what a modality reads
    """Divide raw items; features, which are in memory anyway, stay in one piece."""
    whole = not isinstance(items, Images | Texts | list | tuple) or len(items) <= PORTION
    if whole:
        yield items
        return
    for start in range(0, len(items), PORTION):
        stop = min(start + PORTION, len(items))
        column = isinstance(items, Images | Texts)
        yield items.take(np.arange(start, stop)) if column else items[start:stop]


def _most(prepared: Tensor) -> int:
    return max(1, BATCH_NUMBERS // max(1, prepared[:1].numel()))


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, for its record."""
    packages = ("commonspace", "torch", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}

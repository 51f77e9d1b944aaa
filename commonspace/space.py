"""The common space: what every method returns, what is saved and loaded, what search builds on.

A space turns items of any of its modalities into vectors whose inner product is the score, and,
where it is calibrated, a score into the probability of relevance. It knows nothing of how it was
fitted, save for the record of it that it carries.
"""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from commonspace.atomic import make_folder
from commonspace.calibration import Calibration
from commonspace.data.dataset import Dataset
from commonspace.embedding import InstanceWeightedNetwork, embed_items, weigh_queries
from commonspace.encoders import Input, input_from_config
from commonspace.errors import SettingError, SpaceError
from commonspace.machine import choose_device
from commonspace.networks.branches import BranchesNetwork
from commonspace.networks.dscmr import DSCMRNetwork
from commonspace.networks.linear import LinearNetwork
from commonspace.networks.posterior import PosteriorNetwork
from commonspace.space_files import (
    CONFIG,
    WEIGHTS,
    fingerprint_of,
    read_space_files,
    write_space_files,
)

__all__ = ["CommonSpace", "Embedded", "load", "versions"]


NETWORKS: dict[str, Any] = {
    "branches": BranchesNetwork,
    "dscmr": DSCMRNetwork,
    "linear": LinearNetwork,
    "posterior": PosteriorNetwork,
}


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
        calibration: from scores, at instance_weight 0 where the space is granular, to the
            probability of a shared class; None where that is not known.
    """

    def __init__(
        self,
        network: nn.Module,
        inputs: Mapping[str, Input],
        class_names: tuple[str, ...],
        provenance: Mapping[str, Any],
        calibration: Calibration | None = None,
    ) -> None:
        """Keep the parts; the network stays on the device where it is."""
        self.network = network.eval()
        self.inputs = dict(inputs)
        self.class_names = class_names
        self.provenance = dict(provenance)
        self.calibration = calibration

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

    @property
    def fingerprint(self) -> str:
        """SHA-256, 64 hex digits, of all that decides on vectors and probabilities.

        It is the same after saving and loading and on any device, and does not depend on the
        record: two spaces with one fingerprint embed alike.
        """
        return fingerprint_of(self._description(), self.network.state_dict())

    @property
    def has_instance_block(self) -> bool:
        """Whether ``as_queries`` takes a instance_weight."""
        return isinstance(self.network, InstanceWeightedNetwork) and self.network.has_instance_block

    @property
    def calibrated(self) -> bool:
        """Whether ``relevance`` turns scores into probabilities."""
        return self.calibration is not None

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
        return embed_items(self.network, modality, self.inputs[modality], items, batch_size)

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

    def as_queries(
        self, vectors: ArrayLike, instance_weight: float | None = None
    ) -> NDArray[np.float32]:
        """Return vectors to ask with: their inner product with those of ``embed`` is the score.

        Args:
            vectors: (n, d), what ``embed`` gave for the queries.
            instance_weight: what is asked for, from 0, "the same kind", to 1, "this very thing"; None:
                the method's own mixture, which leaves the vectors as they are.

        Returns:
            (n, d) float32.

        Raises:
            SettingError: the space knows no instance_weight, or it is not in [0, 1].
            DataError: the vectors are not of this space's size.
        """
        return weigh_queries(self.network, vectors, instance_weight)

    def relevance(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return how probable it is that query and item share a class, given their score.

        The map was fitted on the validation part, between different modalities.

        Args:
            scores: of any shape; at instance_weight 0 where the space is granular.

        Returns:
            Probabilities in [0, 1], float64, of the same shape.

        Raises:
            SettingError: the space is not calibrated.
        """
        if self.calibration is None:
            raise SettingError(
                "the space cannot turn scores into probabilities",
                expected="one that was calibrated on validation when it was fitted",
                found=repr(self),
                advice="fit it again with this version, on validation samples of several classes",
            )
        return self.calibration(scores)

    def save(self, path: str | Path) -> None:
        """Write the space into a new folder: ``config.json`` and ``model.safetensors``.

        Raises:
            OutputError: the folder already exists and not empty, or it cannot be written.
        """
        self.write(make_folder(Path(path)))

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
        write_space_files(folder, {**self._description(), "provenance": self.provenance}, weights)

    def _description(self) -> dict[str, Any]:
        """Return all that is not weights or record, fit for JSON."""
        kinds = {network: kind for kind, network in NETWORKS.items()}
        settings = self.network.to_config()  # type: ignore[operator]
        said: dict[str, Any] = {
            "network": {"kind": kinds[type(self.network)], "config": settings},
            "inputs": {name: input_.to_config() for name, input_ in self.inputs.items()},
            "class_names": list(self.class_names),
        }
        return said | ({"calibration": asdict(self.calibration)} if self.calibration else {})


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
        said = config.get("calibration")  # not all spaces have one
        calibration = said and Calibration(**{key: tuple(one) for key, one in said.items()})
    except (TypeError, ValueError, RuntimeError) as exc:
        raise SpaceError(
            f"{folder} holds a network that this version cannot build again",
            expected=f"weights in {WEIGHTS} that fit the network in {CONFIG}",
            found=str(exc).splitlines()[-1].strip(),
            advice="load it with the version of commonspace that it names, or train again",
        ) from exc
    inputs = {name: input_from_config(described) for name, described in config["inputs"].items()}
    return CommonSpace(
        network.to(place), inputs, tuple(config["class_names"]), config["provenance"], calibration
    )


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, for its record."""
    packages = ("commonspace", "torch", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}

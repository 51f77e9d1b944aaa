"""Common embedding space: embed, evaluate, search, plot, save and load."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from commonspace.atomic import make_folder
from commonspace.calibration import Calibration
from commonspace.data.columns import Column
from commonspace.data.dataset import Dataset
from commonspace.embedding import embed_column, embed_items, weight_queries
from commonspace.encoders import Input, input_from_config
from commonspace.errors import SettingError, SpaceError
from commonspace.evaluation.protocol import evaluate
from commonspace.evaluation.report import EvaluationReport
from commonspace.hub import CARD, download_space, model_card, upload_folder
from commonspace.machine import choose_device
from commonspace.networks.backbones.torch_module import modules_of, use_modules
from commonspace.networks.network import build_network, check_network, describe_network
from commonspace.space_files import (
    CONFIG,
    WEIGHTS,
    fingerprint_of,
    read_space_files,
    write_space_files,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from commonspace.retrieval.memory import DatasetResults

__all__ = ["CommonSpace", "Embeddings", "load", "versions"]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of one modality of a data set."""

    vectors: NDArray[np.float32]
    """(m, d), one for each sample that has the modality."""
    rows: NDArray[np.intp]
    """(m,), the row of the data set of each embedding."""


class CommonSpace:
    """A trained model that embeds items of several modalities into one space.

    Methods return it from ``fit``; ``load`` reads it from a folder. The inner product of two
    embeddings is the score of the pair.

    Args:
        network: Module that turns network input of each modality into (n, d) embeddings, see
            ``commonspace.networks.Network``.
        inputs: Modality -> object that turns raw items, or features, into network input.
        class_names: Classes of the training data, in the order of the outputs of the network.
        provenance: How the model was trained, as JSON values: method, data, seed, versions.
        calibration: Map from scores, at instance weight 0 if there is an instance block, to the
            probability of a shared class; None if unknown.

    Raises:
        SettingError: If the network does not follow the interface, or lacks a modality of
            ``inputs``.
    """

    def __init__(
        self,
        network: nn.Module,
        inputs: Mapping[str, Input],
        class_names: Sequence[str] = (),
        provenance: Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        check_network(network)
        unknown = [name for name in inputs if name not in _modalities(network)]
        if unknown:
            raise SettingError(
                "`inputs` has a modality that the network does not embed",
                expected=" or ".join(map(repr, _modalities(network))),
                found=", ".join(map(repr, unknown)),
                advice="use the names of network.modalities",
            )
        self.network = network.eval()
        self.inputs = dict(inputs)
        self.class_names = tuple(class_names)
        self.provenance = dict(provenance or {})
        self.calibration = calibration

    def __repr__(self) -> str:
        """Return one line: method, modalities, dimension, precision of training."""
        parts = [
            *([self.method] if self.method else []),
            " + ".join(self.modalities),
            f"{self.dimension}-d",
            *([f"trained in {self.precision}"] if self.precision else []),
        ]
        return f"CommonSpace({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """Return a table of the facts of the model, for a notebook."""
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in self._facts().items()
        )
        return f"<table><caption>CommonSpace</caption><tbody>{rows}</tbody></table>"

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that can be embedded."""
        return tuple(self.inputs)

    @property
    def dimension(self) -> int:
        """d, the embedding dimension."""
        return int(self.network.dimension)  # type: ignore[arg-type]

    @property
    def method(self) -> str:
        """Name of the method that trained the model, such as "dscmr"; empty if unknown."""
        return str(self.provenance.get("method", {}).get("name", ""))

    @property
    def precision(self) -> str:
        """Precision of matrix products in training, such as "float32"; empty if not trained so."""
        for record in ("chosen", "training"):
            name = self.provenance.get(record, {}).get("precision")
            if name:
                return str(name)
        return ""

    @property
    def fingerprint(self) -> str:
        """SHA-256, 64 hex digits, of everything that determines embeddings and probabilities.

        It is the same after saving and loading and on any device, and does not depend on the
        provenance.

        Raises:
            SettingError: If a user-defined network has no ``to_config`` or ``from_config``.
        """
        description = self._description()
        description["network"].pop("module", None)  # a class may move to another file
        return fingerprint_of(description, self.network.state_dict())

    @property
    def has_instance_block(self) -> bool:
        """Whether ``as_queries`` supports an ``instance_weight``."""
        return bool(getattr(self.network, "has_instance_block", False))

    @property
    def calibrated(self) -> bool:
        """Whether ``relevance`` can turn scores into probabilities."""
        return self.calibration is not None

    def embed(
        self,
        modality: str | None = None,
        items: Any = None,  # noqa: ANN401 - what the modality reads
        *,
        batch_size: int = 512,
        **named: Any,  # noqa: ANN401
    ) -> NDArray[np.float32]:
        """Return embeddings of items, whose inner product is the score.

        ``space.embed(text=["a red kite"])`` is short for ``space.embed("text", ["a red kite"])``.

        Args:
            modality: One of ``modalities``.
            items: A column of a data set; or (n, size) features, if the model reads features; or a
                list of strings, or of image paths or arrays, if it reads raw items.
            batch_size: Maximum number of items in a batch; it changes results by rounding only.
            named: Instead of the first two arguments, one modality with its items.

        Returns:
            (n, d) float32.

        Raises:
            SettingError: If the modality is unknown, or the batch size is below 1.
            DataError: If the items are of another kind or size than in training.
        """
        if modality is None and items is None and len(named) == 1:
            ((modality, items),) = named.items()
        elif modality is None or items is None or named:
            raise SettingError(
                "`embed` takes one modality and its items",
                expected='embed("text", [...]) or embed(text=[...])',
                found=f"{', '.join(map(repr, [*([modality] if modality else []), *named]))}"
                or "no modality",
                advice="embed one modality at a time, or a data set with embed_dataset",
            )
        if modality not in self.inputs:
            raise SettingError(
                f"unknown modality {modality!r}",
                expected=" or ".join(map(repr, self.modalities)),
                found=repr(modality),
                advice="use a model that was trained on this modality",
            )
        if batch_size < 1:
            raise SettingError(
                f"`batch_size` must be >= 1, got {batch_size!r}",
                advice="leave it out for the default",
            )
        return embed_items(self.network, modality, self.inputs[modality], items, batch_size)

    def embed_dataset(self, data: Dataset) -> dict[str, Embeddings]:
        """Embed every modality of a data set that the model reads.

        Args:
            data: Its columns have the names of ``modalities``.

        Returns:
            Modality -> embeddings of the samples that have it.

        Raises:
            SettingError: If the data set has none of the modalities.
            DataError: If a column is of another kind or size than in training.
        """
        shared = [name for name in self.modalities if name in data.columns]
        if not shared:
            raise SettingError(
                f"the space and {data.name!r} have no modality in common",
                expected=" or ".join(map(repr, self.modalities)),
                found=", ".join(map(repr, data.modalities)),
                advice="rename the columns of the data, or use the data of the training",
            )
        embeddings = {}
        for name in shared:
            rows = np.flatnonzero(data.columns[name].present)
            embeddings[name] = Embeddings(
                self.embed_column(name, data.columns[name].take(rows)), rows
            )
        return embeddings

    def embed_column(self, modality: str, column: Column) -> NDArray[np.float32]:
        """Return the embeddings of a column of a data set, through the feature cache.

        As ``embed``, but the features of a pretrained encoder are taken from the cache that all
        commands share, and added to it, if the column has at least 16 items.

        Args:
            modality: One of ``modalities``.
            column: n items, all of them present.

        Returns:
            (n, d) float32.

        Raises:
            SettingError: If the modality is unknown.
            DataError: If an item cannot be read, or the column is of another kind or size.
            OutputError: If the cache cannot be written.
        """
        if modality not in self.inputs or modality not in self.provenance.get("encoders", {}):
            return self.embed(modality, column)
        return embed_column(self.network, modality, self.inputs[modality], column)

    def as_queries(
        self, vectors: ArrayLike, instance_weight: float | None = None
    ) -> NDArray[np.float32]:
        """Return query vectors, whose inner product with embeddings is the score.

        Args:
            vectors: (n, d) embeddings of the queries.
            instance_weight: 0 ranks by class, 1 by exact item, only with an instance block; None:
                the weight of training, which leaves the embeddings unchanged.

        Returns:
            (n, d) float32.

        Raises:
            SettingError: If there is no instance block, or the weight is not in [0, 1].
            DataError: If the vectors do not have d columns.
        """
        return weight_queries(self.network, vectors, instance_weight)

    def relevance(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that query and item share a class, given their score.

        The map was fitted on the validation split, between different modalities.

        Args:
            scores: Of any shape; at instance weight 0 if there is an instance block.

        Returns:
            Probabilities in [0, 1], float64, of the same shape.

        Raises:
            SettingError: If the model is not calibrated.
        """
        if self.calibration is None:
            raise SettingError(
                "this model is not calibrated, so scores have no probability",
                expected="a model that was calibrated on validation samples of several classes",
                found=repr(self),
                advice="train it again, with validation samples of several classes",
            )
        return self.calibration(scores)

    def evaluate(
        self, data: Dataset, *, split: str | None = None, k: int | Sequence[int] | None = None
    ) -> EvaluationReport:
        """Measure cross-modal retrieval: the mAP of every modality against every other.

        Args:
            data: Labeled samples.
            split: "train", "validation", "test", or "all" for every sample. Default: the test
                split if there is one, otherwise all samples.
            k: Additional cut-offs, one or several, such as 50 for mAP@50.

        Returns:
            The figures of each direction; prints as a table. ``map`` is the average mAP.

        Raises:
            SettingError: If the data set has fewer than two of the modalities, or an argument is
                invalid.
            DataError: If a column is of another kind or size than in training.
        """
        return evaluate(self, data, split=split, k=k)

    def search(
        self,
        data: Dataset,
        text: str | None = None,
        image: "str | Path | NDArray[np.uint8] | None" = None,
        vector: ArrayLike | None = None,
        id: str | None = None,
        *,
        k: int = 10,
        offset: int = 0,
        modality: str | None = None,
        query_modality: str | None = None,
        instance_weight: float | None = None,
        min_relevance: float | None = None,
        encoders: Mapping[str, str] | None = None,
    ) -> "DatasetResults":
        """Search a data set in memory, by comparing the query with every sample.

        The embeddings of the data set are computed once and kept as long as it exists. For large
        collections, filters and updates use ``Index``, which has the same arguments.

        Args:
            data: Samples to search.
            text: Words to search for.
            image: Image file, or (h, w, 3) uint8 array.
            vector: (d,) embedding.
            id: Id of a sample of ``data``, which is left out of the results. With several of text,
                image, vector and id, the query is the mean of their vectors at unit length.
            k: Maximum number of results.
            offset: Number of results to skip.
            modality: Search only embeddings of this modality (default: all; a sample is ranked by
                its best one).
            query_modality: With ``id``, use only this modality of the sample (default: the mean).
            instance_weight: 0 ranks by class, 1 by exact item; only with an instance block.
            min_relevance: Drop results of lower relevance.
            encoders: For a model of features: modality -> encoder that made them, such as
                "st:FOLDER", to search by text and image.

        Returns:
            Results, best first; prints as a table, and ``show()`` displays images.

        Raises:
            SettingError: If the query is empty, or an argument is invalid.
            DataError: If the image or the vector cannot be used.
        """
        from commonspace.retrieval.memory import search_dataset
        from commonspace.retrieval.query import Query

        query = Query(
            text,
            image,
            vector,
            id,
            k=k,
            offset=offset,
            modality=modality,
            query_modality=query_modality,
            instance_weight=instance_weight,
            min_relevance=min_relevance,
        )
        return search_dataset(self, data, query, encoders=encoders)

    def plot(
        self, data: Dataset, *, split: str | None = None, max_points: int = 2000, seed: int = 0
    ) -> "Figure":
        """Return a scatter plot of the embeddings by t-SNE: each modality, and all together.

        Args:
            data: Samples; colors are their classes.
            split: "train", "validation", "test", or "all". Default: as for ``evaluate``.
            max_points: Maximum number of samples of each modality, drawn by class.
            seed: Seed of the sampling and of t-SNE.

        Returns:
            A matplotlib figure.

        Raises:
            SettingError: If the data set has none of the modalities, or an argument is invalid.
            DataError: If there are fewer than 5 samples.
            MissingExtraError: If matplotlib or scikit-learn is not installed.
        """
        from commonspace.reporting.space_plot import plot_space

        return plot_space(self, data, split=split, max_points=max_points, seed=seed)

    def save(self, path: str | Path) -> None:
        """Write the model into a new folder: ``config.json`` and ``model.safetensors``.

        Args:
            path: Folder that does not exist, or is empty.

        Raises:
            OutputError: If the folder is not empty, or cannot be written.
            SettingError: If a user-defined network has no ``to_config`` or ``from_config``.
        """
        describe_network(self.network)  # before the folder is made
        self.write(make_folder(Path(path)))

    def write(self, folder: Path) -> None:
        """Write the model into a folder that may hold other files, such as those of its training.

        The config is written last, with the hash of the weights, so that a folder with a config is
        complete.

        Args:
            folder: Folder that exists.

        Raises:
            OutputError: If the folder holds a model already, or cannot be written.
            SettingError: If a user-defined network has no ``to_config`` or ``from_config``.
        """
        config = {**self._description(), "provenance": self.provenance}
        write_space_files(folder, config, _weights(self.network))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        token: str | None = None,
        message: str = "Upload model",
    ) -> str:
        """Upload the model, with a model card, to the Hugging Face Hub.

        Args:
            repo_id: Repository, as ``user/name``; it is created if needed.
            private: Whether a new repository is private.
            token: Access token; None: the one of ``huggingface-cli login``.
            message: Commit message.

        Returns:
            The address of the commit.

        Raises:
            MissingExtraError: If huggingface_hub is not installed.
            OutputError: If the upload fails.
        """
        with TemporaryDirectory() as folder:
            self.write(Path(folder))
            (Path(folder) / CARD).write_text(self.model_card(repo_id) + "\n", "utf-8")
            return upload_folder(
                Path(folder), repo_id, private=private, token=token, message=message
            )

    def model_card(self, repo_id: str = "user/name") -> str:
        """Return the model card that ``push_to_hub`` uploads, in Markdown.

        Args:
            repo_id: Repository, as ``user/name``.
        """
        title = " ".join([self.method or "model", "for", " and ".join(self.modalities)])
        return model_card(title, self._facts(), repo_id)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        device: str | torch.device = "cpu",
        networks: Mapping[str, type[nn.Module]] | None = None,
    ) -> "CommonSpace":
        """Load a model from a local folder, or from a repository of the Hugging Face Hub.

        Args:
            name: Folder, or repository as ``user/name``.
            revision: Branch, tag or commit of the repository.
            token: Access token; None: the one of ``huggingface-cli login``.
            cache_dir: Folder of downloads; None: that of huggingface_hub.
            device: As for ``load``.
            networks: As for ``load``.

        Raises:
            MissingExtraError: If huggingface_hub is not installed.
            SpaceError: If there is no model, or if it is damaged or of another version.
            SettingError: If this machine has no such device.
        """
        folder = download_space(name, revision=revision, token=token, cache_dir=cache_dir)
        return load(folder, device=device, networks=networks)

    def _description(self) -> dict[str, Any]:
        """Return everything but weights and provenance, as JSON values."""
        description: dict[str, Any] = {
            "network": describe_network(self.network),
            "inputs": {name: input_.to_config() for name, input_ in self.inputs.items()},
            "class_names": list(self.class_names),
        }
        if self.calibration is not None:
            description["calibration"] = asdict(self.calibration)
        return description

    def _facts(self) -> dict[str, str]:
        """Return what a person wants to know of the model: name -> value."""
        data = self.provenance.get("data", {})
        chosen = self.provenance.get("chosen", {})
        trained_on = f"{data['name']}, {data['samples']} samples" if "samples" in data else ""
        figure = chosen.get("validation_map")
        facts = {
            "Method": self.method,
            "Network": type(self.network).__name__,
            "Modalities": ", ".join(f"{name} ({kind})" for name, kind in self._kinds().items()),
            "Embedding dimension": str(self.dimension),
            "Classes": str(len(self.class_names)) if self.class_names else "",
            "Instance block": "yes" if self.has_instance_block else "no",
            "Calibrated": "yes" if self.calibrated else "no",
            "Training data": trained_on,
            "Precision of training": self.precision,
            "Validation mAP": "" if figure is None else f"{figure:.3f}",
        }
        return {name: value for name, value in facts.items() if value}

    def _kinds(self) -> dict[str, str]:
        return {
            name: "features" if input_.kind == "vectors" else "raw"
            for name, input_ in self.inputs.items()
        }


def load(
    path: str | Path,
    *,
    device: str | torch.device = "cpu",
    networks: Mapping[str, type[nn.Module]] | None = None,
    encoders: Mapping[str, type[nn.Module]] | None = None,
) -> CommonSpace:
    """Load a model that ``CommonSpace.save`` or a training run wrote.

    Args:
        path: The folder.
        device: Device of the network: "auto", or a name that torch knows, such as "cuda:0".
        networks: Class name -> class of a user-defined network. No code is imported because the
            file names it.
        encoders: Modality -> class of the torch module that is its encoder, if it was trained with
            an encoder FILE.py:Class.

    Raises:
        SpaceError: If there is no model, if it is damaged or of another version, or if its network
            is user-defined and not in ``networks``, or an encoder and not in ``encoders``.
        SettingError: If this machine has no such device.
    """
    folder, place = Path(path), choose_device(device)
    config, weights = read_space_files(folder)
    try:
        modules = modules_of((encoders or {}).values(), config["network"])
        with torch.random.fork_rng(devices=[]), use_modules(modules):  # fresh weights are replaced
            network = build_network(config["network"], networks)
        network.load_state_dict(weights)
        stored = config.get("calibration")
        calibration = stored and Calibration(**{key: tuple(row) for key, row in stored.items()})
    except SpaceError as exc:
        raise SpaceError(
            f"{folder / CONFIG}: {exc.problem}",
            expected=exc.expected,
            found=exc.found,
            advice=exc.advice,
        ) from exc
    except SettingError:
        raise
    except (TypeError, ValueError, RuntimeError) as exc:
        raise SpaceError(
            f"{folder} holds a model that cannot be built",
            expected=f"weights in {WEIGHTS} that fit the network in {CONFIG}",
            found=str(exc).splitlines()[-1].strip(),
            advice="load it with the version of commonspace that it names, or train again",
        ) from exc
    inputs = {name: input_from_config(described) for name, described in config["inputs"].items()}
    return CommonSpace(
        network.to(place), inputs, config["class_names"], config["provenance"], calibration
    )


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, for its provenance."""
    packages = ("commonspace", "torch", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _modalities(network: nn.Module) -> tuple[str, ...]:
    return tuple(network.modalities)  # type: ignore[arg-type]


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network for safetensors: on the CPU, none of them sharing memory."""
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

"""Embedding model: a network with its inputs, its calibration and its provenance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from commonspace.calibration import Calibration
from commonspace.data.columns import Column
from commonspace.data.dataset import Dataset, check_dataset
from commonspace.embedding import embed_column, embed_items
from commonspace.encoders import Input
from commonspace.errors import DataError, SettingError
from commonspace.networks.network import check_network, describe_network
from commonspace.space_files import compute_fingerprint

__all__ = ["EmbeddingModel", "Embeddings"]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of one modality of a data set."""

    vectors: NDArray[np.float32]
    """(m, d), one for each sample that has the modality."""
    rows: NDArray[np.intp]
    """(m,), the row of the data set of each embedding."""


class EmbeddingModel:
    """A network that embeds items of several modalities, and what is known about its scores.

    ``CommonSpace`` adds evaluation, search, plots and files.

    Args:
        network: As for ``CommonSpace``.
        inputs: As for ``CommonSpace``.
        class_names: As for ``CommonSpace``.
        provenance: As for ``CommonSpace``.
        calibration: As for ``CommonSpace``.

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
        self.dimension = int(network.dimension)  # type: ignore[arg-type]
        """d, the embedding dimension."""
        self.has_instance_block = bool(getattr(network, "has_instance_block", False))
        """Whether ``as_queries`` supports an ``instance_weight``."""
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
        return f"{type(self).__name__}({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """Return a table of the facts of the model, for a notebook."""
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in self.summary().items()
        )
        return f"<table><caption>{type(self).__name__}</caption><tbody>{rows}</tbody></table>"

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that can be embedded."""
        return tuple(self.inputs)

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
        description = self.description()
        description["network"].pop("module", None)  # a class may move to another file
        return compute_fingerprint(description, self.network.state_dict())

    @property
    def default_instance_weight(self) -> float | None:
        """Instance weight of a search without one, chosen on validation; None: that of training."""
        weight = self.provenance.get("chosen", {}).get("instance_weight")
        if not self.has_instance_block or not isinstance(weight, int | float):
            return None
        return float(weight) if 0 <= weight <= 1 else None

    @property
    def default_text_weight(self) -> float:
        """Weight of the text in a query of text and photo, chosen on validation; else 0.5."""
        weight = self.provenance.get("chosen", {}).get("text_weight")
        return float(weight) if isinstance(weight, int | float) and 0 <= weight <= 1 else 0.5

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

    def embed_queries(
        self,
        modality: str,
        items: Any,  # noqa: ANN401 - what the modality reads
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        """Return embeddings of queries, and whether they are like the training data.

        Args:
            modality: As for ``embed``.
            items: As for ``embed``, n of them.

        Returns:
            (n, d) float32; and (n,) probabilities that a query is like the training data, which
            ``relevance`` does not include. None if the model does not detect queries that are not.

        Raises:
            SettingError: If the modality is unknown.
            DataError: If the items are of another kind or size than in training.
        """
        detector = getattr(self.network, "detector", None)
        if detector is None or modality not in self.inputs or detector(modality) is None:
            return self.embed(modality, items), None
        network = _QueryNetwork(self.network)
        rows = embed_items(network, modality, self.inputs[modality], items, 512)
        return np.ascontiguousarray(rows[:, :-1]), rows[:, -1].astype(np.float64)

    def embed_dataset(self, data: Dataset) -> dict[str, Embeddings]:
        """Embed every modality of a data set that the model reads.

        Args:
            data: Its columns have the names of ``modalities``.

        Returns:
            Modality -> embeddings of the samples that have it.

        Raises:
            SettingError: If the data set has none of the modalities.
            DataError: If `data` is not a Dataset, or a column is of another kind or size than in
                training.
        """
        check_dataset(data, "embed_dataset")
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
        queries = np.asarray(vectors, dtype=np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise DataError(
                "query embeddings have a wrong shape",
                expected=f"(n, {self.dimension}), as embed returns them",
                found=f"{queries.shape}",
                advice="embed the queries with this model first",
            )
        if instance_weight is None:
            return queries
        if not self.has_instance_block:
            raise SettingError(
                "`instance_weight` is not supported by this model: it has no instance block",
                expected="instance_weight=None, or a model with an instance block",
                found=repr(instance_weight),
                advice="leave it out, or train with PosteriorMatching on pairs",
            )
        if not 0 <= instance_weight <= 1:
            raise SettingError(
                f"`instance_weight` must be in [0, 1], got {instance_weight!r}",
                expected="from 0 (rank by class) to 1 (rank by exact item)",
                advice="leave it out for the weight that the model was trained with",
            )
        weighted: NDArray[np.float32] = self.network.as_queries(  # type: ignore[operator]
            torch.tensor(queries), instance_weight
        ).numpy()
        return weighted

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
                advice="train it again, with labeled validation samples of several classes",
            )
        return self.calibration(scores)

    def description(self) -> dict[str, Any]:
        """Return everything but weights and provenance, as JSON values.

        Raises:
            SettingError: If a user-defined network has no ``to_config`` or ``from_config``.
        """
        description: dict[str, Any] = {
            "network": describe_network(self.network),
            "inputs": {name: input_.to_config() for name, input_ in self.inputs.items()},
            "class_names": list(self.class_names),
        }
        if self.calibration is not None:
            description["calibration"] = asdict(self.calibration)
        return description

    def summary(self) -> dict[str, str]:
        """Return the facts of the model as text: name -> value."""
        data = self.provenance.get("data", {})
        chosen = self.provenance.get("chosen", {})
        trained_on = f"{data['name']}, {data['samples']} samples" if "samples" in data else ""
        figure = chosen.get("validation_score")
        weight = self.default_instance_weight
        facts = {
            "Method": self.method,
            "Network": type(self.network).__name__,
            "Modalities": ", ".join(f"{name} ({kind})" for name, kind in self._kinds().items()),
            "Embedding dimension": str(self.dimension),
            "Classes": str(len(self.class_names)) if self.class_names else "",
            "Instance block": "yes" if self.has_instance_block else "no",
            "Default instance weight": "" if weight is None else f"{weight:g}",
            "Calibrated": "yes" if self.calibrated else "no",
            "Training data": trained_on,
            "Precision of training": self.precision,
            f"Validation {chosen.get('metric', 'mAP')}": "" if figure is None else f"{figure:.3f}",
        }
        return {name: value for name, value in facts.items() if value}

    def _kinds(self) -> dict[str, str]:
        return {
            name: "features" if input_.kind == "vectors" else "raw"
            for name, input_ in self.inputs.items()
        }


class _QueryNetwork(nn.Module):
    """A network whose embeddings are followed by the probability of being in distribution."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.dimension = int(network.dimension) + 1  # type: ignore[arg-type]
        self.embed = network.embed_queries


def _modalities(network: nn.Module) -> tuple[str, ...]:
    return tuple(network.modalities)  # type: ignore[arg-type]

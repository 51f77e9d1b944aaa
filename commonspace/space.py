"""Common embedding space: embed, evaluate, search, plot, save and load."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from commonspace.atomic import as_path, make_folder
from commonspace.calibration import Calibration
from commonspace.data.dataset import Dataset
from commonspace.embedding_model import EmbeddingModel, Embeddings
from commonspace.encoders import input_from_config
from commonspace.errors import SettingError, SpaceError
from commonspace.hub import HubMixin, download_space
from commonspace.machine import choose_device
from commonspace.networks.backbones.deferred import is_deferring
from commonspace.networks.backbones.torch_module import modules_of, use_modules
from commonspace.networks.network import build_network, describe_network
from commonspace.space_files import (
    CONFIG,
    WEIGHTS,
    network_weights,
    read_space_files,
    write_space_files,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from commonspace.evaluation.report import EvaluationReport
    from commonspace.retrieval.memory import DatasetResults

__all__ = ["CommonSpace", "Embeddings", "load"]


class CommonSpace(EmbeddingModel, HubMixin):
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

    def evaluate(
        self,
        data: Dataset,
        *,
        split: str | None = None,
        k: int | Sequence[int] | None = None,
        oracle: bool = False,
        pairs: bool | None = None,
    ) -> "EvaluationReport":
        """Measure cross-modal retrieval: the mAP of every modality against every other.

        Without labels: Recall@K, median rank and mean reciprocal rank of the pairs.

        Args:
            data: Samples.
            split: "train", "validation", "test", or "all" for every sample. Default: the test
                split if there is one, otherwise all samples.
            k: Additional cut-offs, one or several, such as 50 for mAP@50.
            oracle: Also measure class accuracy, and the mAP if the classes of one modality were
                known; see ``commonspace.evaluate``.
            pairs: Also measure the retrieval of pairs. Default: only if no sample has a label.

        Returns:
            The figures of each direction; prints as a table. ``map`` is the average mAP, ``pairs``
            has the figures of the pairs.

        Raises:
            SettingError: If the data set has fewer than two of the modalities, or an argument is
                invalid.
            DataError: If a column is of another kind or size than in training.
        """
        from commonspace.evaluation.protocol import evaluate

        return evaluate(self, data, split=split, k=k, oracle=oracle, pairs=pairs)

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
                Default: ``default_instance_weight``.
            min_relevance: Drop results of lower relevance.
            encoders: For a model of features: modality -> encoder that made them, such as
                "st:FOLDER", to search by text and image.

        Returns:
            Results, best first; prints as a table, and ``show()`` displays images.

        Raises:
            SettingError: If the query is empty, or an argument is invalid.
            DataError: If the image or the vector cannot be used.
        """
        from commonspace.retrieval.items import Query
        from commonspace.retrieval.memory import search_dataset

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
        self.write(make_folder(as_path(path)))

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
        config = {**self.description(), "provenance": self.provenance}
        write_space_files(folder, config, network_weights(self.network))

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
        encoders: Mapping[str, type[nn.Module]] | None = None,
    ) -> "CommonSpace":
        """Load a model from a local folder, or from a repository of the Hugging Face Hub.

        Args:
            name: Folder, or repository as ``user/name``.
            revision: Branch, tag or commit of the repository.
            token: Access token; None: the one of ``huggingface-cli login``.
            cache_dir: Folder of downloads; None: that of huggingface_hub.
            device: As for ``load``.
            networks: As for ``load``.
            encoders: As for ``load``.

        Raises:
            MissingExtraError: If huggingface_hub is not installed.
            SpaceError: If there is no model, or if it is damaged or of another version.
            SettingError: If this machine has no such device.
        """
        folder = download_space(name, revision=revision, token=token, cache_dir=cache_dir)
        return load(folder, device=device, networks=networks, encoders=encoders)


def load(
    path: str | Path,
    *,
    device: str | torch.device = "cpu",
    networks: Mapping[str, type[nn.Module]] | None = None,
    encoders: Mapping[str, type[nn.Module]] | None = None,
    check_weights: bool = True,
) -> CommonSpace:
    """Load a model that ``CommonSpace.save`` or a training run wrote.

    Args:
        path: The folder.
        device: Device of the network: "auto", or a name that torch knows, such as "cuda:0".
        networks: Class name -> class of a user-defined network. No code is imported because the
            file names it.
        encoders: Modality -> class of the torch module that is its encoder, if it was trained with
            an encoder FILE.py:Class.
        check_weights: Compare the weights with their hash; False for a caller who compares the
            ``fingerprint`` of the model, which has every bit of them.

    Raises:
        SpaceError: If there is no model, if it is damaged or of another version, or if its network
            is user-defined and not in ``networks``, or an encoder and not in ``encoders``.
        SettingError: If this machine has no such device, or ``path`` is no path.
    """
    folder, place = as_path(path), choose_device(device)
    config, weights = read_space_files(folder, check_weights=check_weights)
    try:
        modules = modules_of((encoders or {}).values(), config["network"])
        with torch.random.fork_rng(devices=[]), use_modules(modules):  # fresh weights are replaced
            network = build_network(config["network"], networks)
        network.load_state_dict(weights, assign=is_deferring())
        stored = config.get("calibration")
        calibration = stored and Calibration(**{key: tuple(row) for key, row in stored.items()})
        inputs = {
            name: input_from_config(described) for name, described in config["inputs"].items()
        }
        return CommonSpace(
            network.to(place), inputs, config["class_names"], config["provenance"], calibration
        )
    except SpaceError as exc:
        raise SpaceError(
            f"{folder / CONFIG}: {exc.problem}",
            expected=exc.expected,
            found=exc.found,
            advice=exc.advice,
        ) from exc
    except SettingError:
        raise
    except (TypeError, ValueError, RuntimeError, AttributeError, LookupError, OverflowError) as exc:
        raise SpaceError(
            f"{folder} holds a model that cannot be built",
            expected=f"weights in {WEIGHTS} that fit the network in {CONFIG}",
            found=f"{type(exc).__name__}: {exc}".splitlines()[-1].strip()[:200],
            advice="load it with the version of commonspace that it names, or train again",
        ) from exc

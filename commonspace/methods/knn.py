"""Nearest-neighbor posteriors, a baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import ClosedFormMethod, values_to_try
from commonspace.methods.base.views import Standardized, labeled_rows, standardize_features
from commonspace.networks.kernel import set_buffers
from commonspace.networks.neighbors import NeighborsConfig, NeighborsNetwork
from commonspace.settings import setting

__all__ = ["NearestNeighbors"]

NEIGHBORS = (1, 3, 5, 10, 20, 50, 100)


class NearestNeighbors(ClosedFormMethod):
    """Class posteriors by the k nearest training samples, compared across modalities.

        p(class | x) = (sum over the k nearest of their labels + prior) / (k + 1)

    for each modality separately, on standardized features; the score of two items is p'q, the
    probability of a shared class. For one modality this is the k-nearest-neighbor classifier
    (Cover, Hart: Nearest Neighbor Pattern Classification, IEEE Transactions on Information Theory
    13, 1967).

    Needs labels and any number of modalities; no pairs and no equal sizes. A sample of several
    classes counts for each in equal shares. The training samples are part of the model. There are
    no published results on the benchmarks of this field.
    """

    name: ClassVar[str] = "knn"

    neighbors: int | None = setting(
        None, help="Number of neighbors k; None: chosen on validation.", low=1
    )

    def prepare(self, train: Dataset) -> "_Problem":
        """Return the labeled samples of each modality, standardized."""
        features, labels = {}, {}
        for name in train.modalities:
            rows = labeled_rows(train, name)
            features[name] = standardize_features(train, name, rows)
            marks = train.labels[rows].astype(np.float64)
            labels[name] = marks / marks.sum(axis=1, keepdims=True)
        return _Problem(features, labels)

    def candidates(self, problem: "_Problem") -> Sequence["NearestNeighbors"]:
        """Return every number of neighbors below the number of samples."""
        fewest = min(map(len, problem.labels.values()))
        grid = [k for k in NEIGHBORS if k < fewest] or [1]
        return [replace(self, neighbors=k) for k in values_to_try(self.neighbors, grid)]

    def solve(self, problem: "_Problem") -> NeighborsNetwork:
        """Return the network with the training samples."""
        assert self.neighbors is not None
        sizes = {name: part.values.shape[1] for name, part in problem.features.items()}
        samples = {name: len(part.values) for name, part in problem.features.items()}
        classes = next(iter(problem.labels.values())).shape[1]
        network = NeighborsNetwork(NeighborsConfig(sizes, samples, classes, self.neighbors))
        for name, part in problem.features.items():
            set_buffers(network.scale(name), shift=part.mean, weight=part.weight)
            rows, shares = (
                torch.from_numpy(values).float() for values in (part.values, problem.labels[name])
            )
            network.store(name, rows, shares)
        return network


@dataclass(frozen=True)
class _Problem:
    """Standardized features and labels of the labeled samples of each modality."""

    features: Mapping[str, Standardized]
    labels: Mapping[str, NDArray[np.float64]]

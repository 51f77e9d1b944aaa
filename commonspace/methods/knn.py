"""Nearest-neighbor posteriors, a baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import ClosedFormMethod, values_to_try
from commonspace.methods.base.views import (
    Standardized,
    features_at,
    labeled_rows,
    standardize_features,
)
from commonspace.networks.kernel import set_buffers
from commonspace.networks.neighbors import NeighborsConfig, NeighborsNetwork
from commonspace.settings import setting

__all__ = ["Distance", "NearestNeighbors"]

Distance = Literal["euclidean", "cosine"]

NEIGHBORS = (1, 3, 5, 10, 20, 50, 100)


class NearestNeighbors(ClosedFormMethod):
    """Class posteriors by the k nearest training samples, compared across modalities.

        p(class | x) = (sum over the k nearest of their labels + prior) / (k + 1)

    for each modality separately; the score of two items is p'q, the probability of a shared class.
    Distances are Euclidean between standardized features, or cosines between centered ones. For one
    modality this is the k-nearest-neighbor classifier (Cover, Hart: Nearest Neighbor Pattern
    Classification, IEEE Transactions on Information Theory 13, 1967).

    Needs labels and any number of modalities; no pairs and no equal sizes. A sample of several
    classes counts for each in equal shares. The training samples are part of the model. There are
    no published results on the benchmarks of this field.
    """

    name: ClassVar[str] = "knn"

    neighbors: int | None = setting(
        None, help="Number of neighbors k; None: chosen on validation.", low=1
    )
    distance: Distance | None = setting(
        None,
        help="Distance of features; None: chosen on validation.",
        choices=(*get_args(Distance), None),
    )

    def prepare(self, train: Dataset) -> "_Problem":
        """Return the labeled samples of each modality, and what standardizes them."""
        samples, scales, labels = {}, {}, {}
        for name in train.modalities:
            rows = labeled_rows(train, name)
            samples[name] = features_at(train, name, rows).astype(np.float32)
            scales[name] = standardize_features(train, name, rows)
            marks = train.labels[rows].astype(np.float64)
            labels[name] = marks / marks.sum(axis=1, keepdims=True)
        return _Problem(samples, scales, labels)

    def candidates(self, problem: "_Problem") -> Sequence["NearestNeighbors"]:
        """Return both distances with every number of neighbors below the number of samples."""
        fewest = min(map(len, problem.labels.values()))
        grid = [k for k in NEIGHBORS if k < fewest] or [1]
        distances = values_to_try(self.distance, get_args(Distance))
        numbers = values_to_try(self.neighbors, grid)
        return [replace(self, distance=d, neighbors=k) for d, k in product(distances, numbers)]

    def solve(self, problem: "_Problem") -> NeighborsNetwork:
        """Return the network with the training samples."""
        assert self.neighbors is not None
        cosine = self.distance == "cosine"
        sizes = {name: values.shape[1] for name, values in problem.samples.items()}
        samples = {name: len(values) for name, values in problem.samples.items()}
        classes = next(iter(problem.labels.values())).shape[1]
        network = NeighborsNetwork(NeighborsConfig(sizes, samples, classes, self.neighbors, cosine))
        for name, values in problem.samples.items():
            scale = problem.scales[name]
            weight = np.sign(scale.weight) if cosine else scale.weight  # 0 for a constant feature
            set_buffers(network.scale(name), shift=scale.mean, weight=weight)
            shares = torch.from_numpy(problem.labels[name]).float()
            network.store(name, torch.from_numpy(values), shares)
        return network


@dataclass(frozen=True)
class _Problem:
    """Features, their scales, and labels of the labeled samples of each modality."""

    samples: Mapping[str, NDArray[np.float32]]
    scales: Mapping[str, Standardized]
    labels: Mapping[str, NDArray[np.float64]]

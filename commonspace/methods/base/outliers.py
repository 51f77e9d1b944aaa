"""Detection of queries that are unlike the training data, fitted after training."""

import torch
from torch import Tensor

from commonspace.data.dataset import Dataset
from commonspace.networks.posterior import PosteriorNetwork
from commonspace.training.samples import Samples

__all__ = ["count_references", "detect_outliers"]

REFERENCES = 2000
"""Largest number of training samples that are stored to be compared with queries."""

LEAST_VALIDATION = 40
"""Smallest number of validation samples that set the threshold."""


def count_references(train: Dataset, validation: Dataset) -> dict[str, int]:
    """Return modality -> number of training samples to store; without those of a small validation.

    Args:
        train: The training split.
        validation: The validation split.
    """
    return {
        name: min(REFERENCES, int(column.present.sum()))
        for name, column in train.columns.items()
        if int(validation.columns[name].present.sum()) >= LEAST_VALIDATION
    }


@torch.inference_mode()
def detect_outliers(network: PosteriorNetwork, train: Samples, validation: Samples) -> None:
    """Fit the detection of queries that are unlike the training data, in place.

    Args:
        network: With trained weights.
        train: Samples to compare queries with; an even selection of them is stored.
        validation: Samples that set the threshold.
    """
    for name, count in network.config.references.items():
        detector = network.detector(name)
        assert detector is not None
        features = network.features(name, train.even(name, count))
        detector.set_references(features, network.scale(name)(features))
        features = _features(network, name, validation)
        rescaled = network.scale(name)(features)
        p = network.class_posterior(name, features, rescaled)
        detector.calibrate(features, rescaled, p)


def _features(network: PosteriorNetwork, modality: str, samples: Samples) -> Tensor:
    """Return the (n, size) features of all samples that have a modality."""
    return torch.cat([network.features(modality, part) for part in samples.parts(modality, 512)])

"""Probe of encoders: the log loss on validation of a logistic regression on few features."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from commonspace.cache_folder import default_cache
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.encoders.encoder import Encoder
from commonspace.encoders.extract import Extraction, extract

__all__ = ["WORTH", "probe_features", "probe_loss", "probe_parts"]

TRAIN_PART, VALIDATION_PART = 400, 250
"""Samples on which candidates are compared, at most."""

WORTH = 0.01
"""Part of the log loss that a candidate of higher cost must save to be chosen."""

_PENALTIES = (1e-3, 1e-2, 1e-1)


def probe_parts(
    train: Dataset, validation: Dataset, modality: str
) -> tuple[Dataset, Dataset] | None:
    """Return the samples that a probe is fitted on, and those that measure it.

    Args:
        train: At most 400 labeled samples are taken, drawn with a fixed seed.
        validation: At most 250, likewise.
        modality: The column that they must have.

    Returns:
        None if there are fewer than two classes in both, or than two samples for each.
    """
    rows = _rows(train, modality, TRAIN_PART), _rows(validation, modality, VALIDATION_PART)
    classes = int((train.labels[rows[0]].any(0) & validation.labels[rows[1]].any(0)).sum())
    if classes < 2 or min(map(len, rows)) < 2 * classes:
        return None
    return train.take(rows[0]), validation.take(rows[1])


def probe_features(encoder: Encoder, parts: tuple[Dataset, Dataset], modality: str) -> list[Tensor]:
    """Return the (n, d) float64 features of a column of both parts, through the cache.

    Raises:
        DataError: If an item cannot be read.
    """
    features = []
    for part in parts:
        column = extract(part, {modality: encoder}, Extraction(cache=default_cache()))
        values = column.columns[modality]
        assert isinstance(values, Features)
        features.append(torch.from_numpy(values.values).double())
    return features


def probe_loss(features: Sequence[Tensor], parts: tuple[Dataset, Dataset]) -> float:
    """Return the log loss on the second part of a logistic regression fitted on the first.

    Args:
        features: (n, d) float64 for each part.
        parts: Give the labels; several of one sample share its weight.
    """
    targets = []
    for part in parts:
        labels = torch.from_numpy(part.labels).double()
        targets.append(labels / labels.sum(dim=1, keepdim=True))
    return _log_loss(features, targets)


def _rows(data: Dataset, modality: str, most: int) -> NDArray[np.intp]:
    """Return at most ``most`` rows of labeled samples with an image, drawn with a fixed seed."""
    rows = np.flatnonzero(data.columns[modality].present & data.labels.any(axis=1))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    return rows


def _log_loss(features: Sequence[Tensor], targets: Sequence[Tensor]) -> float:
    """Return the log loss on the second part of a logistic regression fitted on the first.

    Args:
        features: (n, d) and (m, d) float64.
        targets: (n, c) and (m, c), class shares of each sample.

    The smallest loss over a few penalties.
    """
    mean, scale = features[0].mean(0), features[0].std(0) + 1e-6
    known, held = ((values - mean) / scale for values in features)
    weights = torch.zeros(known.shape[1], targets[0].shape[1], dtype=torch.float64)
    bias = torch.zeros(targets[0].shape[1], dtype=torch.float64)
    weights.requires_grad_()
    bias.requires_grad_()
    losses = []
    for penalty in sorted(_PENALTIES, reverse=True):  # each starts from the smoother one before
        solver = torch.optim.LBFGS([weights, bias], max_iter=40, line_search_fn="strong_wolfe")

        def objective(penalty: float = penalty, solver: torch.optim.LBFGS = solver) -> Tensor:
            solver.zero_grad()
            loss = cross_entropy(known @ weights + bias, targets[0])
            loss = loss + penalty / 2 * (weights**2).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        with torch.enable_grad():
            solver.step(objective)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            losses.append(float(cross_entropy(held @ weights + bias, targets[1])))
    return min(losses)

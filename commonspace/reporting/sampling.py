"""Samples that the scatter plot shows: a stratified subset, with embeddings and features."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data import Dataset, Features
from commonspace.evaluation.protocol import EmbeddedData
from commonspace.plots import ModalityPoints, stratified_sample
from commonspace.space import CommonSpace

__all__ = ["ScatterSample", "sample_points"]

_BATCH = 64  # raw items in a batch of an encoder


@dataclass(frozen=True, eq=False)
class ScatterSample:
    """The samples that are drawn."""

    modalities: tuple[ModalityPoints, ...]
    counts: Mapping[str, tuple[int, int]]
    """Modality -> number of samples that are drawn, and of all samples."""
    feature_titles: Mapping[str, str]
    """Modality -> title of the panel of its features."""
    unit: bool
    """Whether all embeddings have length 1: then distance and cosine give the same order."""


def sample_points(
    space: CommonSpace, embedded: EmbeddedData, max_points: int, seed: int
) -> ScatterSample:
    """Return the samples of each modality to draw.

    A sample of several classes is shown with the first of them. Features are those of the data set;
    where the model reads raw items, those of its pretrained encoder, if it has one.

    Args:
        space: the common space.
        embedded: the samples.
        max_points: maximum number of samples of each modality; each class keeps its share.
        seed: of the random choice.
    """
    modalities, counts, called = [], {}, {}
    for modality, vectors in embedded.vectors.items():
        if not len(vectors):
            continue
        marks = embedded.labels[modality]
        classes = np.full(len(marks), -1)
        if marks.any():
            classes = np.where(marks.any(axis=1), marks.argmax(axis=1), -1)
        rows = stratified_sample(classes, max_points, np.random.default_rng(seed))
        features = _features(space, embedded.data, modality, embedded.rows[modality][rows])
        if modality in space.provenance.get("encoders", {}):
            called[modality] = "features of the encoder"
        modalities.append(ModalityPoints(modality, vectors[rows], classes[rows], features))
        counts[modality] = (len(rows), len(vectors))
    lengths = np.concatenate([np.linalg.norm(one.vectors, axis=1) for one in modalities] or [[1.0]])
    unit = bool(np.allclose(lengths[lengths > 0], 1, atol=1e-3))
    return ScatterSample(tuple(modalities), counts, called, unit)


def _features(
    space: CommonSpace, data: Dataset, modality: str, rows: NDArray[np.intp]
) -> NDArray[np.float32] | None:
    column = data.columns[modality].take(rows)
    if isinstance(column, Features):
        return column.values
    backbone = getattr(space.network, "backbone", None)
    if backbone is None or modality not in space.provenance.get("encoders", {}):
        return None
    device = next(space.network.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            some = column.take(np.arange(start, min(start + _BATCH, len(rows))))
            parts.append(backbone(modality)(space.inputs[modality](some).to(device)).float().cpu())
    features: NDArray[np.float32] = torch.cat(parts).numpy()
    return features

"""Which samples of a split are drawn in the common space, and what their features are.

It knows spaces and data sets, and draws nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data import Dataset, Features
from commonspace.evaluation.protocol import EmbeddedData
from commonspace.plots import Cloud, stratified_sample
from commonspace.space import CommonSpace

__all__ = ["Clouds", "clouds_of"]

_BATCH = 64  # raw items that an encoder reads at a time


@dataclass(frozen=True, eq=False)
class Clouds:
    """What is drawn, and what there is."""

    clouds: tuple[Cloud, ...]
    counts: Mapping[str, tuple[int, int]]
    """Modality -> how many samples are drawn, and how many there are."""
    features_called: Mapping[str, str]
    """Modality -> what its features are called in a title."""
    unit: bool
    """Whether all vectors have the length 1, so that distance and cosine give one order."""


def clouds_of(space: CommonSpace, found: EmbeddedData, most: int, seed: int) -> Clouds:
    """Return what is to be drawn of each modality.

    A sample of several classes has the first of them. Features are those of the data set, or,
    where the space begins with raw items, those of the encoder that it holds; what was trained
    from nothing along with the space has none.

    Args:
        space: the common space.
        found: the samples, embedded.
        most: samples of each modality, at most, the same share of each class.
        seed: of the choice.
    """
    clouds, counts, called = [], {}, {}
    for modality, vectors in found.vectors.items():
        if not len(vectors):
            continue
        marks = found.labels[modality]
        classes = np.where(marks.any(axis=1), marks.argmax(axis=1), -1)
        kept = stratified_sample(classes, most, np.random.default_rng(seed))
        features = _features(space, found.data, modality, found.rows[modality][kept])
        if modality in space.provenance.get("encoders", {}):
            called[modality] = "features of the encoder"
        clouds.append(Cloud(modality, vectors[kept], classes[kept], features))
        counts[modality] = (len(kept), len(vectors))
    lengths = np.concatenate([np.linalg.norm(one.vectors, axis=1) for one in clouds] or [[1.0]])
    unit = bool(np.allclose(lengths[lengths > 0], 1, atol=1e-3))
    return Clouds(tuple(clouds), counts, called, unit)


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

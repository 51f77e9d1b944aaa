"""Defaults of search that are chosen on validation: instance weight, and weight of the text."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.embedding_model import EmbeddingModel

__all__ = [
    "INSTANCE_WEIGHTS",
    "TEXT_WEIGHTS",
    "choose_instance_weight",
    "choose_text_weight",
    "set_text_weight",
]

INSTANCE_WEIGHTS = tuple(step / 20 for step in range(21))
"""Instance weights to choose the default of search from."""

FEWEST = 40
"""Samples below which the instance weight is not chosen: a few more or less would decide."""

MIDDLE = 0.5
"""Instance weight without a choice."""

PRECISION_LOSS = 0.01
"""Class precision at 10 that the default of search may lose against instance weight 0."""

TEXT_WEIGHTS = tuple(step / 20 for step in range(1, 20))
"""Weights of the text to choose the default of search from."""

SAMPLES = 1000
"""Largest number of samples that are compared."""

Embedded = Mapping[str, NDArray[np.float32]]
"""Modality -> (n_m, d), of the samples of a split that have it."""


def choose_instance_weight(
    space: EmbeddingModel, embeddings: Embedded, validation: Dataset
) -> float | None:
    """Return the instance weight of a search without one, chosen on validation.

    Of the weights whose class precision at 10 is at most 0.01 below that of weight 0, the one that
    ranks a query's counterpart in another modality best, by mean reciprocal rank; the smallest of
    several. Precision is that of the ten results of a search: over all modalities, an item by its
    best one, the item of the query included. Of many samples, 1,000 are compared; with fewer than
    40, it is 0.5.

    Args:
        space: With an instance block.
        embeddings: Modality -> (n_m, d), of the validation samples that have it.
        validation: The samples.

    Returns:
        A multiple of 0.05 in [0, 1]; None without two labeled samples of several modalities.
    """
    part = _Items.select(validation, embeddings, list(embeddings), SAMPLES)
    if len(part.labels) < 2:
        return None
    if len(part.labels) < FEWEST:
        return MIDDLE
    relevant = part.labels @ part.labels.T > 0
    figures = [_rank_figures(space, part, relevant, weight) for weight in INSTANCE_WEIGHTS]
    precision, reciprocal = np.transpose(figures)
    allowed = precision >= precision[0] - PRECISION_LOSS
    return INSTANCE_WEIGHTS[int(np.where(allowed, reciprocal, -1).argmax())]


def choose_text_weight(
    space: EmbeddingModel, validation: Dataset, embeddings: Embedded
) -> float | None:
    """Return the weight of the text in a query of text and photo, chosen on validation.

    The query is the weighted mean of text and photo of a sample, each at unit length; it searches
    the other samples by their best modality, at the default instance weight. Chosen is the weight
    of the highest mean average precision by class; of several, the one nearest to one half.

    Args:
        space: Of the embeddings.
        validation: Samples with the modalities "text" and "image".
        embeddings: Modality -> (n_m, d), of the samples that have it.

    Returns:
        A multiple of 0.05 in (0, 1); None without labeled samples that have text and photo.
    """
    if not {"text", "image"} <= set(embeddings):
        return None
    part = _Items.select(validation, embeddings, ["text", "image"], SAMPLES)
    both = part.present.all(axis=0)
    relevant = part.labels[both] @ part.labels.T > 0
    own = np.flatnonzero(both)
    relevant[np.arange(len(own)), own] = False
    if not relevant.any():
        return None
    units = [values[both] / _lengths(values[both]) for values in part.vectors]
    figures = []
    for weight in TEXT_WEIGHTS:
        mean = (weight * units[0] + (1 - weight) * units[1]).astype(np.float32)
        scores = part.scores(space.as_queries(mean, space.default_instance_weight)).max(axis=0)
        scores[np.arange(len(own)), own] = -np.inf
        figures.append(_mean_average_precision(scores, relevant))
    best = [
        weight for weight, one in zip(TEXT_WEIGHTS, figures, strict=True) if one == max(figures)
    ]
    return min(best, key=lambda weight: abs(weight - 0.5))


def set_text_weight(space: EmbeddingModel, embeddings: Embedded, validation: Dataset) -> None:
    """Write the weight of ``choose_text_weight``, if there is one, into the provenance of a space.

    Args:
        space: Of the embeddings; it is changed in place.
        embeddings: Modality -> (n_m, d), of the samples that have it.
        validation: The samples.
    """
    weight = choose_text_weight(space, validation, embeddings)
    if weight is not None:
        space.provenance.setdefault("chosen", {})["text_weight"] = weight


class _Items:
    """Labeled samples of several modalities.

    Args:
        vectors: (m, n, d), 0 where a sample lacks the modality.
        present: (m, n) bool.
        labels: (n, c) float32.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        present: NDArray[np.bool_],
        labels: NDArray[np.float32],
    ) -> None:
        self.vectors, self.present, self.labels = vectors, present, labels

    @classmethod
    def select(
        cls, data: Dataset, embeddings: Embedded, names: Sequence[str], most: int
    ) -> "_Items":
        """Return an even selection of the samples that have a label and several modalities."""
        present = np.stack([data.columns[name].present for name in names])
        rows = np.flatnonzero((present.sum(axis=0) >= 2) & data.labels.any(axis=1))
        if len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
        vectors = np.zeros((*present[:, rows].shape, embeddings[names[0]].shape[1]), np.float32)
        for values, name, mask in zip(vectors, names, present, strict=True):
            values[mask[rows]] = embeddings[name][np.cumsum(mask)[rows[mask[rows]]] - 1]
        return cls(vectors, present[:, rows], data.labels[rows].astype(np.float32))

    def scores(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (m, q, n) scores, -inf where a sample lacks the modality."""
        scores = queries @ self.vectors.transpose(0, 2, 1)
        return np.where(self.present[:, None], scores, np.float32(-np.inf))


def _rank_figures(
    space: EmbeddingModel, items: _Items, relevant: NDArray[np.bool_], weight: float
) -> tuple[float, float]:
    """Return class precision at 10 and mean reciprocal rank of the counterpart."""
    precision, reciprocal = [], []
    k = min(10, len(relevant))
    for place, vectors in enumerate(items.vectors):
        rows = np.flatnonzero(items.present[place])
        if not len(rows):
            continue
        scores = items.scores(space.as_queries(vectors[rows], weight))
        best = np.argpartition(-scores.max(axis=0), k - 1, axis=1)[:, :k]
        precision.append(np.take_along_axis(relevant[rows], best, axis=1).mean())
        for other in range(len(items.vectors)):
            pairs = np.flatnonzero(items.present[other, rows])
            if other != place and len(pairs):
                own = scores[other, pairs, rows[pairs]]
                ranks = (scores[other, pairs] >= own[:, None]).sum(axis=1)
                reciprocal.append((1 / ranks).mean())
    return float(np.mean(precision)), float(np.mean(reciprocal))


def _mean_average_precision(scores: NDArray[np.float32], relevant: NDArray[np.bool_]) -> float:
    """Return the mean average precision of the (q, n) rankings that have a relevant item.

    Equal scores stay in the order of the items. One sort of whole numbers, which is several times
    faster than one of places, gives the relevance by rank: the order of the bits of a float is that
    of its value once those of negative numbers are inverted; place and relevance stand below.
    """
    bits = (0 - scores).view(np.int32)
    keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64) << 32
    keys |= np.arange(scores.shape[1]) << 1
    keys |= relevant
    keys.sort(axis=1)
    hits = (keys & 1).astype(bool)
    precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    counts = hits.sum(axis=1)
    values = (precision * hits).sum(axis=1)[counts > 0] / counts[counts > 0]
    return round(float(values.mean()), 12)  # equal rankings have equal figures


def _lengths(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.maximum(lengths, np.float32(1e-12))

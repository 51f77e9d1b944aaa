"""Oracle analysis: the mAP that would result if the classes of one modality were known perfectly.

It shows whether a better encoder of one modality, or of the other, could improve retrieval.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.evaluation.average_precision import mean_average_precision

__all__ = ["LinearDiscriminant", "OracleAnalysis", "analyze_oracle", "model_posteriors"]

Array = NDArray[np.float64]
SHRINKAGE = 0.1
"""Share of the mean variance in the covariance of the probe."""


@dataclass(frozen=True)
class OracleAnalysis:
    """Class accuracy of each modality, and mAP with the classes of one modality known."""

    accuracy: Mapping[str, float]
    """Modality -> share of labeled samples whose most probable class is one of theirs."""
    known: Mapping[str, Mapping[str, float]]
    """Direction -> modality -> mAP if the classes of this modality were known perfectly. The other
    modality is ranked by its class posteriors."""
    source: str
    """Where the class posteriors come from: "model" or "probe"."""


def analyze_oracle(
    posteriors: Mapping[str, Array], labels: Mapping[str, NDArray[np.bool_]], source: str
) -> OracleAnalysis:
    """Measure class accuracy, and retrieval with one side replaced by its labels.

    With the query's classes known, items are ranked by the posterior of these classes; with the
    items' classes known, by the posterior of the query for them.

    Args:
        posteriors: modality -> (n, c) class posteriors in [0, 1].
        labels: modality -> (n, c) bool.
        source: of the posteriors, "model" or "probe".

    Raises:
        DataError: no sample of a modality has a label.

    Example:
        >>> p = {"image": np.array([[0.9, 0.1], [0.6, 0.4]]), "text": np.eye(2)}
        >>> y = {"image": np.eye(2, dtype=bool), "text": np.eye(2, dtype=bool)}
        >>> result = analyze_oracle(p, y, "model")
        >>> result.accuracy, result.known["image->text"]
        ({'image': 0.5, 'text': 1.0}, {'image': 1.0, 'text': 0.75})
    """
    accuracy = {}
    for name, marks in labels.items():
        rows = np.flatnonzero(marks.any(axis=1))
        best = posteriors[name][rows].argmax(axis=1)
        accuracy[name] = float(marks[rows, best].mean()) if rows.size else float("nan")
    known = {}
    for source_name, target in permutations(labels, 2):
        sides = labels[source_name], labels[target]
        truth = [marks.astype(np.float64) for marks in sides]
        known[f"{source_name}->{target}"] = {
            source_name: mean_average_precision(truth[0], posteriors[target], *sides),
            target: mean_average_precision(posteriors[source_name], truth[1], *sides),
        }
    return OracleAnalysis(accuracy, known, source)


class LinearDiscriminant:
    """Class posteriors of embeddings, by a Gaussian model of each class with a shared covariance.

    Linear discriminant analysis (Hastie, Tibshirani, Friedman: The Elements of Statistical
    Learning, 2009, section 4.3) with a covariance that is shrunk to a multiple of the identity. A
    sample of several classes counts in each of them.

    Args:
        vectors: (n, d) embeddings of labeled samples.
        labels: (n, c) bool.
    """

    def __init__(self, vectors: NDArray[Any], labels: NDArray[np.bool_]) -> None:
        row, column = np.nonzero(labels)
        x = np.asarray(vectors, dtype=np.float64)[row]
        marks = np.zeros((len(row), labels.shape[1]))
        marks[np.arange(len(row)), column] = 1
        counts = marks.sum(axis=0)
        means = marks.T @ x / np.maximum(counts, 1)[:, None]
        centered = x - means[column]
        covariance = centered.T @ centered / max(len(x), 1)
        variance = np.trace(covariance) / len(covariance)
        covariance *= 1 - SHRINKAGE
        covariance[np.diag_indices_from(covariance)] += SHRINKAGE * variance + 1e-12
        self._weights = np.linalg.solve(covariance, means.T)
        with np.errstate(divide="ignore"):
            prior = np.log(counts / max(counts.sum(), 1))
        self._bias = prior - 0.5 * np.einsum("cd,dc->c", means, self._weights)

    def __call__(self, vectors: NDArray[Any]) -> Array:
        """Return (n, c) posteriors; rows sum to 1."""
        logits = np.asarray(vectors, dtype=np.float64) @ self._weights + self._bias
        logits -= logits.max(axis=1, keepdims=True)
        p: Array = np.exp(logits)
        p /= p.sum(axis=1, keepdims=True)
        return p


def model_posteriors(
    space: Any,  # noqa: ANN401 - an EmbeddingSpace with a network
    vectors: Mapping[str, NDArray[np.float32]],
    class_names: tuple[str, ...],
) -> dict[str, Array] | None:
    """Return the class posteriors that the embeddings of posterior matching consist of.

    Args:
        space: the model.
        vectors: modality -> (n, d) its embeddings.
        class_names: the classes of the columns to return.

    Returns:
        Modality -> (n, c) posteriors; None for a model of another kind, or with other classes.
    """
    network = getattr(space, "network", None)
    has_posteriors = callable(getattr(network, "posterior", None))
    if not has_posteriors or not set(class_names) <= set(space.class_names):
        return None
    columns = [space.class_names.index(name) for name in class_names]
    posteriors = {}
    for name, embedded in vectors.items():
        p = np.asarray(embedded[:, : len(space.class_names)], dtype=np.float64)
        if not network.config.multi_label:  # type: ignore[union-attr]
            p = p / np.maximum(p.sum(axis=1, keepdims=True), 1e-30)
        posteriors[name] = p[:, columns]
    return posteriors

"""Labels that spread over a graph, which joins each sample to its nearest in each modality."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from commonspace.data.columns import Features

__all__ = ["neighbor_graph", "spread_classes"]

NEIGHBORS = 10
SPREAD = 0.95
"""Share of a sample's classes that comes from its neighbors, alpha."""
STEPS = 60
ROWS = 1024
"""Samples that are compared with all others at a time."""


def neighbor_graph(columns: Sequence[Features], rows: NDArray[np.intp]) -> scipy.sparse.csr_matrix:
    """Return D^-1/2 W D^-1/2 of some samples; O(n^2 d) time.

    W joins each sample to its 10 nearest by cosine in each modality, on centered features, so that
    a sample that is like another in one modality passes its class on to those that are like it in
    the other. D is the diagonal of the sums of the rows of W.

    Args:
        columns: Modalities.
        rows: (n,) the samples.

    Returns:
        (n, n) symmetric; rows of samples without a neighbor are 0.
    """
    n = len(rows)
    weights = scipy.sparse.csr_matrix((n, n))
    for column in columns:
        there = np.flatnonzero(column.present[rows])
        if len(there) > 1:
            weights = weights + _neighbors(column.values[rows[there]], there, n)
    degree = np.asarray(weights.sum(axis=1)).ravel()
    scale = scipy.sparse.diags(np.where(degree > 0, degree, 1) ** -0.5)
    return scale @ weights @ scale


def spread_classes(
    graph: scipy.sparse.csr_matrix, labels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what reaches each sample of each class after 60 steps.

        F <- alpha S F + (1 - alpha) Y,   Y: labels, each class divided by its number

    Source: Zhou, Bousquet, Lal, Weston, Schoelkopf: Learning with Local and Global Consistency,
    NIPS 2003.

    Args:
        graph: (n, n), S, of ``neighbor_graph``.
        labels: (n, c); a row of zeros is unlabeled.

    Returns:
        (n, c) float64, >= 0; rows do not sum to 1.
    """
    start = labels / np.maximum(labels.sum(axis=0), 1)
    F: NDArray[np.float64] = start.copy()
    for _ in range(STEPS):
        F = SPREAD * (graph @ F) + (1 - SPREAD) * start
    return F


def _neighbors(
    values: NDArray[np.float32], rows: NDArray[np.intp], n: int
) -> scipy.sparse.csr_matrix:
    """Return the (n, n) symmetric matrix of the cosines to the nearest samples, 0 elsewhere."""
    X = values - values.mean(axis=0)
    X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)
    k = min(NEIGHBORS, len(X) - 1)
    places, weights = [], []
    for start in range(0, len(X), ROWS):
        cosines = X[start : start + ROWS] @ X.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = -np.inf
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        places.append(nearest)
        weights.append(np.maximum(np.take_along_axis(cosines, nearest, axis=1), 0))
    ends = rows[np.concatenate(places)].ravel()
    joined = scipy.sparse.csr_matrix(
        (np.concatenate(weights).ravel().astype(np.float64), (np.repeat(rows, k), ends)), (n, n)
    )
    return joined.maximum(joined.T)

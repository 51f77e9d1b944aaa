"""Pseudo-labels of unlabeled samples: labels spread over neighbors, and agreement of modalities."""

from collections.abc import Callable
from operator import itemgetter

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import softmax

from commonspace.callbacks import Callbacks
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.data.row_blocks import to_rows
from commonspace.methods.base.kernel_posteriors import (
    KernelPosteriors,
    fit_kernel_posteriors,
    validation_map,
)

__all__ = ["agreed_labels", "spread_labels", "taught_by_unlabeled"]

NEIGHBORS = 10
SPREAD = 0.95
"""Share of a sample's classes that comes from its neighbors, alpha."""
STEPS = 60
ROWS = 1024
"""Samples that are compared with all others at a time."""
ROUNDS = 3
"""Largest number of times that machines are fitted to what the machines before agree on."""
RARE, TINY = 1e-6, 1e-300
"""Smallest share of a class, and smallest posterior."""
PART = 4096
"""Samples whose posteriors are computed at a time."""
MOST = 20_000
"""Largest number of samples: the comparison of all with all takes the square of it."""


def spread_labels(data: Dataset, seed: int = 0) -> NDArray[np.float64]:
    """Return class probabilities of all samples, from the labels of a few.

        F <- alpha D^-1/2 W D^-1/2 F + (1 - alpha) Y

    W joins each sample to its 10 nearest by cosine in each modality, on centered features, so that
    a sample that is like a labeled one in one modality passes its class on to those that are like
    it in the other. Columns of F are scaled to the shares of the classes among the labels.

    Source: Zhou, Bousquet, Lal, Weston, Schoelkopf: Learning with Local and Global Consistency,
    NIPS 2003; the scaling of classes, Zhu, Ghahramani, Lafferty: Semi-Supervised Learning Using
    Gaussian Fields and Harmonic Functions, ICML 2003.

    Args:
        data: Some samples with one class each, the others without; columns are features.
        seed: Random seed of the choice of samples, if there are more than 20,000.

    Returns:
        (n, c) float64. Rows of labeled samples are their labels, rows of samples that were not
        reached are 0, others sum to 1.
    """
    known = np.asarray(data.labels.any(axis=1))
    result = to_rows(data.labels, np.float64)
    rows = np.arange(len(data))
    if len(rows) > MOST:
        others = np.random.default_rng(seed).permutation(np.flatnonzero(~known))
        rows = np.sort(np.concatenate([np.flatnonzero(known), others])[:MOST])
    n = len(rows)
    weights = scipy.sparse.csr_matrix((n, n))
    for column in data.columns.values():
        assert isinstance(column, Features)
        there = np.flatnonzero(column.present[rows])
        if len(there) > 1:
            weights = weights + _neighbors(column.values[rows[there]], there, n)
    degree = np.asarray(weights.sum(axis=1)).ravel()
    scale = scipy.sparse.diags(np.where(degree > 0, degree, 1) ** -0.5)
    spread = scale @ weights @ scale
    counts = result.sum(axis=0)
    start = result[rows] / np.maximum(counts, 1)
    F = start.copy()
    for _ in range(STEPS):
        F = SPREAD * (spread @ F) + (1 - SPREAD) * start
    mass = F.sum(axis=0)
    F *= np.where(mass > 0, counts / np.where(mass > 0, mass, 1), 0)
    total = F.sum(axis=1, keepdims=True)
    F = np.divide(F, total, out=np.zeros_like(F), where=total > 0)
    unlabeled = np.flatnonzero(~known[rows])
    result[rows[unlabeled]] = F[unlabeled]
    return result


def agreed_labels(
    kernels: KernelPosteriors, data: Dataset, prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the class probabilities of all samples that the modalities of each give together.

        q_c ~ p(c) prod_m p(c | x_m) / p(c)

    as if the modalities were independent given the class.

    Args:
        kernels: A machine of each modality.
        data: Some samples with one class each, the others without; columns are features.
        prior: (c,) float64, shares of the classes, p.

    Returns:
        (n, c) float64. Rows of labeled samples are their labels, the others sum to 1.
    """
    base = np.log(np.maximum(prior / prior.sum(), RARE))
    logits = np.tile(base, (len(data), 1))
    for name, machine in kernels.machines.items():
        column = data.columns[name]
        assert isinstance(column, Features)
        rows = np.flatnonzero(column.present)
        for start in range(0, len(rows), PART):
            some = rows[start : start + PART]
            p = machine.posteriors(column.values[some], multi_label=False)
            logits[some] += np.log(np.maximum(p, TINY)) - base
    result: NDArray[np.float64] = softmax(logits, axis=1)
    known = data.labels.any(axis=1)
    result[known] = data.labels[known]
    return result


def taught_by_unlabeled(
    kernels: KernelPosteriors,
    train: Dataset,
    validation: Dataset,
    *,
    seed: int,
    callbacks: Callbacks,
    pair_vectors: Callable[[], Dataset] | None = None,
) -> KernelPosteriors | None:
    """Fit kernel machines to labels and pseudo-labels; None unless the mAP on validation is higher.

    Labels are spread over the neighbors in the features and, with ``pair_vectors``, over those in a
    space that was trained on the pairs. The better of the two on validation is fitted again to what
    its modalities agree on, as long as validation improves.

    Args:
        kernels: Fitted to the labels alone.
        train: The training split, one class a sample; columns are features.
        validation: The validation split.
        seed: Random seed of the choice of landmarks.
        callbacks: Receive each scaling that was tried, and the final machine.
        pair_vectors: Returns the samples of ``train`` with columns of vectors from a space of the
            pairs; called only if some samples have no label.
    """
    if train.labels.any(axis=1).all():
        return None

    def fit(targets: NDArray[np.float64]) -> tuple[float, KernelPosteriors]:
        found = fit_kernel_posteriors(
            train, multi_label=False, seed=seed, callbacks=callbacks, targets=targets
        )
        return validation_map(found, validation), found

    start = validation_map(kernels, validation)
    best = fit(spread_labels(train, seed))
    if pair_vectors is not None:
        best = max(best, fit(spread_labels(pair_vectors(), seed)), key=itemgetter(0))
    for _ in range(ROUNDS):
        again = fit(agreed_labels(best[1], train, best[1].targets.sum(axis=0)))
        if again[0] <= best[0]:
            break
        best = again
    return best[1] if best[0] > start else None


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

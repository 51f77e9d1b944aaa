"""Labels that the modalities contradict: replaced by the classes of a sample's neighbors.

The noise model weighs each label against kernel machines, which were fitted to the same labels.
Where most labels are wrong, those machines say little. Neighbors still do: the wrong labels among
them cancel out.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from commonspace.callbacks import Callbacks
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.methods.base.kernel_posteriors import (
    PER_CLASS,
    KernelPosteriors,
    fit_kernel_posteriors,
)
from commonspace.methods.base.label_graph import neighbor_graph, spread_classes

__all__ = ["classes_of_neighbors", "relabeled_by_neighbors"]

FOLDS = 20
"""Parts of the samples whose labels are left out in turn."""

DOUBT = 0.5
"""Share of labels that kernel machines predict, from which on labels are not doubted."""

RATIO = 2.0
"""How many times more often modalities must agree with each other than with the labels."""

MOST = 20_000
"""Largest number of samples: the comparison of all with all takes the square of it."""


def relabeled_by_neighbors(
    kernels: KernelPosteriors, train: Dataset, *, seed: int, callbacks: Callbacks
) -> KernelPosteriors | None:
    """Fit kernel machines to the classes of neighbors, if the modalities contradict the labels.

    They do if classes that spread over the neighbors in one modality agree with those in another
    at least twice as often as the classes that spread over both agree with the label, and more
    often than the predictions of the kernel machines agree with each other. Neither holds for
    features that say little about right labels: their modalities do not agree.

    Args:
        kernels: Fitted to the labels.
        train: The training split, one class a sample; columns are features.
        seed: Random seed of the folds and of the choice of landmarks.
        callbacks: Receive each scaling that was tried, and the final machine.

    Returns:
        The machines, with the share of labels that were replaced as noise. None if kernel machines
        predict at least half of the labels without seeing them, if the labels are not
        contradicted, with fewer than 8 labels a class, or more than 20,000 labeled samples.
    """
    rows = np.flatnonzero(train.labels.any(axis=1))
    columns = {
        name: column for name, column in train.columns.items() if isinstance(column, Features)
    }
    classes = int(train.labels.any(axis=0).sum())
    if len(columns) < 2 or not PER_CLASS * classes <= len(rows) <= MOST:
        return None
    labels = train.labels[rows].astype(np.float64)
    given = labels.argmax(axis=1)
    scores = [np.nan_to_num(one.at(rows)) for one in kernels.left_out.values()]
    if (np.sum(scores, axis=0).argmax(axis=1) == given).mean() >= DOUBT:
        return None
    found = classes_of_neighbors(neighbor_graph(list(columns.values()), rows), labels, seed)
    alone = {
        name: classes_of_neighbors(neighbor_graph([column], rows), labels, seed)
        for name, column in columns.items()
    }
    by_machine = {
        name: np.where(columns[name].present[rows], one.argmax(axis=1), -1)
        for name, one in zip(kernels.left_out, scores, strict=True)
    }
    agreement = _agreement(alone)
    reached = found >= 0
    if not reached.any():  # features without any difference
        return None
    if agreement < RATIO * (found == given)[reached].mean() or agreement <= _agreement(by_machine):
        return None
    chosen = np.where(reached, found, given)
    targets = np.zeros(train.labels.shape)
    targets[rows, chosen] = 1
    machines = fit_kernel_posteriors(
        train, multi_label=False, seed=seed, callbacks=callbacks, targets=targets
    )
    return replace(machines, noise=float((chosen != given).mean()))


def classes_of_neighbors(
    graph: scipy.sparse.csr_matrix, labels: NDArray[np.float64], seed: int
) -> NDArray[np.intp]:
    """Return the class that spreads to each sample from the labels of the others.

    In 20 folds, so that the label of a sample does not come back to it. Each class counts alike.

    Args:
        graph: (n, n), of ``neighbor_graph``.
        labels: (n, c), one class a sample.
        seed: Random seed of the folds.

    Returns:
        (n,), -1 where none arrives.
    """
    fold = np.random.default_rng(seed).permutation(len(labels)) % FOLDS
    classes = np.full(len(labels), -1)
    for number in range(FOLDS):
        out = fold == number
        F = spread_classes(graph, np.where(out[:, None], 0, labels))
        F /= np.maximum(F.sum(axis=0), np.finfo(np.float64).tiny)
        classes[out] = np.where(F[out].any(axis=1), F[out].argmax(axis=1), -1)
    return classes


def _agreement(classes: Mapping[str, NDArray[np.intp]]) -> float:
    """Return how often two modalities of a sample say the same class, the mean over all pairs."""
    shares = []
    for one, other in combinations(classes.values(), 2):
        both = (one >= 0) & (other >= 0)
        if both.any():
            shares.append((one == other)[both].mean())
    return float(np.mean(shares)) if shares else 0.0

"""Pseudo-labels of unlabeled samples: labels spread over neighbors, and agreement of modalities."""

from collections.abc import Callable
from operator import itemgetter

import numpy as np
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
from commonspace.methods.base.label_graph import neighbor_graph, spread_classes

__all__ = ["agreed_labels", "spread_labels", "taught_by_unlabeled"]

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

    Labels spread over the graph of nearest samples (``spread_classes``); what arrives is scaled to
    the shares of the classes among the labels.

    Source: the scaling, Zhu, Ghahramani, Lafferty: Semi-Supervised Learning Using Gaussian Fields
    and Harmonic Functions, ICML 2003.

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
    columns = [column for column in data.columns.values() if isinstance(column, Features)]
    F = spread_classes(neighbor_graph(columns, rows), result[rows])
    counts = result.sum(axis=0)
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

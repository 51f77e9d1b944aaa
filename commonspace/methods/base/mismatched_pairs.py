"""Modalities that do not belong to their sample, by the classes that each modality predicts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.callbacks import Callbacks
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.methods.base.kernel_posteriors import (
    KernelPosteriors,
    fit_kernel_posteriors,
    validation_map,
)
from commonspace.methods.base.noise_model import NoiseModel, fit_noise_model

__all__ = [
    "LISTED",
    "count_mismatched",
    "matched_modalities",
    "mismatch_probabilities",
    "taught_by_matched",
    "without_mismatched",
]

Scores = Callable[[NDArray[np.intp]], NDArray[np.floating]]
"""Returns the (r, c) scores of samples by their rows, (r,)."""

STEPS = 200
LISTED = 0.5
"""Probability from which a pair is taken for a mismatch."""
NOISE = 0.05
"""Share of labels that do not fit some modality below which pairs are not looked at."""
PER_CLASS = 8
"""Smallest number of samples a class for estimating that share."""
SOME = 4000
"""Largest number of samples by which it is estimated."""
MAP_LOSS = 0.005
"""mAP on validation that may be lost: what the pairs themselves gain is not in it."""
TINY = 1e-300
"""Smallest probability."""
PART = 8192
"""Samples whose posteriors are computed at a time."""


def mismatch_probabilities(
    first: ArrayLike, second: ArrayLike
) -> tuple[float, NDArray[np.float64]]:
    """Return the share of pairs that do not belong together, and the probability of each.

        P(x, y | a pair) / P(x, y | no pair) = sum_c p(c | x) p(c | y) / p(c)

    which holds if x and y are independent given the class. A pair is a mismatch with probability s;
    s maximizes the likelihood, by expectation maximization. Mismatches are taken as random: s
    counts those within a class too, which no single probability can show.

    Args:
        first: (n, c) class posteriors of one modality.
        second: (n, c) of the other, in the same order.

    Returns:
        s in [0, 1], and (n,) float64.

    Example:
        >>> sure, other = [0.99, 0.01], [0.01, 0.99]
        >>> _, p = mismatch_probabilities([sure, other, sure], [sure, other, other])
        >>> p.argmax()
        np.int64(2)
    """
    p, q = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    prior = np.maximum((p.mean(axis=0) + q.mean(axis=0)) / 2, 1e-12)
    ratio = (p * q / prior).sum(axis=1)
    share = 0.1
    mismatch = np.zeros(len(ratio))
    for _ in range(STEPS):
        mismatch = share / (share + (1 - share) * ratio)
        share = float(mismatch.mean())
    return share, mismatch


def matched_modalities(
    scores: Mapping[str, Scores],
    present: Mapping[str, NDArray[np.bool_]],
    labels: NDArray[np.bool_],
    models: Mapping[str, NoiseModel] | None = None,
) -> dict[str, NDArray[np.bool_]] | None:
    """Return which samples each modality belongs to; None if nearly all labels fit all modalities.

    For each modality alone the noise model estimates the share r of labels that do not fit it, and
    posteriors of the true class. Of two modalities that are more probably of different classes than
    not, the one with the higher odds of a label that does not fit, r / (1 - r) p(label | x), does
    not belong to the sample.

    Args:
        scores: Modality -> function of rows, (r,), that returns (r, c) scores without the label.
        present: Modality -> (n,) bool, samples that have it.
        labels: (n, c) bool, at most one class a sample.
        models: Noise model of each modality; None: fitted to these samples.

    Returns:
        Modality -> (n,) bool, present and not taken for a mismatch.
    """
    known = labels.any(axis=1)
    models = models or _noise_models(scores, present, labels)
    if models is None or max(model.noise for model in models.values()) < NOISE:
        return None
    matched = {name: mask.copy() for name, mask in present.items()}
    for one, other in combinations(models, 2):
        rows = np.flatnonzero(present[one] & present[other] & known)
        if not len(rows):
            continue
        first, second = (
            _posteriors(scores[each], models[each], labels, rows) for each in (one, other)
        )
        different = mismatch_probabilities(first, second)[1] > LISTED
        marks = labels[rows]
        odds = [
            models[name].noise
            / ((1 - models[name].noise) * np.maximum(p[marks].astype(np.float64), TINY))
            for name, p in ((one, first), (other, second))
        ]
        worse = odds[0] > odds[1]
        matched[one][rows[different & worse]] = False
        matched[other][rows[different & ~worse]] = False
    return matched


def taught_by_matched(
    kernels: KernelPosteriors,
    train: Dataset,
    validation: Dataset,
    *,
    seed: int,
    callbacks: Callbacks,
) -> tuple[KernelPosteriors, dict[str, NDArray[np.bool_]]] | None:
    """Fit kernel machines without the modalities that do not belong to their sample.

    Args:
        kernels: Fitted to all.
        train: The training split, one class a sample; columns are features.
        validation: The validation split.
        seed: Random seed of the choice of landmarks.
        callbacks: Receive each scaling that was tried, and the final machine.

    Returns:
        The machines, and what ``matched_modalities`` found; None if it found nothing, if a modality
        would lose all its pairs, or if the mAP on those samples of validation whose modalities
        belong together is lower by more than 0.005.
    """
    scores = {name: each.at for name, each in kernels.left_out.items()}
    present = {name: each.places >= 0 for name, each in kernels.left_out.items()}
    models = _noise_models(scores, present, train.labels)
    if models is None:
        return None
    matched = matched_modalities(scores, present, train.labels, models)
    if matched is None:
        return None
    matched = {
        name: matched[name] | (column.present & ~train.labels.any(axis=1))
        for name, column in train.columns.items()
    }
    if not sum(count_mismatched(train, matched).values()):
        return None
    kept = without_mismatched(train, matched)
    left = np.stack(list(matched.values()))
    if ((left.sum(axis=0) >= 2) & left).sum(axis=1).min() < 2:
        return None
    again = fit_kernel_posteriors(kept, multi_label=False, seed=seed, callbacks=callbacks)
    fitting = _fitting_samples(kernels, models, validation)
    before, after = (validation_map(one, fitting) for one in (kernels, again))
    return (again, matched) if after >= before - MAP_LOSS else None


def _fitting_samples(
    kernels: KernelPosteriors, models: Mapping[str, NoiseModel], validation: Dataset
) -> Dataset:
    """Return the validation samples without those whose modalities do not belong together.

    The pairs of validation are as wrong as those of training, and a machine that was fitted to
    wrong pairs is the better at predicting them.
    """
    if kernels.noise:  # the machines were fitted again, and their scores are of another scale
        return validation

    def scores(name: str, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return what the machine gave before its calibration, up to a constant in each row."""
        column, machine, raw = (
            validation.columns[name],
            kernels.machines[name],
            kernels.left_out[name],
        )
        assert isinstance(column, Features)
        p = machine.posteriors(column.values[rows], multi_label=False)
        slope = np.linalg.norm(machine.coefficients) / np.linalg.norm(raw.coefficients)
        offsets = machine.bias - slope * raw.bias
        logits: NDArray[np.float64] = (np.log(np.maximum(p, TINY)) - offsets) / slope
        return logits

    present = {name: column.present for name, column in validation.columns.items()}
    readers = {name: partial(scores, name) for name in kernels.machines}
    matched = matched_modalities(readers, present, validation.labels, models)
    if matched is None:
        return validation
    whole = np.all([matched[name] == present[name] for name in matched], axis=0)
    return validation.take(np.flatnonzero(whole)) if whole.any() else validation


def count_mismatched(train: Dataset, matched: Mapping[str, NDArray[np.bool_]]) -> dict[str, int]:
    """Return for each modality the number of samples that it does not belong to."""
    return {
        name: int((column.present & ~matched[name]).sum()) for name, column in train.columns.items()
    }


def without_mismatched(train: Dataset, matched: Mapping[str, NDArray[np.bool_]]) -> Dataset:
    """Return the samples without the modalities that do not belong to them.

    Args:
        train: Columns are features.
        matched: As from ``matched_modalities``.
    """
    columns = {}
    for name, column in train.columns.items():
        assert isinstance(column, Features)
        columns[name] = Features(column.values, column.present & matched[name])
    return replace(train, columns=columns)


def _noise_models(
    scores: Mapping[str, Scores],
    present: Mapping[str, NDArray[np.bool_]],
    labels: NDArray[np.bool_],
) -> dict[str, NoiseModel] | None:
    """Return the noise model of each modality alone; None with too few samples."""
    models = {}
    for name, score in scores.items():
        rows = np.flatnonzero(present[name] & labels.any(axis=1))
        if len(rows) < PER_CLASS * labels.shape[1]:
            return None
        some = np.sort(np.random.default_rng(0).permutation(rows)[:SOME])
        models[name] = fit_noise_model([score(some)], labels[some].astype(np.float64))
    return models


def _posteriors(
    scores: Scores, model: NoiseModel, labels: NDArray[np.bool_], rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return (r, c) posteriors of the true class, each without the label of its sample."""
    found = np.empty((len(rows), labels.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), PART):
        some = rows[start : start + PART]
        cleaned = model.clean([scores(some)], labels[some].astype(np.float64))
        found[start : start + PART] = cleaned.posteriors
    return found

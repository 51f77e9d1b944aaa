"""Suspicious labels: labels that the other samples contradict."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.assessment.pair_check import MismatchedPair, find_mismatched_pairs
from commonspace.data.dataset import Dataset
from commonspace.methods.base.kernel_posteriors import fit_kernel_posteriors
from commonspace.methods.base.noise_model import clean_labels, fit_temperature

__all__ = ["LabelCheck", "SuspiciousLabel", "check_sample_labels"]

FEWEST_PER_CLASS = 2
"""Labels per class, on average, below which a sample often is the only one of its class."""
FEWEST_FOR_ONE = 8
"""The same below which one modality alone says too little about which labels do not fit it."""


@dataclass(frozen=True)
class SuspiciousLabel:
    """A sample whose label its modalities contradict.

    Args:
        row: Row of the data set.
        id: Id of the sample.
        split: Its split.
        given: Its classes.
        likely: The most probable other class.
        p_given: Probability of the least probable of its classes, without its label.
        p_likely: Probability of ``likely``.
        by_modality: Modality -> most probable class, and its probability, by this modality alone.
    """

    row: int
    id: str
    split: str
    given: tuple[str, ...]
    likely: str
    p_given: float
    p_likely: float
    by_modality: Mapping[str, tuple[str, float]]


@dataclass(frozen=True, eq=False)
class LabelCheck:
    """What the samples say about the labels of each other.

    Args:
        noise: Estimated share of labels that are wrong, 0 to 1.
        suspicious: The most suspicious first.
        p_given: (n,) float64, the probability of the label of each sample; NaN if not checked.
        by_modality: Modality -> (n, c) float64, class posteriors without the label; NaN where a
            sample lacks the modality or a label.
        modality_noise: Modality -> estimated share of labels that do not fit this modality; {} with
            several labels a sample, or fewer than 8 labels a class.
        pair_noise: Estimated share of samples whose modalities do not belong together; None
            likewise.
        mismatched: Samples whose modalities are of different classes, the most probable first.
    """

    noise: float
    suspicious: tuple[SuspiciousLabel, ...]
    p_given: NDArray[np.float64]
    by_modality: Mapping[str, NDArray[np.float64]]
    modality_noise: Mapping[str, float]
    pair_noise: float | None
    mismatched: tuple[MismatchedPair, ...]

    def to_json(self) -> dict[str, Any]:
        """Return shares and lists as JSON values, without the figures of each sample."""
        return {
            "noise": self.noise,
            "modality_noise": dict(self.modality_noise),
            "suspicious": [asdict(one) for one in self.suspicious],
            "pair_noise": self.pair_noise,
            "mismatched": [asdict(one) for one in self.mismatched],
        }


def check_sample_labels(data: Dataset, *, most: int = 20, seed: int = 0) -> LabelCheck | None:
    """Find labels that the features of the sample contradict.

    A kernel machine for each modality predicts the classes of each sample from all others; the
    predictions of the modalities are joined, and the noise model of posterior matching estimates
    the share of wrong labels. A label is the more suspicious, the less probable it is. The same
    model for one modality alone gives the share of labels that do not fit it, which is larger than
    that of the others where pairs do not belong together and labels belong to another modality.

    Args:
        data: Labeled samples; columns are features. Leave test samples out: labels corrected
            after a model would favor that model.
        most: Maximum number of suspicious labels to list.
        seed: Random seed of the choice of landmarks.

    Returns:
        None if there are fewer than two classes, or two labels of each class on average.

    Raises:
        DataError: If a modality has fewer than two labeled samples.
    """
    known = data.labels.any(axis=1)
    classes = int(data.labels.any(axis=0).sum())
    if classes < 2 or known.sum() < FEWEST_PER_CLASS * classes:
        return None
    multi_label = bool((data.labels.sum(axis=1) > 1).any())
    fitted = fit_kernel_posteriors(data, multi_label=multi_label, seed=seed)
    targets = data.labels.astype(np.float64)
    if not multi_label:
        targets /= np.maximum(targets.sum(axis=1, keepdims=True), 1)
    left_out = {name: scores.all() for name, scores in fitted.left_out.items()}
    by_modality: dict[str, NDArray[np.float64]] = {}
    modality_noise: dict[str, float] = {}
    for name, scores in left_out.items():
        if multi_label:
            by_modality[name] = _several_posteriors(scores, targets)
        else:
            by_modality[name], modality_noise[name] = _clean_posteriors(scores, targets)
    rows = np.flatnonzero(known)
    noise = 0.0
    p = np.full(data.labels.shape, np.nan)
    if multi_label:
        p[rows] = np.nanmean([each[rows] for each in by_modality.values()], axis=0)
    else:
        known_scores = [np.nan_to_num(each[rows]) for each in left_out.values()]
        cleaned = clean_labels(known_scores, targets[rows])
        noise, p[rows] = cleaned.noise, cleaned.posteriors
    p_given = np.where(data.labels, p, np.inf).min(axis=1)
    p_given[~known] = np.nan
    order = rows[np.argsort(p_given[rows], kind="stable")]
    listed = [_describe(data, row, p, by_modality) for row in order[: 2 * most].tolist()]
    wrong = [one for one in listed if one.p_given < one.p_likely][:most]
    pair_noise: float | None = None
    mismatched: tuple[MismatchedPair, ...] = ()
    if multi_label or known.sum() < FEWEST_FOR_ONE * classes:
        modality_noise = {}
    else:
        pair_noise, mismatched = find_mismatched_pairs(data, by_modality, most=most)
    return LabelCheck(
        noise, tuple(wrong), p_given, by_modality, modality_noise, pair_noise, mismatched
    )


def _describe(
    data: Dataset,
    row: int,
    p: NDArray[np.float64],
    by_modality: Mapping[str, NDArray[np.float64]],
) -> SuspiciousLabel:
    marks, names = data.labels[row], data.class_names
    likely = int(np.where(marks, -1, p[row]).argmax())
    best = {
        name: (names[int(each[row].argmax())], float(each[row].max()))
        for name, each in by_modality.items()
        if not np.isnan(each[row]).any()
    }
    return SuspiciousLabel(
        row=row,
        id=data.ids[row],
        split=str(data.splits[row]),
        given=tuple(names[number] for number in np.flatnonzero(marks)),
        likely=names[likely],
        p_given=float(p[row][marks].min()),
        p_likely=float(p[row, likely]),
        by_modality=best,
    )


def _several_posteriors(
    scores: NDArray[np.floating], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return calibrated probabilities of each class; NaN where there are no scores."""
    found = np.full(scores.shape, np.nan)
    rows = np.flatnonzero(~np.isnan(scores).any(axis=1))
    fit = fit_temperature(scores[rows], targets[rows], multi_label=True)
    found[rows] = 1 / (1 + np.exp(-(fit.slope * scores[rows] + fit.offsets)))
    return found


def _clean_posteriors(
    scores: NDArray[np.floating], targets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return posteriors of the true class, and the share of labels that do not fit the modality.

    Posteriors that are calibrated to wrong labels would hide mismatches of the modalities: where
    the texts of 40 % of the samples are exchanged, no text would be sure of its class.
    """
    found = np.full(scores.shape, np.nan)
    rows = np.flatnonzero(~np.isnan(scores).any(axis=1))
    cleaned = clean_labels([scores[rows]], targets[rows])
    found[rows] = cleaned.posteriors
    return found, cleaned.noise

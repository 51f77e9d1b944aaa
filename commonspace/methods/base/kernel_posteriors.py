"""Class posteriors of each modality by kernel machines, chosen by leave-one-out likelihood.

Only the training split is used, and nothing is trained by gradient.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product, starmap
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.special import expit, softmax

from commonspace.callbacks import Callbacks
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.evaluation import mean_average_precision
from commonspace.machine import one_thread
from commonspace.methods.base.kernel_ridge import KernelRidge, squared_distances
from commonspace.methods.base.noise_model import (
    TemperatureScaling,
    clean_labels,
    fit_temperature,
)
from commonspace.methods.base.views import ROUNDING, features_at, labeled_rows

__all__ = [
    "KernelPosterior",
    "KernelPosteriors",
    "Scaling",
    "fit_kernel_posteriors",
    "validation_map",
]

POWERS = (1.0, 0.5)
EVENNESS = (1.0, 0.0)
RELEVANCES = (0.25, 0.5)
"""Exponents beside 0, which is tried first."""
WIDTHS = (0.1, 0.3, 1.0, 3.0)
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
MIDDLE = (0.3, 0.3)
"""Width and ridge at which the search starts."""
DROP_FACTOR = 1.02
"""A scaling is dropped if its loss at the best width exceeds the best loss by this factor."""
LANDMARKS = 1000
SAMPLES = 20_000
"""Largest number of samples of a machine, 160 MB a matrix: more would hardly change it."""
FEW = (1000, 500)
"""Largest number of samples and of landmarks with which scaling and width are chosen."""
NOISE = 0.02
"""Share of wrong labels below which labels are used unchanged."""
PER_CLASS = 8
"""Smallest number of labeled samples per class for estimating the share of wrong labels."""
FIXED = (0.1, 0.1, 4.0)
"""Width, ridge and slope where leave-one-out likelihood is meaningless: see ``_Problem``."""


class Scaling(NamedTuple):
    """Scaling of features before a kernel.

    Args:
        power: Each feature becomes sign(x) |x|^power first.
        evenness: 1 scales each feature to variance 1, 0 all features by one number, so that those
            with a larger variance weigh more.
        relevance: r; each feature is finally multiplied by F^r, with F the ratio of the analysis of
            variance (Fisher: Statistical Methods for Research Workers, 1925) between and within
            classes, so that features that separate classes weigh more.
    """

    power: float = 1.0
    evenness: float = 1.0
    relevance: float = 0.0


@dataclass(frozen=True)
class KernelPosterior:
    """Kernel machine of one modality: softmax (or sigmoid) of A'k(x) + b is p(class | x).

    Args:
        scaling: How features are scaled.
        shift: (d,) float64, subtracted after the power.
        weight: (d,) float64, factor after the shift; 0 for a constant feature.
        landmarks: (l, d) float64, scaled.
        width: Width of the kernel.
        coefficients: (l, c) float64, A.
        bias: (c,) float64, b.
        ridge: The chosen penalty.
        loss: Mean leave-one-out negative log likelihood of the classes; None where it is
            meaningless.
    """

    scaling: Scaling
    shift: NDArray[np.float64]
    weight: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    width: float
    coefficients: NDArray[np.float64]
    bias: NDArray[np.float64]
    ridge: float
    loss: float | None

    def posteriors(
        self, features: NDArray[np.float32], *, multi_label: bool
    ) -> NDArray[np.float64]:
        """Return class posteriors of new samples.

        Args:
            features: (n, d), not scaled.
            multi_label: Whether samples may have several classes.

        Returns:
            (n, c) float64 in [0, 1].
        """
        X = _apply_power(features.astype(np.float64), self.scaling.power)
        between = squared_distances((X - self.shift) * self.weight, self.landmarks)
        logits = np.exp(-self.width * between) @ self.coefficients + self.bias
        found: NDArray[np.float64] = expit(logits) if multi_label else softmax(logits, axis=1)
        return found


@dataclass(frozen=True)
class KernelPosteriors:
    """Kernel machines of all modalities, and the targets that they were finally fitted to.

    Args:
        machines: Modality -> its machine.
        targets: (n, c) float64, class probabilities of each sample of the split; a row of zeros
            is unlabeled.
        noise: Estimated share of wrong labels; 0 where labels are used unchanged.
        left_out: Modality -> (n, c) float64, scores of each sample by the machine of the given
            labels without that sample; NaN where the modality or the label is missing.
    """

    machines: Mapping[str, KernelPosterior]
    targets: NDArray[np.float64]
    noise: float
    left_out: Mapping[str, NDArray[np.float64]]


def fit_kernel_posteriors(
    train: Dataset,
    *,
    multi_label: bool,
    seed: int,
    callbacks: Callbacks | None = None,
    targets: NDArray[np.float64] | None = None,
) -> KernelPosteriors:
    """Fit the machines, estimate wrong labels with them, and, if there are any, fit them again.

    Args:
        train: The training split; its columns are features.
        multi_label: Whether samples may have several classes.
        seed: Random seed of the choice of landmarks.
        callbacks: Receive each scaling that was tried, and the final machine.
        targets: (n, c) class probabilities in place of the labels, such as pseudo-labels; a row of
            zeros is unlabeled.

    Raises:
        DataError: If a modality has fewer than two labeled samples.
    """
    callbacks = callbacks or Callbacks()
    if targets is not None:
        train = replace(train, labels=targets > 0)
    labels = train.labels.astype(np.float64) if targets is None else targets.copy()
    if not multi_label:
        labels /= np.maximum(labels.sum(axis=1, keepdims=True), 1)
    draw = np.random.default_rng(seed)
    problems = {
        name: _Problem(train, name, draw.permutation(labeled_rows(train, name)))
        for name in train.modalities
    }

    def fit_all() -> dict[str, tuple[KernelPosterior, NDArray[np.float64]]]:
        fitted = {}
        for name, problem in problems.items():
            steps = len(POWERS) * len(EVENNESS) + len(RELEVANCES) + 1
            with callbacks.task(f"kernel machine of {name}", steps) as task, one_thread():
                fitted[name] = problem.fit(labels, multi_label, task.on_advance)
                task.on_advance()
        return fitted

    fitted = fit_all()
    known = np.flatnonzero(labels.any(axis=1))
    noise = 0.0
    left_out = {name: np.full_like(labels, np.nan) for name in fitted}
    for name, (_, scores) in fitted.items():
        left_out[name][problems[name].rows] = scores
    if not multi_label and len(known) >= PER_CLASS * int(labels.any(axis=0).sum()) > PER_CLASS:
        given = [np.nan_to_num(scores[known]) for scores in left_out.values()]
        cleaned = clean_labels(given, labels[known])
        if cleaned.noise > NOISE:
            noise, labels[known] = cleaned.noise, cleaned.classes
            fitted = fit_all()
    machines = {name: one for name, (one, _) in fitted.items()}
    return KernelPosteriors(machines, labels, noise, left_out)


def validation_map(fitted: KernelPosteriors, validation: Dataset) -> float:
    """Return the mAP of posteriors of one class a sample on validation, over all directions.

    Args:
        fitted: Machines of every modality.
        validation: Labeled samples; columns are features.
    """
    vectors, labels = {}, {}
    for name, machine in fitted.machines.items():
        column = validation.columns[name]
        assert isinstance(column, Features)
        vectors[name] = machine.posteriors(column.values[column.present], multi_label=False)
        labels[name] = validation.labels[column.present]
    figures = [
        mean_average_precision(vectors[one], vectors[other], labels[one], labels[other])
        for one, other in permutations(vectors, 2)
    ]
    return float(np.mean(figures))


class _Choice(NamedTuple):
    """Settings of a machine and their leave-one-out loss."""

    loss: float
    scaling: Scaling
    width: float
    ridge: float


class _Problem:
    """One modality of the labeled samples that have it, in random order.

    With fewer than two samples a class on average, a sample that is left out is often the only one
    of its class, and its likelihood is meaningless. Then fixed settings are used.
    """

    def __init__(self, train: Dataset, modality: str, rows: NDArray[np.intp]) -> None:
        self.rows = rows
        self._features = features_at(train, modality, rows)
        # Unlabeled samples count for the variance of features too.
        present = np.flatnonzero(train.columns[modality].present)
        unlabelled = features_at(train, modality, np.setdiff1d(present, rows))
        self._spreads = {power: _spread(self._features, unlabelled, power) for power in POWERS}

    def fit(
        self, targets: NDArray[np.float64], multi_label: bool, advance: Callable[[], None]
    ) -> tuple[KernelPosterior, NDArray[np.float64]]:
        """Return the best machine and its scores of the rows, each left out."""
        T = targets[self.rows]
        classes = int((T > 0).any(axis=0).sum())
        if len(T) < 2 * classes:
            width, ridge, slope = FIXED
            calibrated = TemperatureScaling(slope, np.zeros(T.shape[1]), np.inf)
            return self._machine(T, Scaling(), width, lambda *_: (ridge, calibrated))
        best = _Choice(np.inf, Scaling(), MIDDLE[0], MIDDLE[1])
        for scaling in starmap(Scaling, product(POWERS, EVENNESS)):
            best = min(best, self._search(T, multi_label, scaling, best))
            advance()
        if len(T) >= PER_CLASS * classes:  # else features are relevant by chance
            plain = best.scaling
            for relevance in RELEVANCES:
                scaling = plain._replace(relevance=relevance)
                best = min(best, self._search(T, multi_label, scaling, best))
                advance()
        return self._machine(
            T,
            best.scaling,
            best.width,
            lambda one, known: _best(one, known, multi_label, best.ridge),
        )

    def _search(
        self, T: NDArray[np.float64], multi_label: bool, scaling: Scaling, near: "_Choice"
    ) -> "_Choice":
        """Return the best settings with this scaling, searched from the best with another."""
        samples, landmarks = FEW
        X = self._rescaled(slice(samples), scaling.power, *self._scale(T, scaling))
        between = squared_distances(X, X[:landmarks]).astype(np.float32)
        tried: dict[float, _Choice] = {}

        def left_out(width: float) -> float:
            if width not in tried:
                machine = KernelRidge(between, between[:landmarks], width)
                ridge, calibrated = _best(machine, T[:samples], multi_label, near.ridge)
                tried[width] = _Choice(calibrated.loss, scaling, width, ridge)
            return tried[width].loss

        if left_out(near.width) > DROP_FACTOR * near.loss:
            return tried[near.width]
        return tried[_lowest(left_out, WIDTHS, near.width)]

    def _machine(
        self,
        T: NDArray[np.float64],
        scaling: Scaling,
        width: float,
        choose: Callable[[KernelRidge, NDArray[np.float64]], tuple[float, TemperatureScaling]],
    ) -> tuple[KernelPosterior, NDArray[np.float64]]:
        """Return the machine for these settings, with the ridge and calibration that are chosen."""
        scales, known = self._scale(T, scaling), T[:SAMPLES]
        X = self._rescaled(slice(SAMPLES), scaling.power, *scales)
        between = squared_distances(X, X[:LANDMARKS])
        machine = KernelRidge(between, between[:LANDMARKS], width)
        ridge, calibrated = choose(machine, known)
        solution = machine.solve(known, ridge)
        left_out = [solution.left_out]
        for begin in range(SAMPLES, len(T), SAMPLES):  # not used for fitting
            others = self._rescaled(slice(begin, begin + SAMPLES), scaling.power, *scales)
            between = squared_distances(others, X[:LANDMARKS])
            left_out.append(np.exp(-width * between) @ solution.coefficients + solution.bias)
        found = KernelPosterior(
            scaling,
            *scales,
            X[:LANDMARKS],
            width,
            calibrated.slope * solution.coefficients,
            calibrated.slope * solution.bias + calibrated.offsets,
            ridge,
            calibrated.loss if np.isfinite(calibrated.loss) else None,
        )
        return found, np.concatenate(left_out)

    def _scale(
        self, T: NDArray[np.float64], scaling: Scaling
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean of each feature, and its factor, 0 where it is constant."""
        mean, spread = self._spreads[scaling.power]
        varies = spread > 0
        weight = np.zeros_like(spread)
        weight[varies] = spread[varies] ** -scaling.evenness
        if scaling.relevance:
            varying = _apply_power(self._features[:, varies], scaling.power)
            weight[varies] *= _f_ratios(varying, T) ** scaling.relevance
        size = np.sqrt(np.square(weight * spread)[varies].mean()) if varies.any() else 1.0
        return mean, weight / size

    def _rescaled(
        self, rows: slice, power: float, shift: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return scaled samples, with mean 0 and average variance 1 over all of them."""
        found: NDArray[np.float64] = (_apply_power(self._features[rows], power) - shift) * weight
        return found


def _best(
    machine: KernelRidge, targets: NDArray[np.float64], multi_label: bool, near: float
) -> tuple[float, TemperatureScaling]:
    """Return the ridge with the highest leave-one-out likelihood."""
    calibrated: dict[float, TemperatureScaling] = {}

    def left_out(ridge: float) -> float:
        calibrated[ridge] = fit_temperature(
            machine.left_out(targets, ridge), targets, multi_label=multi_label
        )
        return calibrated[ridge].loss

    ridge = _lowest(left_out, RIDGES, near)
    return ridge, calibrated[ridge]


def _lowest(loss: Callable[[float], float], values: Sequence[float], near: float) -> float:
    """Return a local minimum among sorted values, searched from one of them."""
    known: dict[float, float] = {}
    found, last = near, None
    while found != last:
        last, place = found, values.index(found)
        around = values[max(0, place - 1) : place + 2]
        known |= {one: loss(one) for one in around if one not in known}
        found = min(around, key=known.__getitem__)
    return found


def _spread(
    labelled: NDArray[np.float64], unlabelled: NDArray[np.float64], power: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each feature, 0 where it is constant."""
    raised = _apply_power(np.concatenate([labelled, unlabelled]), power)
    spread = raised.std(axis=0)
    varies = spread > ROUNDING * np.sqrt(np.square(raised).mean(axis=0))
    return raised.mean(axis=0), np.where(varies, spread, 0.0)


def _f_ratios(X: NDArray[np.float64], T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (d,), the F ratio of each feature: variance explained by the classes over the rest.

    Targets may be of several classes each: the explained variance is that of a regression.
    """
    centered = X - X.mean(axis=0)
    directions, sizes, _ = scipy.linalg.svd(T - T.mean(axis=0), full_matrices=False)
    directions = directions[:, sizes > ROUNDING * max(1.0, sizes[0])]
    explained, total = len(directions.T), np.square(centered).sum(axis=0)
    between = np.square(directions.T @ centered).sum(axis=0)
    within = np.maximum(total - between, ROUNDING * total)
    left = max(1, len(X) - explained - 1)
    # A feature that varies only over unlabeled samples has ratio 0.
    ratios = np.divide(between, within, out=np.zeros_like(total), where=within > 0)
    found: NDArray[np.float64] = ratios * left / max(1, explained)
    return np.maximum(found, ROUNDING)


def _apply_power(X: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sign(X) * np.abs(X) ** power
    return found

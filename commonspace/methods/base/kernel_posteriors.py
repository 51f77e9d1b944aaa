"""Class posteriors of each modality by kernel machines, all chosen by leave-one-out likelihood.

Nothing here looks at the validation part, and nothing is learnt by descent. It knows nothing of
the network that joins the machines.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product, starmap
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.machine import one_thread
from commonspace.methods.base.kernel_ridge import KernelRidge, squared_distances
from commonspace.methods.base.noise_model import Tempered, believe, temper
from commonspace.methods.base.views import ROUNDING, features_at, labelled_rows
from commonspace.training import Preparation

__all__ = ["KernelPosterior", "KernelPosteriors", "Scaling", "fit_kernel_posteriors"]

POWERS = (1.0, 0.5)
EVENNESS = (1.0, 0.0)
RELEVANCES = (0.25, 0.5)
"""Beside 0, which is tried first."""
WIDTHS = (0.1, 0.3, 1.0, 3.0)
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
MIDDLE = (0.3, 0.3)
"""A width and a ridge from which to begin the search."""
HOPELESS = 1.02
"""A scaling is given up whose loss, at the width of the best, is so many times the best's."""
LANDMARKS = 1000
SAMPLES = 20_000
"""A machine is fitted to so many at most, in 160 MB a matrix: more would hardly change it."""
FEW = (1000, 500)
"""The samples and the landmarks with which scaling and width are chosen, where there are more."""
NOISE = 0.02
"""Below this share of wrong labels, labels are taken as they are."""
ENOUGH = 8
"""Labelled samples for each class from which the share of wrong labels can be told."""
BLIND = (0.1, 0.1, 4.0)
"""Width, ridge and slope where samples that are left out tell nothing: see ``_Problem``."""


class Scaling(NamedTuple):
    """What features go through before a kernel sees them.

    Args:
        power: they are sign(x) |x|^power first.
        evenness: 1 where each is brought to variance 1 then, 0 where all are multiplied by one
            number, so that those that vary more count for more.
        relevance: r, each is multiplied by F^r at last, with F the ratio of the analysis of
            variance (Fisher: Statistical Methods for Research Workers, 1925) of the feature between
            and within classes, so that those that tell classes apart count for more.
    """

    power: float = 1.0
    evenness: float = 1.0
    relevance: float = 0.0


@dataclass(frozen=True)
class KernelPosterior:
    """The machine of one modality: softmax (or sigmoid) of A'k(x) + b is p(class | x).

    Args:
        scaling: how features are scaled.
        shift: (d,) float64, what is taken off after the power.
        weight: (d,) float64, what that is multiplied by; 0 for a feature that is constant.
        landmarks: (l, d) float64, after that.
        width: of the kernel.
        coefficients: (l, c) float64, A.
        bias: (c,) float64, b.
        ridge: the penalty that was chosen.
        loss: the mean negative log likelihood of classes, each sample left out; None where that
            tells nothing.
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


@dataclass(frozen=True)
class KernelPosteriors:
    """The machines of all modalities, and what they were finally fitted to.

    Args:
        machines: modality name -> its machine.
        beliefs: (n, c) float64, for each sample of the part what is believed of its classes; a
            row of zeros where it has no label.
        noise: the share of labels that seem to be wrong; 0 where they are taken as they are.
    """

    machines: Mapping[str, KernelPosterior]
    beliefs: NDArray[np.float64]
    noise: float


def fit_kernel_posteriors(
    train: Dataset, *, several: bool, seed: int, watcher: Preparation | None = None
) -> KernelPosteriors:
    """Fit the machines, weigh the labels by them, and, where labels are wrong, fit them again.

    Args:
        train: the training part; its columns are features.
        several: whether samples may carry several classes.
        seed: of the choice of landmarks.
        watcher: who is told of each scaling that was tried, and of the machine at last.

    Raises:
        DataError: a modality has fewer than two labelled samples.
    """
    labels = train.labels.astype(np.float64)
    if not several:
        labels /= np.maximum(labels.sum(axis=1, keepdims=True), 1)
    draw = np.random.default_rng(seed)
    problems = {
        name: _Problem(train, name, draw.permutation(labelled_rows(train, name)))
        for name in train.modalities
    }

    def fit_all() -> dict[str, tuple[KernelPosterior, NDArray[np.float64]]]:
        fitted = {}
        for name, problem in problems.items():
            with _told(watcher, name) as advance, one_thread():
                fitted[name] = problem.fit(labels, several, advance)
        return fitted

    fitted = fit_all()
    known = np.flatnonzero(labels.any(axis=1))
    noise = 0.0
    if not several and len(known) >= ENOUGH * int(labels.any(axis=0).sum()) > ENOUGH:
        scores = [np.zeros_like(labels) for _ in fitted]
        for score, (name, (_, left_out)) in zip(scores, fitted.items(), strict=True):
            score[problems[name].rows] = left_out
        found = believe([score[known] for score in scores], labels[known])
        if found.noise > NOISE:
            noise, labels[known] = found.noise, found.classes
            fitted = fit_all()
    return KernelPosteriors({name: one for name, (one, _) in fitted.items()}, labels, noise)


class _Choice(NamedTuple):
    """Settings of a machine, and the loss of samples that are left out, by which they compare."""

    loss: float
    scaling: Scaling
    width: float
    ridge: float


class _Problem:
    """One modality of the labelled samples that have it, in random order.

    With fewer than two samples a class on average, a sample that is left out has often been all
    there was of its class, and its likelihood tells nothing. Then fixed settings are taken.
    """

    def __init__(self, train: Dataset, modality: str, rows: NDArray[np.intp]) -> None:
        self.rows = rows
        self._features = features_at(train, modality, rows)
        # Samples without a label say as well as others how features are spread.
        present = np.flatnonzero(train.columns[modality].present)
        unlabelled = features_at(train, modality, np.setdiff1d(present, rows))
        self._spreads = {power: _spread(self._features, unlabelled, power) for power in POWERS}

    def fit(
        self, targets: NDArray[np.float64], several: bool, advance: Callable[[], None]
    ) -> tuple[KernelPosterior, NDArray[np.float64]]:
        """Return the best machine and its scores of the rows, each left out."""
        T = targets[self.rows]
        classes = int((T > 0).any(axis=0).sum())
        if len(T) < 2 * classes:
            width, ridge, slope = BLIND
            tempered = Tempered(slope, np.zeros(T.shape[1]), np.inf)
            return self._machine(T, Scaling(), width, lambda *_: (ridge, tempered))
        best = _Choice(np.inf, Scaling(), MIDDLE[0], MIDDLE[1])
        for scaling in starmap(Scaling, product(POWERS, EVENNESS)):
            best = min(best, self._tried(T, several, scaling, best))
            advance()
        if len(T) >= ENOUGH * classes:  # else features are relevant by chance
            plain = best.scaling
            for relevance in RELEVANCES:
                scaling = plain._replace(relevance=relevance)
                best = min(best, self._tried(T, several, scaling, best))
                advance()
        return self._machine(
            T, best.scaling, best.width, lambda one, known: _best(one, known, several, best.ridge)
        )

    def _tried(
        self, T: NDArray[np.float64], several: bool, scaling: Scaling, near: "_Choice"
    ) -> "_Choice":
        """Return what is best with this scaling, looked for from what was best with another."""
        samples, landmarks = FEW
        X = self._rescaled(slice(samples), scaling.power, *self._scale(T, scaling))
        between = squared_distances(X, X[:landmarks]).astype(np.float32)
        tried: dict[float, _Choice] = {}

        def left_out(width: float) -> float:
            if width not in tried:
                machine = KernelRidge(between, between[:landmarks], width)
                ridge, tempered = _best(machine, T[:samples], several, near.ridge)
                tried[width] = _Choice(tempered.loss, scaling, width, ridge)
            return tried[width].loss

        if left_out(near.width) > HOPELESS * near.loss:
            return tried[near.width]
        return tried[_lowest(left_out, WIDTHS, near.width)]

    def _machine(
        self,
        T: NDArray[np.float64],
        scaling: Scaling,
        width: float,
        chosen: Callable[[KernelRidge, NDArray[np.float64]], tuple[float, Tempered]],
    ) -> tuple[KernelPosterior, NDArray[np.float64]]:
        """Return the machine for these settings, with the ridge and calibration that are chosen."""
        scales, known = self._scale(T, scaling), T[:SAMPLES]
        X = self._rescaled(slice(SAMPLES), scaling.power, *scales)
        between = squared_distances(X, X[:LANDMARKS])
        machine = KernelRidge(between, between[:LANDMARKS], width)
        ridge, tempered = chosen(machine, known)
        solution = machine.solve(known, ridge)
        left_out = [solution.left_out]
        for begin in range(SAMPLES, len(T), SAMPLES):  # which the machine has not seen anyway
            others = self._rescaled(slice(begin, begin + SAMPLES), scaling.power, *scales)
            between = squared_distances(others, X[:LANDMARKS])
            left_out.append(np.exp(-width * between) @ solution.coefficients + solution.bias)
        found = KernelPosterior(
            scaling,
            *scales,
            X[:LANDMARKS],
            width,
            tempered.slope * solution.coefficients,
            tempered.slope * solution.bias + tempered.offsets,
            ridge,
            tempered.loss if np.isfinite(tempered.loss) else None,
        )
        return found, np.concatenate(left_out)

    def _scale(
        self, T: NDArray[np.float64], scaling: Scaling
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean of each feature, and what it is multiplied by, 0 where it is constant."""
        mean, spread = self._spreads[scaling.power]
        varies = spread > 0
        weight = np.zeros_like(spread)
        weight[varies] = spread[varies] ** -scaling.evenness
        if scaling.relevance:
            varying = _raised(self._features[:, varies], scaling.power)
            weight[varies] *= _f_ratios(varying, T) ** scaling.relevance
        size = np.sqrt(np.square(weight * spread)[varies].mean()) if varies.any() else 1.0
        return mean, weight / size

    def _rescaled(
        self, rows: slice, power: float, shift: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return some samples, of mean 0 and, on average, of variance 1 over all of them."""
        found: NDArray[np.float64] = (_raised(self._features[rows], power) - shift) * weight
        return found


@contextmanager
def _told(watcher: Preparation | None, modality: str) -> Iterator[Callable[[], None]]:
    """Tell of the steps of one modality, whose last is done when the context ends."""
    if watcher is None:
        yield lambda: None
        return
    steps = len(POWERS) * len(EVENNESS) + len(RELEVANCES) + 1
    watcher.started(f"kernel machine of {modality}", steps)
    try:
        yield watcher.advanced
        watcher.advanced()
    finally:
        watcher.ended()


def _best(
    machine: KernelRidge, targets: NDArray[np.float64], several: bool, near: float
) -> tuple[float, Tempered]:
    """Return the ridge under which samples that are left out are most likely."""
    tempered: dict[float, Tempered] = {}

    def left_out(ridge: float) -> float:
        tempered[ridge] = temper(machine.left_out(targets, ridge), targets, several=several)
        return tempered[ridge].loss

    ridge = _lowest(left_out, RIDGES, near)
    return ridge, tempered[ridge]


def _lowest(loss: Callable[[float], float], values: Sequence[float], near: float) -> float:
    """Return the value from which both neighbours lead upwards, looked for from one of them."""
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
    """Return the mean of each feature, and its deviation, 0 where it is constant."""
    raised = _raised(np.concatenate([labelled, unlabelled]), power)
    spread = raised.std(axis=0)
    varies = spread > ROUNDING * np.sqrt(np.square(raised).mean(axis=0))
    return raised.mean(axis=0), np.where(varies, spread, 0.0)


def _f_ratios(X: NDArray[np.float64], T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (d,), the variance of each feature that classes explain, over what they leave.

    Targets need not be of one class each: what they explain is a regression on them.
    """
    centred = X - X.mean(axis=0)
    directions, sizes, _ = scipy.linalg.svd(T - T.mean(axis=0), full_matrices=False)
    directions = directions[:, sizes > ROUNDING * max(1.0, sizes[0])]
    explained, total = len(directions.T), np.square(centred).sum(axis=0)
    between = np.square(directions.T @ centred).sum(axis=0)
    within = np.maximum(total - between, ROUNDING * total)
    left = max(1, len(X) - explained - 1)
    # A feature that varies only where labels are missing tells nothing of classes.
    ratios = np.divide(between, within, out=np.zeros_like(total), where=within > 0)
    found: NDArray[np.float64] = ratios * left / max(1, explained)
    return np.maximum(found, ROUNDING)


def _raised(X: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sign(X) * np.abs(X) ** power
    return found

"""Class posteriors of each modality by kernel machines, all chosen by leave-one-out likelihood.

Nothing here looks at the validation part, and nothing is learnt by descent. It knows nothing of
the network that joins the machines.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.beliefs import Tempered, believe, temper
from commonspace.methods.kernel_ridge import KernelRidge
from commonspace.methods.views import ROUNDING, features_at, labelled_rows

__all__ = ["KernelPosterior", "KernelPosteriors", "fit_kernel_posteriors"]

SCALINGS = tuple(product((1.0, 0.5), (1.0, 0.0)))
"""Pairs of power and evenness: see ``KernelPosterior``."""
WIDTHS = (0.1, 0.3, 1.0, 3.0)
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LANDMARKS = 1000
FEW = (1000, 500)
"""The samples and the landmarks with which scaling and width are chosen, where there are more."""
NOISE = 0.02
"""Below this share of wrong labels, labels are taken as they are."""
ENOUGH = 8
"""Labelled samples for each class from which the share of wrong labels can be told."""
BLIND = ((1.0, 1.0), 0.1, 0.1, 4.0)
"""Scaling, width, ridge and slope where samples that are left out tell nothing: see ``_Problem``."""


@dataclass(frozen=True)
class KernelPosterior:
    """The machine of one modality: softmax (or sigmoid) of A'k(x) + b is p(class | x).

    Args:
        power: features are sign(x) |x|^power before anything else.
        evenness: 1 where each feature is brought to variance 1, 0 where all are multiplied by one
            number, so that features that vary more count for more.
        shift: (d,) float64, what is taken off then.
        weight: (d,) float64, what that is multiplied by; 0 for a feature that is constant.
        landmarks: (l, d) float64, after that.
        width: of the kernel.
        coefficients: (l, c) float64, A.
        bias: (c,) float64, b.
        ridge: the penalty that was chosen.
        loss: the mean negative log likelihood of classes, each sample left out; None where that
            tells nothing.
    """

    power: float
    evenness: float
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


def fit_kernel_posteriors(train: Dataset, *, several: bool, seed: int) -> KernelPosteriors:
    """Fit the machines, weigh the labels by them, and, where labels are wrong, fit them again.

    Args:
        train: the training part; its columns are features.
        several: whether samples may carry several classes.
        seed: of the choice of landmarks.

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
    fitted = {name: problem.fit(labels, several) for name, problem in problems.items()}
    known = np.flatnonzero(labels.any(axis=1))
    noise = 0.0
    if not several and len(known) >= ENOUGH * int(labels.any(axis=0).sum()) > ENOUGH:
        scores = [np.zeros_like(labels) for _ in fitted]
        for score, (name, (_, left_out)) in zip(scores, fitted.items(), strict=True):
            score[problems[name].rows] = left_out
        found = believe([score[known] for score in scores], labels[known])
        if found.noise > NOISE:
            noise, labels[known] = found.noise, found.classes
            fitted = {name: problem.fit(labels, several) for name, problem in problems.items()}
    return KernelPosteriors({name: one for name, (one, _) in fitted.items()}, labels, noise)


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
        self._scales = {
            scaling: _scale(self._features, unlabelled, *scaling) for scaling in SCALINGS
        }

    def fit(
        self, targets: NDArray[np.float64], several: bool
    ) -> tuple[KernelPosterior, NDArray[np.float64]]:
        """Return the best machine and its scores of the rows, each left out."""
        T = targets[self.rows]
        if len(T) < 2 * int((T > 0).any(axis=0).sum()):
            scaling, width, ridge, slope = BLIND
            tempered = Tempered(slope, np.zeros(T.shape[1]), np.inf)
            return self._machine(T, scaling, width, lambda _: (ridge, tempered))
        (samples, landmarks), tried = FEW, []
        for scaling, width in product(SCALINGS, WIDTHS):
            X = self._rescaled(scaling)[:samples]
            machine = KernelRidge(X, X[:landmarks], width)
            tried.append((_best(machine, T[:samples], several)[1].loss, scaling, width))
        _, scaling, width = min(tried)
        return self._machine(T, scaling, width, lambda machine: _best(machine, T, several))

    def _machine(
        self,
        T: NDArray[np.float64],
        scaling: tuple[float, float],
        width: float,
        chosen: Callable[[KernelRidge], tuple[float, Tempered]],
    ) -> tuple[KernelPosterior, NDArray[np.float64]]:
        """Return the machine for these settings, with the ridge and calibration that are chosen."""
        X = self._rescaled(scaling)
        machine = KernelRidge(X, X[:LANDMARKS], width)
        ridge, tempered = chosen(machine)
        solution = machine.solve(T, ridge)
        found = KernelPosterior(
            *scaling,
            *self._scales[scaling],
            X[:LANDMARKS],
            width,
            tempered.slope * solution.coefficients,
            tempered.slope * solution.bias + tempered.offsets,
            ridge,
            tempered.loss if np.isfinite(tempered.loss) else None,
        )
        return found, solution.left_out

    def _rescaled(self, scaling: tuple[float, float]) -> NDArray[np.float64]:
        """Return the features, of mean 0 and, on average, of variance 1 over all samples."""
        shift, weight = self._scales[scaling]
        found: NDArray[np.float64] = (_raised(self._features, scaling[0]) - shift) * weight
        return found


def _best(
    machine: KernelRidge, targets: NDArray[np.float64], several: bool
) -> tuple[float, Tempered]:
    """Return the ridge under which samples that are left out are most likely."""
    tried = [
        (temper(machine.left_out(targets, ridge), targets, several=several), ridge)
        for ridge in RIDGES
    ]
    tempered, ridge = min(tried, key=lambda one: one[0].loss)
    return ridge, tempered


def _scale(
    labelled: NDArray[np.float64], unlabelled: NDArray[np.float64], power: float, evenness: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of each feature, and what it is multiplied by, 0 where it is constant."""
    raised = _raised(np.concatenate([labelled, unlabelled]), power)
    mean = raised.mean(axis=0)
    spread = raised.std(axis=0)
    varies = spread > ROUNDING * np.sqrt(np.square(raised).mean(axis=0))
    usual = np.sqrt(np.square(spread[varies]).mean()) if varies.any() else 1.0
    spread = spread**evenness * usual ** (1 - evenness)
    return mean, np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)


def _raised(X: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.sign(X) * np.abs(X) ** power
    return found

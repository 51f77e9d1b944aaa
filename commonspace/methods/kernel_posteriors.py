"""Class posteriors of each modality by kernel machines, all chosen by leave-one-out likelihood.

Nothing here looks at the validation part, and nothing is learnt by descent. It knows nothing of
the network that joins the machines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.beliefs import Tempered, believe, temper
from commonspace.methods.kernel_ridge import KernelRidge, Solution
from commonspace.methods.views import ROUNDING, features_at, labelled_rows

__all__ = ["KernelPosterior", "KernelPosteriors", "fit_kernel_posteriors"]

POWERS = (1.0, 0.5)
WIDTHS = (0.1, 0.3, 1.0, 3.0)
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
LANDMARKS = 1000
FEW = (1000, 500)
"""The samples and the landmarks with which power and width are chosen, where there are more."""
NOISE = 0.02
"""Below this share of wrong labels, labels are taken as they are."""


@dataclass(frozen=True)
class KernelPosterior:
    """The machine of one modality: softmax (or sigmoid) of A'k(x) + b is p(class | x).

    Args:
        power: features are sign(x) |x|^power before anything else.
        shift: (d,) float64, what is taken off then.
        weight: (d,) float64, what that is multiplied by; 0 for a feature that is constant.
        landmarks: (l, d) float64, after that.
        width: of the kernel.
        coefficients: (l, c) float64, A.
        bias: (c,) float64, b.
        ridge: the penalty that was chosen.
        loss: the mean negative log likelihood of classes, each sample left out.
    """

    power: float
    shift: NDArray[np.float64]
    weight: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    width: float
    coefficients: NDArray[np.float64]
    bias: NDArray[np.float64]
    ridge: float
    loss: float


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
    if not several and labels.shape[1] > 1:
        scores = [np.zeros_like(labels) for _ in fitted]
        for score, (name, (_, left_out)) in zip(scores, fitted.items(), strict=True):
            score[problems[name].rows] = left_out
        found = believe([score[known] for score in scores], labels[known])
        if found.noise > NOISE:
            noise, labels[known] = found.noise, found.classes
            fitted = {name: problem.fit(labels, several) for name, problem in problems.items()}
    return KernelPosteriors({name: one for name, (one, _) in fitted.items()}, labels, noise)


class _Problem:
    """One modality of the labelled samples that have it, in random order."""

    def __init__(self, train: Dataset, modality: str, rows: NDArray[np.intp]) -> None:
        self.rows = rows
        self._features = features_at(train, modality, rows)

    def fit(
        self, targets: NDArray[np.float64], several: bool
    ) -> tuple[KernelPosterior, NDArray[np.float64]]:
        """Return the best machine and its scores of the rows, each left out."""
        T = targets[self.rows]
        (samples, landmarks), tried = FEW, []
        for power, width in product(POWERS, WIDTHS):
            X = _rescaled(self._features, power)[0][:samples]
            machine = KernelRidge(X, X[:landmarks], width)
            tried.append((_best(machine, T[:samples], several)[1].loss, power, width))
        _, power, width = min(tried)
        X, shift, weight = _rescaled(self._features, power)
        machine = KernelRidge(X, X[:LANDMARKS], width)
        ridge, tempered, solution = _best(machine, T, several)
        found = KernelPosterior(
            power,
            shift,
            weight,
            X[:LANDMARKS],
            width,
            tempered.slope * solution.coefficients,
            tempered.slope * solution.bias + tempered.offsets,
            ridge,
            tempered.loss,
        )
        return found, solution.left_out


def _best(
    machine: KernelRidge, targets: NDArray[np.float64], several: bool
) -> tuple[float, Tempered, Solution]:
    """Return the ridge under which samples that are left out are most likely."""
    tried = [
        (temper(machine.left_out(targets, ridge), targets, several=several), ridge)
        for ridge in RIDGES
    ]
    tempered, ridge = min(tried, key=lambda one: one[0].loss)
    return ridge, tempered, machine.solve(targets, ridge)


def _rescaled(
    X: NDArray[np.float64], power: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the features with mean 0 and variance 1, and the shift and weight for that."""
    raised = np.sign(X) * np.abs(X) ** power
    mean = raised.mean(axis=0)
    centred = raised - mean
    spread = np.sqrt(np.square(centred).mean(axis=0))
    varies = spread > ROUNDING * np.sqrt(np.square(raised).mean(axis=0))
    weight = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
    return centred * weight, mean, weight

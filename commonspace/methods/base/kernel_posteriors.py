"""Class posteriors of each modality by kernel machines, chosen by leave-one-out likelihood.

Only the training split is used, and nothing is trained by gradient.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import permutations, product, starmap
from queue import SimpleQueue
from threading import Event
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonspace.callbacks import Callbacks
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.data.row_blocks import random_rows, release_rows, row_blocks, to_rows
from commonspace.evaluation import mean_average_precision
from commonspace.machine import available_cores, one_thread
from commonspace.methods.base.kernel_posterior import KernelPosterior
from commonspace.methods.base.kernel_ridge import KernelRidge, squared_distances
from commonspace.methods.base.left_out import LeftOutScores
from commonspace.methods.base.noise_model import (
    TemperatureScaling,
    fit_noise_model,
    fit_temperature,
    noise_rows,
)
from commonspace.methods.base.scaled_features import (
    PART,
    POWERS,
    ScaledFeatures,
    Scaling,
    parts,
)
from commonspace.methods.base.views import labeled_rows

__all__ = ["KernelPosteriors", "fit_kernel_posteriors", "validation_map"]

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
CLEANED = 8192
"""Samples whose class probabilities are computed at a time."""
NOISE = 0.02
"""Share of wrong labels below which labels are used unchanged."""
PER_CLASS = 8
"""Smallest number of labeled samples per class for estimating the share of wrong labels."""
FIXED = (0.1, 0.1, 4.0)
"""Width, ridge and slope where leave-one-out likelihood is meaningless: see ``_Problem``."""


@dataclass(frozen=True)
class KernelPosteriors:
    """Kernel machines of all modalities, and the targets that they were finally fitted to.

    Args:
        machines: Modality -> its machine.
        targets: (n, c) float64, class probabilities of each sample of the split; a row of zeros
            is unlabeled.
        noise: Estimated share of wrong labels; 0 where labels are used unchanged.
        left_out: Modality -> scores of each sample by the machine of the given labels without that
            sample.
    """

    machines: Mapping[str, KernelPosterior]
    targets: NDArray[np.float64]
    noise: float
    left_out: Mapping[str, LeftOutScores]


def fit_kernel_posteriors(
    train: Dataset,
    *,
    multi_label: bool,
    seed: int,
    callbacks: Callbacks | None = None,
    targets: NDArray[np.float64] | None = None,
) -> KernelPosteriors:
    """Fit the machines, estimate wrong labels with them, and, if there are any, fit them again.

    Time and memory grow with the number of samples only by passes over the features: machines are
    fitted to ``SAMPLES`` of them at most, and all passes over the features are made part by part.
    Large targets lie on disk.

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
    labels = to_rows(train.labels if targets is None else targets, np.float64)
    if not multi_label:
        for part in row_blocks(labels):
            labels[part] /= np.maximum(labels[part].sum(axis=1, keepdims=True), 1)
    draw = np.random.default_rng(seed)
    problems = {
        name: _Problem(train, name, draw.permutation(labeled_rows(train, name)))
        for name in train.modalities
    }
    fitted = _fit_all(problems, labels, multi_label, callbacks)
    machines = {name: one.machine for name, one in fitted.items()}
    left_out = {name: one.left_out for name, one in fitted.items()}
    known = np.flatnonzero(train.labels.any(axis=1))
    noise = 0.0
    if (
        not multi_label
        and len(known) >= PER_CLASS * int(train.labels.any(axis=0).sum()) > PER_CLASS
    ):
        some = known[noise_rows(len(known))]
        model = fit_noise_model(_scores(left_out, some), random_rows(labels, some))
        if model.noise > NOISE:
            noise = model.noise
            for part in parts(len(known), CLEANED):
                rows = known[part]
                labels[rows] = model.clean(_scores(left_out, rows), labels[rows]).classes
                release_rows()
            again = _fit_all(problems, labels, multi_label, callbacks)
            machines = {name: one.machine for name, one in again.items()}
    return KernelPosteriors(machines, labels, noise, left_out)


def _scores(
    left_out: Mapping[str, LeftOutScores], rows: NDArray[np.intp]
) -> list[NDArray[np.float32]]:
    """Return for each modality the (r, c) scores of some samples, 0 where there are none."""
    return [np.nan_to_num(one.at(rows)) for one in left_out.values()]


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


class _Fitted(NamedTuple):
    """A machine, and the scores of samples without their label."""

    machine: KernelPosterior
    left_out: LeftOutScores


def _fit_all(
    problems: Mapping[str, "_Problem"],
    labels: NDArray[np.float64],
    multi_label: bool,
    callbacks: Callbacks,
) -> dict[str, _Fitted]:
    """Fit the machines of all modalities at the same time, each in a thread of its own.

    Their progress is reported one after the other, from the thread of the caller.
    """
    steps = len(POWERS) * len(EVENNESS) + len(RELEVANCES) + 1
    stopped = Event()
    advances: dict[str, SimpleQueue[None]] = {name: SimpleQueue() for name in problems}

    def fit(name: str) -> _Fitted:
        def advance() -> None:
            advances[name].put(None)
            if stopped.is_set():
                raise CancelledError

        try:
            return problems[name].fit(labels, multi_label, advance)
        finally:
            for _ in range(steps):  # the reader waits for no more than all steps
                advances[name].put(None)

    workers = min(len(problems), available_cores())
    with one_thread(), ThreadPoolExecutor(workers) as pool:
        running = {name: pool.submit(fit, name) for name in problems}
        try:
            for name, future in running.items():
                with callbacks.task(f"kernel machine of {name}", steps) as task:
                    for _ in range(steps):
                        advances[name].get()
                        if future.done() and future.exception():
                            break
                        task.on_advance()
                    future.result()
            return {name: future.result() for name, future in running.items()}
        except BaseException:
            stopped.set()
            for future in running.values():
                future.cancel()
            raise


class _Choice(NamedTuple):
    """Settings of a machine and their leave-one-out loss."""

    loss: float
    scaling: Scaling
    width: float
    ridge: float
    calibrated: TemperatureScaling | None


def _loss(choice: _Choice) -> float:
    return choice.loss


class _Problem:
    """One modality of the labeled samples that have it, in random order.

    With fewer than two samples a class on average, a sample that is left out is often the only one
    of its class, and its likelihood is meaningless. Then fixed settings are used.
    """

    def __init__(self, train: Dataset, modality: str, rows: NDArray[np.intp]) -> None:
        self.rows = rows
        self._places = np.full(len(train), -1, dtype=np.int32)
        self._places[rows] = np.arange(len(rows), dtype=np.int32)
        column = train.columns[modality]
        assert isinstance(column, Features)
        # Unlabeled samples count for the variance of features too.
        self._features = ScaledFeatures(column.values, rows, np.flatnonzero(column.present))

    def fit(
        self, targets: NDArray[np.float64], multi_label: bool, advance: Callable[[], None]
    ) -> _Fitted:
        """Return the best machine and its scores of the samples, each left out.

        Args:
            targets: (N, c), class probabilities of all samples of the split.
            multi_label: Whether samples may have several classes.
            advance: Is called after each step.
        """
        self._features.forget_targets()
        classes, n = _count_classes(targets, self.rows), len(self.rows)
        if n < 2 * classes:
            width, ridge, slope = FIXED
            calibrated = TemperatureScaling(slope, np.zeros(targets.shape[1]), np.inf)
            return self._machine(targets, Scaling(), width, lambda *_: (ridge, calibrated))
        best = _Choice(np.inf, Scaling(), MIDDLE[0], MIDDLE[1], None)
        for scaling in starmap(Scaling, product(POWERS, EVENNESS)):
            best = min(best, self._search(targets, multi_label, scaling, best), key=_loss)
            advance()
        if n >= PER_CLASS * classes:  # else features are relevant by chance
            plain = best.scaling
            for relevance in RELEVANCES:
                scaling = plain._replace(relevance=relevance)
                best = min(best, self._search(targets, multi_label, scaling, best), key=_loss)
                advance()
        return self._machine(
            targets,
            best.scaling,
            best.width,
            lambda one, known: _best(one, known, multi_label, best.ridge, best.calibrated),
        )

    def _search(
        self, targets: NDArray[np.float64], multi_label: bool, scaling: Scaling, near: "_Choice"
    ) -> "_Choice":
        """Return the best settings with this scaling, searched from the best with another."""
        samples, landmarks = FEW
        X = self._features.rescaled(
            slice(samples), scaling, *self._features.scale(targets, scaling)
        )
        between = squared_distances(X, X[:landmarks]).astype(np.float32)
        tried: dict[float, _Choice] = {}
        T = random_rows(targets, self.rows[:samples])

        def left_out(width: float) -> float:
            if width not in tried:
                machine = KernelRidge(between, between[:landmarks], width)
                ridge, calibrated = _best(machine, T, multi_label, near.ridge, near.calibrated)
                tried[width] = _Choice(calibrated.loss, scaling, width, ridge, calibrated)
            return tried[width].loss

        if left_out(near.width) > DROP_FACTOR * near.loss:
            return tried[near.width]
        return tried[_lowest(left_out, WIDTHS, near.width)]

    def _machine(
        self,
        targets: NDArray[np.float64],
        scaling: Scaling,
        width: float,
        choose: Callable[[KernelRidge, NDArray[np.float64]], tuple[float, TemperatureScaling]],
    ) -> _Fitted:
        """Return the machine for these settings, with the ridge and calibration that are chosen."""
        scales = self._features.scale(targets, scaling)
        known = random_rows(targets, self.rows[:SAMPLES])
        landmarks = self._features.rescaled(slice(LANDMARKS), scaling, *scales)
        between = np.empty((len(known), len(landmarks)))
        for part in parts(len(known), PART):
            X = self._features.rescaled(part, scaling, *scales)
            between[part] = squared_distances(X, landmarks)
        machine = KernelRidge(between, between[:LANDMARKS], width)
        del between
        ridge, calibrated = choose(machine, known)
        solution = machine.solve(known, ridge)
        del machine
        left_out = LeftOutScores(
            self._features,
            self._places,
            solution.left_out.astype(np.float32),
            scaling,
            scales,
            landmarks.astype(np.float32),
            width,
            solution.coefficients.astype(np.float32),
            solution.bias,
        )
        found = KernelPosterior(
            scaling,
            *scales,
            landmarks,
            width,
            calibrated.slope * solution.coefficients,
            calibrated.slope * solution.bias + calibrated.offsets,
            ridge,
            calibrated.loss if np.isfinite(calibrated.loss) else None,
        )
        return _Fitted(found, left_out)


def _count_classes(targets: NDArray[np.float64], rows: NDArray[np.intp]) -> int:
    """Return the number of classes that some samples have."""
    found = np.zeros(targets.shape[1], dtype=bool)
    ordered = np.sort(rows)
    for part in parts(len(ordered), CLEANED):
        found |= (targets[ordered[part]] > 0).any(axis=0)
        release_rows()
    return int(found.sum())


def _best(
    machine: KernelRidge,
    targets: NDArray[np.float64],
    multi_label: bool,
    near: float,
    start: TemperatureScaling | None,
) -> tuple[float, TemperatureScaling]:
    """Return the ridge with the highest leave-one-out likelihood, and its calibration.

    Args:
        machine: Its kernel is given.
        targets: (n, c).
        multi_label: Whether classes are independent.
        near: Where the search of the ridge starts.
        start: Where that of the calibration starts.
    """
    calibrated: dict[float, TemperatureScaling] = {}

    def left_out(ridge: float) -> float:
        nonlocal start
        start = calibrated[ridge] = fit_temperature(
            machine.left_out(targets, ridge), targets, multi_label=multi_label, start=start
        )
        return start.loss

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

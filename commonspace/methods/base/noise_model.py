"""Noise model of labels and temperature scaling of scores, both from leave-one-out scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit, softmax

__all__ = [
    "CleanedLabels",
    "NoiseModel",
    "TemperatureScaling",
    "clean_labels",
    "fit_noise_model",
    "fit_temperature",
    "noise_rows",
]

SHRINKAGE = 1e-3
"""Penalty of the offsets, so that a class without samples stays finite."""

SLOPES = (-3.0, 6.0)
"""Bounds of log t."""

SAMPLES = 20_000
"""Largest number of samples by which the share of wrong labels is estimated."""

PART = 8192
"""Samples whose class probabilities are computed at a time."""

STEPS = 50
"""Largest number of steps of Newton's method, and of halvings of a step."""

STARTS = ((5.0, 0.1), (20.0, 0.7))
"""Slopes and shares of wrong labels at which the fit of the noise model starts.

Few wrong labels and unsure scores, or many and sure ones: both are often maxima of the likelihood.
"""

PRECISION = 1e-10
"""Newton's method ends where another step would lower the loss by less."""

ROUNDING = 1e-12
"""Added to the curvature along the slope, which is 0 where scores say nothing."""


@dataclass(frozen=True)
class TemperatureScaling:
    """Logits t s + b of scores s, whose softmax (or sigmoid) is calibrated.

    Args:
        slope: t.
        offsets: (c,) float64, b.
        loss: Mean negative log likelihood of the targets.
    """

    slope: float
    offsets: NDArray[np.float64]
    loss: float


@dataclass(frozen=True)
class CleanedLabels:
    """Class probabilities of samples, given their labels and their features.

    Args:
        classes: (n, c) float64; each row sums to 1.
        noise: Estimated share of labels that were drawn at random.
        posteriors: (n, c) float64, p(class | x) without the label of the sample.
    """

    classes: NDArray[np.float64]
    noise: float
    posteriors: NDArray[np.float64]


@dataclass(frozen=True)
class NoiseModel:
    """Share of wrong labels, and how the scores of the modalities predict a class.

    Args:
        slopes: (m,) float64, t of each modality.
        offsets: (c,) float64, b.
        noise: r.
    """

    slopes: NDArray[np.float64]
    offsets: NDArray[np.float64]
    noise: float

    def clean(
        self, scores: Sequence[NDArray[np.floating]], labels: NDArray[np.float64]
    ) -> CleanedLabels:
        """Return class probabilities of samples.

        Args:
            scores: For each modality (n, c); 0 where it is missing.
            labels: (n, c), shares of the classes; each row sums to 1.
        """
        p: NDArray[np.float64] = softmax(
            np.tensordot(self.slopes, np.stack(scores), axes=1) + self.offsets, axis=1
        )
        q = (1 - self.noise) * labels
        q += self.noise / labels.shape[1]
        q *= p
        q /= q.sum(axis=1, keepdims=True)
        return CleanedLabels(q, self.noise, p)


def fit_temperature(
    scores: NDArray[np.floating],
    targets: NDArray[np.float64],
    *,
    multi_label: bool,
    start: TemperatureScaling | None = None,
) -> TemperatureScaling:
    """Fit slope and offsets by maximum likelihood of the targets.

    The loss is convex in slope and offsets; Newton's method takes O(n c^2) time a step, and few
    steps from a start nearby.

    Args:
        scores: (n, c).
        targets: (n, c) in [0, 1]; each row sums to 1 unless ``multi_label``.
        multi_label: Whether classes are independent (sigmoid) or exclusive (softmax).
        start: Where to start; the result does not depend on it.

    Example:
        >>> targets = np.array([[0.9, 0.1], [0.1, 0.9]])
        >>> fit = fit_temperature(np.eye(2), targets, multi_label=False)
        >>> round(fit.slope, 2), round(float(np.log(9)), 2)
        (2.2, 2.2)
    """
    scores = np.asarray(scores, dtype=np.float64)
    n, c = scores.shape
    rates, agreement = targets.mean(axis=0), float(np.vdot(targets, scores)) / n
    low, high = np.exp(SLOPES)
    work, other = np.empty_like(scores), np.empty_like(scores)

    def evaluate(x: NDArray[np.float64]) -> float:
        """Return the loss at slope and offsets x; leaves the probabilities in ``work``."""
        np.multiply(scores, x[0], out=work)
        np.add(work, x[1:], out=work)
        if multi_label:
            normalizer = np.logaddexp(0, work, out=other).sum()
            expit(work, out=work)
        else:
            largest = work.max(axis=1)
            np.subtract(work, largest[:, None], out=work)
            np.exp(work, out=work)
            sums = work.sum(axis=1)
            normalizer = np.log(sums).sum() + largest.sum()
            np.divide(work, sums[:, None], out=work)
        fit = normalizer / n - x[0] * agreement - x[1:] @ rates
        return float(fit + SHRINKAGE * (x[1:] @ x[1:]))

    def derivatives(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return gradient and Hessian at x, from the probabilities in ``work``."""
        p = work
        gradient, hessian = np.empty(c + 1), np.empty((c + 1, c + 1))
        gradient[0] = np.vdot(p, scores) / n - agreement
        gradient[1:] = p.mean(axis=0) - rates + 2 * SHRINKAGE * x[1:]
        if multi_label:
            weights = np.subtract(p, np.square(p), out=other)
            among = np.diag(weights.mean(axis=0))
            weights *= scores
        else:
            expected = np.einsum("nc,nc->n", p, scores)
            among = np.diag(p.mean(axis=0)) - p.T @ p / n
            weights = np.multiply(p, np.subtract(scores, expected[:, None], out=other), out=other)
        hessian[0, 0] = np.vdot(weights, scores) / n
        hessian[0, 1:] = hessian[1:, 0] = weights.mean(axis=0)
        hessian[1:, 1:] = among
        hessian[np.diag_indices(c + 1)] += np.append(ROUNDING, np.full(c, 2 * SHRINKAGE))
        return gradient, hessian

    x = np.append(8.0, np.zeros(c)) if start is None else np.append(start.slope, start.offsets)
    x[0] = min(max(x[0], low), high)
    loss = evaluate(x)
    for _ in range(STEPS):
        gradient, hessian = derivatives(x)
        step = -np.linalg.solve(hessian, gradient)
        if (x[0] <= low and step[0] < 0) or (x[0] >= high and step[0] > 0):  # it stays there
            step = np.append(0.0, -np.linalg.solve(hessian[1:, 1:], gradient[1:]))
        if -gradient @ step < 2 * PRECISION:
            break
        end = min(max(x[0] + step[0], low), high)
        if end != x[0] + step[0]:  # shorter, so that it ends at the bound
            step *= (end - x[0]) / step[0]
        for halving in range(STEPS):
            tried = x + step / 2**halving
            tried[0] = min(max(tried[0], low), high)
            found = evaluate(tried)
            if found <= loss + 1e-4 * (gradient @ (tried - x)):
                break
        else:  # no lower loss within rounding
            break
        x, loss = tried, found
    return TemperatureScaling(float(x[0]), x[1:], loss)


def clean_labels(
    scores: Sequence[NDArray[np.floating]], labels: NDArray[np.float64]
) -> CleanedLabels:
    """Weigh each label against the predictions of the modalities, by ``fit_noise_model``.

    Args:
        scores: For each modality (n, c) leave-one-out scores; 0 where it is missing.
        labels: (n, c), shares of the classes; each row sums to 1.
    """
    rows = noise_rows(len(labels))
    model = fit_noise_model([one[rows] for one in scores], labels[rows])
    classes, posteriors = np.empty_like(labels), np.empty_like(labels)
    for begin in range(0, len(labels), PART):
        part = slice(begin, begin + PART)
        found = model.clean([one[part] for one in scores], labels[part])
        classes[part], posteriors[part] = found.classes, found.posteriors
    return CleanedLabels(classes, model.noise, posteriors)


def noise_rows(count: int) -> NDArray[np.intp]:
    """Return the samples, of so many, by which the share of wrong labels is estimated, ascending.

    Example:
        >>> noise_rows(3).tolist(), len(noise_rows(30_000))
        ([0, 1, 2], 20000)
    """
    if count <= SAMPLES:  # more would hardly change so few parameters
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, SAMPLES, replace=False))


def fit_noise_model(
    scores: Sequence[NDArray[np.floating]], labels: NDArray[np.float64]
) -> NoiseModel:
    """Fit the share of wrong labels.

        P(label | x) = (1 - r) p(label | x) + r / c,    p(. | x) = softmax(sum_m t_m s_m + b)

    A label is right, or, with probability r, drawn at random from all c classes. Slopes t, offsets
    b and r maximize the likelihood of the labels; r is 0 where the modalities give no evidence of
    wrong labels. The probability of a class follows by Bayes' rule:

        q_c ~ p(c | x) ((1 - r) [c is the label] + r / c)

    After Natarajan, Dhillon, Ravikumar, Tewari: Learning with noisy labels, NIPS 2013, and
    Lawrence and Schoelkopf: Estimating a kernel Fisher discriminant in the presence of label
    noise, ICML 2001. New here: all modalities of a sample predict its label together, each by
    leave-one-out.

    Args:
        scores: For each modality (n, c) leave-one-out scores; 0 where it is missing.
        labels: (n, c), shares of the classes; each row sums to 1.
    """
    c, m = labels.shape[1], len(scores)
    given = np.stack(scores).astype(np.float64)
    known, n = labels, len(labels)

    def joint(packed: NDArray[np.float64], stacked: NDArray[np.floating]) -> NDArray[np.float64]:
        p: NDArray[np.float64] = softmax(
            np.tensordot(np.exp(packed[:m]), stacked, axes=1) + packed[m:-1], axis=1
        )
        return p

    def mean_loss(packed: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        b, r = packed[m:-1], expit(packed[-1])
        p = joint(packed, given)
        right = (p * known).sum(axis=1)
        likely = (1 - r) * right + r / c
        by_right = -(1 - r) / likely / n
        by_logits = by_right[:, None] * p * (known - right[:, None])
        by_slopes = np.exp(packed[:m]) * np.tensordot(given, by_logits, axes=2)
        by_noise = -((1 / c - right) / likely).mean() * r * (1 - r)
        gradient = [by_slopes, by_logits.sum(axis=0) + 2 * SHRINKAGE * b, [by_noise]]
        return float(-np.log(likely).mean() + SHRINKAGE * (b @ b)), np.concatenate(gradient)

    bounds = [SLOPES] * m + [(None, None)] * c + [(-12.0, 12.0)]
    fits = [
        minimize(
            mean_loss,
            np.concatenate([np.full(m, np.log(slope)), np.zeros(c), [logit(noise)]]),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
        )
        for slope, noise in STARTS
    ]
    found = min(fits, key=lambda fit: fit.fun).x
    return NoiseModel(np.exp(found[:m]), found[m:-1], float(expit(found[-1])))

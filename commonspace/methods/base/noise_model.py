"""Noise model of labels and temperature scaling of scores, both from leave-one-out scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

__all__ = ["CleanedLabels", "TemperatureScaling", "clean_labels", "fit_temperature"]

SHRINKAGE = 1e-3
"""Penalty of the offsets, so that a class without samples stays finite."""

SLOPES = (-3.0, 6.0)
"""Bounds of log t."""


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


def fit_temperature(
    scores: NDArray[np.float64], targets: NDArray[np.float64], *, multi_label: bool
) -> TemperatureScaling:
    """Fit slope and offsets by maximum likelihood of the targets.

    Args:
        scores: (n, c).
        targets: (n, c) in [0, 1]; each row sums to 1 unless ``multi_label``.
        multi_label: Whether classes are independent (sigmoid) or exclusive (softmax).

    Example:
        >>> targets = np.array([[0.9, 0.1], [0.1, 0.9]])
        >>> fit = fit_temperature(np.eye(2), targets, multi_label=False)
        >>> round(fit.slope, 2), round(float(np.log(9)), 2)
        (2.2, 2.2)
    """
    n = len(scores)

    def mean_loss(packed: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, b = np.exp(packed[0]), packed[1:]
        logits = slope * scores + b
        if multi_label:
            p = expit(logits)
            loss = (np.logaddexp(0, logits) - targets * logits).sum() / n
        else:
            log_p = log_softmax(logits, axis=1)
            p, loss = np.exp(log_p), -np.vdot(targets, log_p) / n
        residual = (p - targets) / n
        slopes = residual.sum(axis=0) + 2 * SHRINKAGE * b
        gradient = np.concatenate([[slope * np.vdot(residual, scores)], slopes])
        return float(loss + SHRINKAGE * (b @ b)), gradient

    start = np.concatenate([[np.log(8.0)], np.zeros(scores.shape[1])])
    bounds = [SLOPES] + [(None, None)] * scores.shape[1]
    found = minimize(mean_loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return TemperatureScaling(float(np.exp(found.x[0])), found.x[1:], float(found.fun))


def clean_labels(
    scores: Sequence[NDArray[np.float64]], labels: NDArray[np.float64]
) -> CleanedLabels:
    """Weigh each label against the predictions of the modalities, by the share of wrong labels.

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
    (n, c), m = labels.shape, len(scores)
    stacked = np.stack(scores)

    def joint(packed: NDArray[np.float64]) -> NDArray[np.float64]:
        p: NDArray[np.float64] = softmax(
            np.tensordot(np.exp(packed[:m]), stacked, axes=1) + packed[m:-1], axis=1
        )
        return p

    def mean_loss(packed: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        b, r = packed[m:-1], expit(packed[-1])
        p = joint(packed)
        right = (p * labels).sum(axis=1)
        likely = (1 - r) * right + r / c
        by_right = -(1 - r) / likely / n
        by_logits = by_right[:, None] * p * (labels - right[:, None])
        by_slopes = np.exp(packed[:m]) * np.tensordot(stacked, by_logits, axes=2)
        by_noise = -((1 / c - right) / likely).mean() * r * (1 - r)
        gradient = [by_slopes, by_logits.sum(axis=0) + 2 * SHRINKAGE * b, [by_noise]]
        return float(-np.log(likely).mean() + SHRINKAGE * (b @ b)), np.concatenate(gradient)

    start = np.concatenate([np.full(m, np.log(5.0)), np.zeros(c), [-2.0]])
    bounds = [SLOPES] * m + [(None, None)] * c + [(-12.0, 12.0)]
    found = minimize(mean_loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    r = float(expit(found[-1]))
    p = joint(found)
    q = p * ((1 - r) * labels + r / c)
    return CleanedLabels(q / q.sum(axis=1, keepdims=True), r, p)

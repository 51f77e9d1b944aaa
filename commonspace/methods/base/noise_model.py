"""From scores to probabilities of classes, and from labels that may be wrong to beliefs in them.

It knows nothing of where the scores come from; they must be of samples that were left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

__all__ = ["Beliefs", "Tempered", "believe", "temper"]

SHRINKAGE = 1e-3
"""Of the offsets towards 0, so that a class that is never there stays finite."""

SLOPES = (-3.0, 6.0)
"""Bounds of log t."""


@dataclass(frozen=True)
class Tempered:
    """Logits t s + b of scores s, whose softmax (or sigmoid) is calibrated.

    Args:
        slope: t.
        offsets: (c,) float64, b.
        loss: the mean negative log likelihood of the targets.
    """

    slope: float
    offsets: NDArray[np.float64]
    loss: float


@dataclass(frozen=True)
class Beliefs:
    """What is believed of the classes of samples, given their labels and all else about them.

    Args:
        classes: (n, c) float64; each row adds up to 1.
        noise: the share of labels that seem to have been drawn at random.
    """

    classes: NDArray[np.float64]
    noise: float


def temper(scores: NDArray[np.float64], targets: NDArray[np.float64], *, several: bool) -> Tempered:
    """Find the slope and the offsets under which the targets are most likely.

    Args:
        scores: (n, c).
        targets: (n, c) in [0, 1]; each row adds up to 1 unless there may be several classes.
        several: whether classes are independent (sigmoid) or exclude each other (softmax).

    Example:
        >>> found = temper(np.eye(2), np.array([[0.9, 0.1], [0.1, 0.9]]), several=False)
        >>> round(found.slope, 2), round(float(np.log(9)), 2)
        (2.2, 2.2)
    """
    n = len(scores)

    def mean_loss(packed: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, b = np.exp(packed[0]), packed[1:]
        logits = slope * scores + b
        if several:
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
    return Tempered(float(np.exp(found.x[0])), found.x[1:], float(found.fun))


def believe(scores: Sequence[NDArray[np.float64]], labels: NDArray[np.float64]) -> Beliefs:
    """Weigh each label against what the modalities of its sample say, by the share of wrong ones.

        P(label | x) = (1 - r) p(label | x) + r / c,    p(. | x) = softmax(sum_m t_m s_m + b)

    A label is right, or, with probability r, drawn at random from all c classes. The slopes t, the
    offsets b and r are those under which the labels are most likely; r comes out as 0 where labels
    are as right as the modalities can tell. The belief in a class is Bayes' rule:

        q_c ~ p(c | x) ((1 - r) [c is the label] + r / c)

    After Natarajan, Dhillon, Ravikumar, Tewari: Learning with noisy labels, NIPS 2013, and
    Lawrence and Schoelkopf: Estimating a kernel Fisher discriminant in the presence of label
    noise, ICML 2001. Ours is that the modalities of a sample vote on its label together, each by a
    prediction that has not seen this label.

    Args:
        scores: for each modality (n, c), of samples that were left out; 0 where it is missing.
        labels: (n, c), the shares of the classes; each row adds up to 1.
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
    q = joint(found) * ((1 - r) * labels + r / c)
    return Beliefs(q / q.sum(axis=1, keepdims=True), r)

"""Share of pairs that do not belong together, from the scores of pairs and of different pairs."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde, norm

from commonspace.methods.base.pair_scores import PairScores

__all__ = ["fit_mismatch_share"]

APART = 2.0
"""Standard deviations that pairs must lie above different pairs for their share to be estimated."""
ENOUGH = 100
"""Smallest number of pairs by which it is estimated."""
STEPS = 300
POINTS = 1000
"""Points of the density of different pairs."""
TINY = 1e-300


def fit_mismatch_share(scores: PairScores) -> tuple[float | None, NDArray[np.float64]]:
    """Estimate the share of pairs that do not belong together, and the probability of each.

    Items of different pairs have known scores, and half of the mismatches lie below their median:
    s is twice the share of pairs there (Storey: A direct approach to false discovery rates,
    JRSS B 64, 2002, with lambda 1/2), which counts pairs that belong together and fit badly too.
    Given s, the scores are a mixture of that known density and a normal one, which expectation
    maximization fits; noisy pairs are found by mixtures of two components also in Huang et al.:
    Learning with Noisy Correspondence for Cross-modal Matching, NeurIPS 2021, there of losses.

    Args:
        scores: Of the pairs.

    Returns:
        s, or None if there are fewer than 100 pairs, or the normal density lies less than two
        standard deviations above different pairs: pairs that share little look like mismatches.
        And (n,) float64, where a lower score has no lower probability.
    """
    own, others = scores.own, scores.others
    if len(own) < ENOUGH or not others.std():
        return None, np.zeros(len(own))
    low = int((own < np.median(others)).sum())
    prior = min(1.0, 2 * (low + 1) / len(own))  # one more, since none found does not mean none
    points = np.quantile(others, (np.arange(POINTS) + 0.5) / POINTS)
    different = prior * gaussian_kde(points)(own)
    center, spread = float(own[own >= np.median(own)].mean()), float(own.std())
    p = np.zeros(len(own))
    for _ in range(STEPS):
        alike = (1 - prior) * norm.pdf(own, center, max(spread, 1e-3))
        p = different / np.maximum(different + alike, TINY)
        weights = (1 - p) / max(float((1 - p).sum()), TINY)
        center = float(weights @ own)
        spread = float(np.sqrt(weights @ np.square(own - center)))
    order = np.argsort(-own, kind="stable")
    p[order] = np.maximum.accumulate(p[order])
    far = center - others.mean() >= APART * others.std()
    return (min(1.0, 2 * low / len(own)) if far else None), p

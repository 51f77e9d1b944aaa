"""Isotonic calibration: a monotone map from scores to probabilities of relevance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError

__all__ = ["Calibration", "fit_calibration"]

BINS = 100
"""Number of quantile bins of all scores, and of the scores of relevant pairs."""


@dataclass(frozen=True)
class Calibration:
    """A monotone, piecewise linear map from scores to probabilities, constant beyond its ends.

    Args:
        scores: Knots, increasing.
        probabilities: Value at each knot, in [0, 1], not decreasing.

    Raises:
        DataError: If the values do not describe such a map.

    Example:
        >>> Calibration((0.0, 0.5, 1.0), (0.0, 0.1, 0.9))([0.25, 0.75, 7.0])
        array([0.05, 0.5 , 0.9 ])
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the knots."""
        x, p = np.array(self.scores), np.array(self.probabilities)
        valid = (
            x.ndim == 1
            and 0 < len(x) == len(p)
            and bool(np.isfinite(x).all())
            and bool((np.diff(x) > 0).all())
            and bool(((p >= 0) & (p <= 1)).all())
            and bool((np.diff(p) >= 0).all())
        )
        if not valid:
            raise DataError(
                "a calibration must be a monotone map from scores to probabilities",
                expected="increasing scores, each with a probability that does not decrease",
                found=f"scores {_shorten(self.scores)},"
                f" probabilities {_shorten(self.probabilities)}",
                advice="fit it with fit_calibration",
            )

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the probability for each score, float64 in [0, 1], of the shape of ``scores``."""
        x = np.asarray(scores, dtype=np.float64)
        probabilities: NDArray[np.float64] = np.interp(x, self.scores, self.probabilities)
        return probabilities


def fit_calibration(scores: ArrayLike, relevant: ArrayLike) -> Calibration:
    """Fit a calibration on pairs of known relevance, by isotonic regression over narrow bins.

    Pairs are binned by score; neighboring bins with decreasing rates of relevance are pooled until
    no rate decreases (pool adjacent violators). A pool of n pairs, k of them relevant, becomes a
    knot at their mean score with the probability (k + r) / (n + 1), r the rate over all pairs: a
    prior of one pair, so that few pairs never give certainty. If that makes rates decrease, they
    are pooled again. Between knots the map is linear.

    Source: Zadrozny and Elkan: Transforming classifier scores into accurate multiclass probability
    estimates, KDD 2002.

    Args:
        scores: (n,) finite scores.
        relevant: (n,) bool, with at least one relevant and one irrelevant pair.

    Raises:
        DataError: If the shapes differ, a score is not finite, or all pairs have one relevance.

    Example:
        >>> fit_calibration([0.0, 0.0, 1.0, 1.0], [False, False, True, True])
        Calibration(scores=(0.0, 1.0), probabilities=(0.16666666666666666, 0.8333333333333334))
    """
    x, y = _check_pairs(scores, relevant)
    inner = np.linspace(0, 1, BINS + 1)
    edges = np.unique(np.concatenate([np.quantile(x, inner), np.quantile(x[y], inner)]))
    bins = np.searchsorted(edges, x, side="left")
    count = np.bincount(bins).astype(np.float64)
    relevant_pairs = np.bincount(bins, y).astype(np.float64)
    n, k, total = _pool(count, relevant_pairs, np.bincount(bins, x).astype(np.float64))
    n, k, total = _pool(n + 1, k + y.mean(), total * (n + 1) / n)
    return Calibration(tuple((total / n).tolist()), tuple((k / n).tolist()))


def _pool(
    count: NDArray[np.float64], positives: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (3, pools): pairs, relevant pairs and sum of scores; rate and mean score increase."""
    pools: list[NDArray[np.float64]] = []
    for bin_ in np.stack([count, positives, total], axis=1)[count > 0]:
        pools.append(bin_)
        while len(pools) > 1 and not _increases(*pools[-2:]):
            last = pools.pop()
            pools[-1] = pools[-1] + last
    return np.array(pools).T


def _increases(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    """Return whether the rate of relevance increases, and, despite rounding, the mean score."""
    rate = after[1] * before[0] > before[1] * after[0]
    return bool(rate and after[2] / after[0] > before[2] / before[0])


def _check_pairs(
    scores: ArrayLike, relevant: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(relevant, dtype=bool)
    if x.ndim != 1 or x.shape != y.shape or not np.isfinite(x).all() or y.all() or not y.any():
        raise DataError(
            "the pairs do not allow a calibration",
            expected="a finite score for each pair, some relevant and some not",
            found=f"scores {x.shape}, {int((~np.isfinite(x)).sum())} not finite; relevance"
            f" {y.shape}, {int(y.sum())} of them relevant",
            advice="use pairs of several classes",
        )
    return x, y


def _shorten(values: tuple[float, ...]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:4])
    return f"({shown}{', …' if len(values) > 4 else ''})"

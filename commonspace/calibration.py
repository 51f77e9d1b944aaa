"""From a score to the probability of relevance: a monotone map, fitted on scored pairs.

Arrays in, probabilities out. It knows nothing of spaces, modalities or where scores come from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError

__all__ = ["Calibration", "fit_calibration"]

BINS = 100
"""Quantiles of all scores, and as many of the scores of relevant pairs, between which is pooled."""


@dataclass(frozen=True)
class Calibration:
    """A monotone, piecewise linear map from score to probability, constant beyond its ends.

    Args:
        scores: the knots, increasing.
        probabilities: the value at each knot, not decreasing, in [0, 1].

    Example:
        >>> Calibration((0.0, 0.5, 1.0), (0.0, 0.1, 0.9))([0.25, 0.75, 7.0])
        array([0.05, 0.5 , 0.9 ])
    """

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is no monotone map into [0, 1]."""
        x, p = np.array(self.scores), np.array(self.probabilities)
        fine = (
            x.ndim == 1
            and 0 < len(x) == len(p)
            and bool(np.isfinite(x).all())
            and bool((np.diff(x) > 0).all())
            and bool(((p >= 0) & (p <= 1)).all())
            and bool((np.diff(p) >= 0).all())
        )
        if not fine:
            raise DataError(
                "a calibration is no monotone map from scores to probabilities",
                expected="increasing scores, each with a probability that does not decrease",
                found=f"scores {_short(self.scores)}, probabilities {_short(self.probabilities)}",
                advice="fit it with fit_calibration",
            )

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the probability for each score, float64 in [0, 1], of the shape of ``scores``."""
        x = np.asarray(scores, dtype=np.float64)
        found: NDArray[np.float64] = np.interp(x, self.scores, self.probabilities)
        return found


def fit_calibration(scores: ArrayLike, relevant: ArrayLike) -> Calibration:
    """Fit the map on pairs whose relevance is known: isotonic regression over narrow bins.

    Pairs are put into bins by their score; neighbouring bins whose rates of relevance fall are
    pooled until none does (pool adjacent violators; Zadrozny and Elkan: Transforming classifier
    scores into accurate multiclass probability estimates, KDD 2002). A pool of n pairs, k of them
    relevant, stands at their mean score with the probability (k + r) / (n + 1), r the rate over all
    pairs: one pair's worth of doubt, so that a handful of pairs never gives certainty. Where that
    makes the rates fall again, they are pooled once more. Between pools the map is linear.

    Args:
        scores: (n,) finite scores.
        relevant: (n,) bool; some pairs are relevant and some are not.

    Raises:
        DataError: the arrays do not match, a score is not finite, or all pairs are alike.

    Example:
        >>> fit_calibration([0.0, 0.0, 1.0, 1.0], [False, False, True, True])
        Calibration(scores=(0.0, 1.0), probabilities=(0.16666666666666666, 0.8333333333333334))
    """
    x, y = _checked(scores, relevant)
    inner = np.linspace(0, 1, BINS + 1)
    edges = np.unique(np.concatenate([np.quantile(x, inner), np.quantile(x[y], inner)]))
    bins = np.searchsorted(edges, x, side="left")
    count = np.bincount(bins).astype(np.float64)
    relevant_pairs = np.bincount(bins, y).astype(np.float64)
    n, k, total = _pooled(count, relevant_pairs, np.bincount(bins, x).astype(np.float64))
    n, k, total = _pooled(n + 1, k + y.mean(), total * (n + 1) / n)
    return Calibration(tuple((total / n).tolist()), tuple((k / n).tolist()))


def _pooled(
    count: NDArray[np.float64], positives: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (3, pools): pairs, relevant pairs and sum of scores; rate and mean score increase."""
    pools: list[NDArray[np.float64]] = []
    for one in np.stack([count, positives, total], axis=1)[count > 0]:
        pools.append(one)
        while len(pools) > 1 and not _rises(*pools[-2:]):
            last = pools.pop()
            pools[-1] = pools[-1] + last
    return np.array(pools).T


def _rises(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    """Whether the rate of relevance rises, and the mean score too, which rounding may prevent."""
    rate = after[1] * before[0] > before[1] * after[0]
    return bool(rate and after[2] / after[0] > before[2] / before[0])


def _checked(
    scores: ArrayLike, relevant: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(relevant, dtype=bool)
    if x.ndim != 1 or x.shape != y.shape or not np.isfinite(x).all() or y.all() or not y.any():
        raise DataError(
            "a calibration cannot be fitted on these pairs",
            expected="a finite score for each, some relevant and some not",
            found=f"scores {x.shape}, {int((~np.isfinite(x)).sum())} not finite; relevance"
            f" {y.shape}, {int(y.sum())} of them relevant",
            advice="give pairs of several classes",
        )
    return x, y


def _short(values: tuple[float, ...]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:4])
    return f"({shown}{', …' if len(values) > 4 else ''})"

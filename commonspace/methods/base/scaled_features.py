"""Features of one modality, scaled for a kernel part by part, without a second copy of them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonspace.data.row_blocks import random_rows, release_rows
from commonspace.methods.base.views import ROUNDING

__all__ = ["PART", "POWERS", "ScaledFeatures", "Scaling", "apply_power", "parts"]

POWERS = (1.0, 0.5)
PART = 1024
"""Samples that are scaled at a time."""
RELEASED = 4
"""Parts after which the rows of features on disk leave the memory of the process."""


class Scaling(NamedTuple):
    """Scaling of features before a kernel.

    Args:
        power: Each feature becomes sign(x) |x|^power first.
        evenness: 1 scales each feature to variance 1, 0 all features by one number, so that those
            with a larger variance weigh more.
        relevance: r; each feature is finally multiplied by F^r, with F the ratio of the analysis of
            variance (Fisher: Statistical Methods for Research Workers, 1925) between and within
            classes, so that features that separate classes weigh more.
    """

    power: float = 1.0
    evenness: float = 1.0
    relevance: float = 0.0


class ScaledFeatures:
    """Features of the labeled samples that have a modality.

    Args:
        values: (N, d) float32, the column.
        rows: (n,) rows of the labeled samples, in random order.
        present: Rows of all samples that have the modality: the variance is that over them.
    """

    def __init__(
        self, values: NDArray[np.float32], rows: NDArray[np.intp], present: NDArray[np.intp]
    ) -> None:
        self._values, self._rows = values, rows
        self._spreads = _spreads(values, present)
        self._ratios: dict[float, NDArray[np.float64]] = {}

    def forget_targets(self) -> None:
        """Forget the relevance of features, since the targets are about to change."""
        self._ratios.clear()

    def scale(
        self, targets: NDArray[np.float64], scaling: Scaling
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean of each feature, and its factor, 0 where it is constant.

        Args:
            targets: (N, c), class probabilities of all samples of the column.
            scaling: Of the features.
        """
        mean, spread = self._spreads[scaling.power]
        varies = spread > 0
        weight = np.zeros_like(spread)
        weight[varies] = spread[varies] ** -scaling.evenness
        if scaling.relevance:
            if scaling.power not in self._ratios:
                self._ratios[scaling.power] = self._f_ratios(scaling.power, targets)
            weight[varies] *= self._ratios[scaling.power][varies] ** scaling.relevance
        size = np.sqrt(np.square(weight * spread)[varies].mean()) if varies.any() else 1.0
        return mean, weight / size

    def rescaled(
        self,
        rows: slice | NDArray[np.integer],
        scaling: Scaling,
        shift: NDArray[np.float64],
        weight: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return scaled samples, with mean 0 and average variance 1 over all of them."""
        found = apply_power(random_rows(self._values, self._rows[rows]), scaling.power)
        found -= shift
        found *= weight
        return found

    def _f_ratios(self, power: float, targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (d,), the F ratio of each feature: variance explained by classes over the rest.

        Targets may be of several classes each: the explained variance is that of a regression.
        """
        mean, n, c = self._spreads[power][0], len(self._rows), targets.shape[1]
        sums, squares = np.zeros_like(mean), np.zeros_like(mean)
        products, together, shares = np.zeros((c, len(mean))), np.zeros((c, c)), np.zeros(c)
        rows = np.sort(self._rows)  # in the order in which they lie on a disk
        for number, part in enumerate(parts(n, PART)):
            X = apply_power(self._values[rows[part]], power)
            X -= mean
            T = targets[rows[part]]
            sums += X.sum(axis=0)
            squares += np.einsum("nd,nd->d", X, X)
            products += T.T @ X
            together += T.T @ T
            shares += T.sum(axis=0)
            if number % RELEASED == 0:
                release_rows()
        shares /= n
        total = squares - sums**2 / n
        products -= np.outer(shares, sums)
        # Directions of the targets: their squares are exact enough, since classes are disjoint.
        squared, turn = np.linalg.eigh(together - n * np.outer(shares, shares))
        kept = np.sqrt(np.maximum(squared, 0)) > ROUNDING * np.sqrt(max(1.0, squared[-1]))
        explained = int(kept.sum())
        projected = turn[:, kept].T @ products
        between = np.square(projected / np.sqrt(squared[kept])[:, None]).sum(axis=0)
        # Constant over the labeled samples: what is left is rounding.
        total[total <= ROUNDING**2 * squares] = 0
        between = np.minimum(between, total)
        within = np.maximum(total - between, ROUNDING * total)
        left = max(1, n - explained - 1)
        # A feature that varies only over unlabeled samples has ratio 0.
        ratios = np.divide(between, within, out=np.zeros_like(total), where=within > 0)
        found: NDArray[np.float64] = ratios * left / max(1, explained)
        return np.maximum(found, ROUNDING)


def _spreads(
    values: NDArray[np.float32], rows: NDArray[np.intp]
) -> dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return power -> mean and standard deviation of each feature, 0 where it is constant.

    Moments of parts are merged (Chan, Golub, LeVeque: Algorithms for computing the sample variance,
    The American Statistician 37, 1983), so that no second copy of the features is held.
    """
    d = values.shape[1]
    means, squares = ({power: np.zeros(d) for power in POWERS} for _ in range(2))
    done = 0
    for number, part in enumerate(parts(len(rows), PART)):
        if number % RELEASED == 0:
            release_rows()
        some = values[rows[part]]
        for power in POWERS:
            X = apply_power(some, power)
            mean = X.mean(axis=0)
            X -= mean
            difference = mean - means[power]
            share = len(X) / (done + len(X))
            squares[power] += np.einsum("nd,nd->d", X, X) + difference**2 * done * share
            means[power] += difference * share
        done += len(some)
    found = {}
    for power in POWERS:
        variance = squares[power] / max(1, done)
        size = np.sqrt(variance + np.square(means[power]))
        spread = np.sqrt(variance)
        found[power] = means[power], np.where(spread > ROUNDING * size, spread, 0.0)
    return found


def apply_power(X: NDArray[np.floating], power: float) -> NDArray[np.float64]:
    """Return sign(X) |X|^power, a copy in float64."""
    if power == 1:
        return X.astype(np.float64)
    found: NDArray[np.float64] = np.abs(X, dtype=np.float64)
    if power == 0.5:
        np.sqrt(found, out=found)
    else:
        found **= power
    np.copysign(found, X, out=found)
    return found


def parts(count: int, size: int, start: int = 0) -> Iterator[slice]:
    """Yield slices of up to ``size`` rows."""
    for begin in range(start, count, size):
        yield slice(begin, min(begin + size, count))

"""Learning curve: a figure by number of training samples, and its value at twice as many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.data.dataset import Dataset
from commonspace.errors import DataError

__all__ = [
    "FEWEST_VALIDATION",
    "SHARES",
    "LearningCurve",
    "fit_learning_curve",
    "pair_subsets",
    "subsets",
]

SHARES = (0.125, 0.25, 0.5)
"""Shares of the samples at which a curve is measured, beside all of them."""
FEWEST_VALIDATION = 20
"""Validation samples below which no curve is measured."""


EXPONENTS = np.linspace(0.1, 1.5, 29)
USUAL, TRUST = 0.5, 1e-5
"""The exponent that is preferred, and by how much: few points do not determine it."""
FEWEST = 2
"""Labels of each class that a subset has at least, where the class has them."""


@dataclass(frozen=True)
class LearningCurve:
    """The figure of a method at several numbers of training samples.

    Args:
        samples: Numbers of training samples that teach the method, ascending: labeled ones, or
            pairs.
        figures: The figure at each, on validation.
        predicted: The figure at twice the last number.
        low: Lower end of its 95 % interval.
        high: Upper end.
        intercept: a of the fitted a - b n^-c.
        factor: b.
        exponent: c.
    """

    samples: tuple[int, ...]
    figures: tuple[float, ...]
    predicted: float
    low: float
    high: float
    intercept: float
    factor: float
    exponent: float

    @property
    def gain(self) -> float:
        """What twice the samples are predicted to add."""
        return self.predicted - self.figures[-1]

    def at(self, samples: ArrayLike) -> NDArray[np.float64]:
        """Return the fitted figure at numbers of samples."""
        n = np.asarray(samples, dtype=np.float64) / self.samples[-1]
        fitted: NDArray[np.float64] = self.intercept - self.factor * n**-self.exponent
        return np.minimum(fitted, 1.0)


def fit_learning_curve(
    samples: Sequence[int], values: ArrayLike, *, resamples: int = 500, seed: int = 0
) -> LearningCurve:
    """Fit a - b (n / N)^-c, with N the largest number of samples, by least squares.

    Errors of many learners fall with a power of the number of samples (Hestness et al.: Deep
    Learning Scaling is Predictable, Empirically, 2017). The interval is a bootstrap over the
    queries; it does not cover the choice of the smaller subsets.

    Args:
        samples: k ascending numbers of samples, at least 2.
        values: (k, n) value of each of n queries at each of them; NaN where one is no query.
        resamples: Number of bootstrap resamples.
        seed: Of the resamples.

    Raises:
        DataError: If there are fewer than two points, or they do not match.

    Example:
        >>> n = np.array([100, 200, 400, 800])
        >>> curve = fit_learning_curve(n, (0.9 - 2 * n**-0.5)[:, None] * np.ones((1, 50)))
        >>> round(curve.predicted, 3), round(0.9 - 2 * 1600**-0.5, 3)
        (0.85, 0.85)
    """
    table = np.asarray(values, dtype=np.float64)
    counts = np.asarray(samples, dtype=np.float64)
    if table.ndim != 2 or len(table) != len(counts) or len(counts) < 2:
        raise DataError(
            "the learning curve has the wrong form",
            expected="at least two numbers of samples, and a row of values for each",
            found=f"{len(counts)} numbers, values of shape {table.shape}",
            advice="measure the same queries at each number of samples",
        )
    table = table[:, ~np.isnan(table).any(axis=0)]
    draw = np.random.default_rng(seed)
    n = table.shape[1]
    weights = draw.multinomial(n, np.full(n, 1 / n), resamples) / n
    means = np.concatenate([table.mean(axis=1)[None], weights @ table.T])
    a, b, c = _fit(counts / counts[-1], means)
    twice = np.clip(a - b * 2.0**-c, 0, 1)
    # The last point is measured, and the fit need not meet it: its rise is added to that point.
    rise = twice - np.clip(a - b, 0, 1)
    predicted = np.minimum(means[:, -1] + np.maximum(rise, 0), 1)
    low, high = np.quantile(predicted[1:], [0.025, 0.975])
    return LearningCurve(
        tuple(int(one) for one in samples),
        tuple(means[0].tolist()),
        float(predicted[0]),
        float(low),
        float(high),
        float(a[0]),
        float(b[0]),
        float(c[0]),
    )


def subsets(train: Dataset, shares: Sequence[float], seed: int = 0) -> list[Dataset]:
    """Return nested subsets of the labeled samples, with a share of each class.

    Args:
        train: The training split.
        shares: Ascending, in (0, 1).
        seed: Random seed of the order in which samples are taken.

    Returns:
        A subset for each share; a class keeps at least two samples, if it has them.
    """
    draw = np.random.default_rng(seed)
    first = np.where(train.labels.any(axis=1), train.labels.argmax(axis=1), -1)
    orders = [
        draw.permutation(np.flatnonzero(first == one)) for one in np.unique(first[first >= 0])
    ]
    return [
        train.take(
            np.sort(np.concatenate([one[: max(FEWEST, round(share * len(one)))] for one in orders]))
        )
        for share in shares
    ]


def pair_subsets(train: Dataset, shares: Sequence[float], seed: int = 0) -> list[Dataset]:
    """Return nested random subsets of the samples that have two modalities.

    Args:
        train: The training split.
        shares: Ascending, in (0, 1).
        seed: Random seed of the order in which samples are taken.

    Returns:
        A subset for each share, of at least two samples.
    """
    present = np.stack([column.present for column in train.columns.values()])
    rows = np.flatnonzero(present.sum(axis=0) > 1)
    order = np.random.default_rng(seed).permutation(rows)
    return [
        train.take(np.sort(order[: max(FEWEST, round(share * len(order)))])) for share in shares
    ]


def _fit(
    n: NDArray[np.float64], means: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return a, b and c for each row of means, with b >= 0."""
    best = np.full(len(means), np.inf)
    a, b, c = (np.zeros(len(means)) for _ in range(3))
    for exponent in EXPONENTS:
        x = -(n**-exponent)
        centered = x - x.mean()
        slope = np.maximum(means @ centered / (centered @ centered), 0)
        start = means.mean(axis=1) - slope * x.mean()
        loss = np.square(means - start[:, None] - slope[:, None] * x).sum(axis=1)
        loss += TRUST * np.log(exponent / USUAL) ** 2
        better = loss < best
        best = np.where(better, loss, best)
        a, b = np.where(better, start, a), np.where(better, slope, b)
        c = np.where(better, exponent, c)
    return a, b, c

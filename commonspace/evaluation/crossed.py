"""How sure is a figure that was measured for several seeds on the same queries.

Both vary: another training gives another space, and other queries from the same source give another
mean. It knows values and nothing of what they measure.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError, SettingError
from commonspace.evaluation.significance import Interval

__all__ = ["crossed_interval", "shares"]

_DRAWS = 2**22  # resampled weights held at a time


def crossed_interval(
    values: ArrayLike,
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the mean over seeds and queries with its percentile bootstrap interval.

    Seeds and queries are drawn with replacement, each as many as there are and independently, and
    every drawn seed meets every drawn query (the product bootstrap: Owen, The pigeonhole bootstrap,
    Annals of Applied Statistics 1, 2007). With one seed it is the bootstrap over queries.

    Args:
        values: (s, n) finite: a row for each seed, a column for each query.
        rng: the source of randomness.
        confidence: between 0 and 1.
        resamples: number of draws, at least 1.

    Raises:
        DataError: the values are not a filled table of finite numbers.
        SettingError: ``confidence`` or ``resamples`` is out of range.

    Example:
        >>> crossed_interval([[0.5, 0.5], [0.5, 0.5]], np.random.default_rng(0))
        Interval(mean=0.5, low=0.5, high=0.5)
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise DataError(
            "seeds and queries have no values to draw from",
            expected="(seeds, queries) finite numbers, at least one",
            found=f"shape {table.shape}",
            advice="pass a row for each seed, of the same queries in the same order",
        )
    if resamples < 1 or not 0 < confidence < 1:
        raise SettingError(
            "the bootstrap cannot be run",
            expected="resamples at least 1, confidence between 0 and 1",
            found=f"resamples {resamples}, confidence {confidence}",
            advice="10,000 resamples and a confidence of 0.95 are usual",
        )
    seeds, queries = table.shape
    most = max(_DRAWS // queries, 1)
    means = np.concatenate(
        [
            np.einsum(
                "rq,rq->r",
                rng.multinomial(seeds, np.full(seeds, 1 / seeds), size) @ table,
                rng.multinomial(queries, np.full(queries, 1 / queries), size),
            )
            for size in (min(most, resamples - start) for start in range(0, resamples, most))
        ]
    ) / (seeds * queries)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(table.mean()), float(low), float(high))


def shares(directions: ArrayLike) -> NDArray[np.float64]:
    """Return what each sample adds to the mean over directions, times the number of samples.

    A sample asks in several directions, and is one draw, not several. The mean of the shares is the
    mean over the directions of the mean over the queries that each of them judges.

    Args:
        directions: (d, n) values, NaN where a sample is not judged in a direction.

    Returns:
        (n,) float64.

    Raises:
        DataError: a direction judges no sample.

    Example:
        >>> shares([[1.0, 0.0], [0.5, np.nan]]).tolist()
        [1.0, 0.0]
    """
    values = np.asarray(directions, dtype=np.float64)
    judged = np.isfinite(values)
    counts = judged.sum(axis=1)
    if values.ndim != 2 or not counts.all():
        raise DataError(
            "a direction of retrieval judges no sample",
            expected="(directions, samples), each direction with a finite value",
            found=f"shape {values.shape}, {int((counts == 0).sum())} directions without any",
            advice="give the part labelled samples of every modality",
        )
    weights = values.shape[1] / (counts * len(values))
    result: NDArray[np.float64] = weights @ np.where(judged, values, 0.0)
    return result

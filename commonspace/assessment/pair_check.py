"""Pairs that do not belong together: photo and text of a sample are of different classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.data.dataset import Dataset

__all__ = ["MismatchedPair", "find_mismatched_pairs", "mismatch_probabilities"]

STEPS = 200
LISTED = 0.5
"""Probability of a mismatch from which a pair is listed."""


@dataclass(frozen=True)
class MismatchedPair:
    """A sample whose modalities are of different classes.

    Args:
        row: Row of the data set.
        id: Id of the sample.
        split: Its split.
        by_modality: Modality -> its most probable class.
        p: Probability that the two do not belong together.
    """

    row: int
    id: str
    split: str
    by_modality: Mapping[str, str]
    p: float


def mismatch_probabilities(
    first: ArrayLike, second: ArrayLike
) -> tuple[float, NDArray[np.float64]]:
    """Return the share of pairs that do not belong together, and the probability of each.

        P(x, y | a pair) / P(x, y | no pair) = sum_c p(c | x) p(c | y) / p(c)

    which holds if x and y are independent given the class. A pair is a mismatch with probability s;
    s maximizes the likelihood, by expectation maximization. Mismatches are taken as random: s
    counts those within a class too, which no single probability can show.

    Args:
        first: (n, c) class posteriors of one modality.
        second: (n, c) of the other, in the same order.

    Returns:
        s in [0, 1], and (n,) float64.

    Example:
        >>> sure, other = [0.99, 0.01], [0.01, 0.99]
        >>> _, p = mismatch_probabilities([sure, other, sure], [sure, other, other])
        >>> p.argmax()
        np.int64(2)
    """
    p, q = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    prior = np.maximum((p.mean(axis=0) + q.mean(axis=0)) / 2, 1e-12)
    ratio = (p * q / prior).sum(axis=1)
    share = 0.1
    mismatch = np.zeros(len(ratio))
    for _ in range(STEPS):
        mismatch = share / (share + (1 - share) * ratio)
        share = float(mismatch.mean())
    return share, mismatch


def find_mismatched_pairs(
    data: Dataset, by_modality: Mapping[str, NDArray[np.float64]], *, most: int = 20
) -> tuple[float, tuple[MismatchedPair, ...]]:
    """Find samples whose modalities are of different classes.

    Args:
        data: The samples.
        by_modality: Modality -> (n, c) class posteriors that were made without the label of the
            sample; NaN where there are none.
        most: Maximum number of pairs to list.

    Returns:
        The estimated share of mismatches, the mean over the pairs of modalities; and the pairs
        that are more probably mismatches than not, the most probable first.
    """
    shares: list[float] = []
    worst = np.zeros(len(data))
    for one, other in combinations(by_modality, 2):
        first, second = by_modality[one], by_modality[other]
        rows = np.flatnonzero(~np.isnan(first).any(axis=1) & ~np.isnan(second).any(axis=1))
        if len(rows):
            share, p = mismatch_probabilities(first[rows], second[rows])
            shares.append(share)
            worst[rows] = np.maximum(worst[rows], p)
    order = np.argsort(-worst, kind="stable")[:most]
    names = data.class_names
    found = [
        MismatchedPair(
            row,
            data.ids[row],
            str(data.splits[row]),
            {
                name: names[int(p[row].argmax())]
                for name, p in by_modality.items()
                if not np.isnan(p[row]).any()
            },
            float(worst[row]),
        )
        for row in order.tolist()
        if worst[row] > LISTED
    ]
    return float(np.mean(shares)) if shares else 0.0, tuple(found)

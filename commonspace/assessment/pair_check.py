"""Pairs that do not belong together: photo and text of a sample are of different classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.base.mismatched_pairs import LISTED, mismatch_probabilities

__all__ = ["MismatchedPair", "find_mismatched_pairs"]


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

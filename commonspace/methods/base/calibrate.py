"""A fitted space learns on validation what its scores are worth.

It knows nothing of methods: any space can be calibrated, for all that is needed is a monotone map
from its scores to the rate of pairs that share a class.
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from commonspace.calibration import fit_calibration
from commonspace.data.dataset import Dataset
from commonspace.space import CommonSpace

__all__ = ["calibrated"]

SAMPLES = 2000
"""Samples of a modality that are compared, at most: four million pairs in each direction."""


def calibrated(space: CommonSpace, validation: Dataset) -> CommonSpace:
    """Fit the map from score to P(shares a class) on validation, and return the space with it.

    All pairs of samples in two different modalities count, in both roles, save for a sample with
    itself: who asks with something new does not find its other half in the index. Scores are those
    at instance_weight 0 where the space is granular. A space stays without a map where all pairs are
    alike, such as when there is one class.

    Args:
        space: fitted, and fresh: it is changed in place.
        validation: labelled samples that the space has not learnt from.
    """
    embedded = {}
    for name, part in space.embed_dataset(validation).items():
        known = np.flatnonzero(validation.labels[part.rows].any(axis=1))
        some = known[np.unique(np.linspace(0, len(known) - 1, SAMPLES).round().astype(int))]
        embedded[name] = part.vectors[some], part.rows[some]
    labels = validation.labels.astype(np.float32)
    scores: list[NDArray[np.float32]] = []
    relevant: list[NDArray[np.bool_]] = []
    for one, other in permutations(embedded, 2):
        (asking, rows), (items, columns) = embedded[one], embedded[other]
        queries = space.as_queries(asking, 0.0 if space.has_instance_block else None)
        strangers = rows[:, None] != columns[None, :]
        scores.append((queries @ items.T)[strangers])
        relevant.append((labels[rows] @ labels[columns].T > 0)[strangers])
    x, y = np.concatenate(scores), np.concatenate(relevant)
    if y.any() and not y.all():
        space.calibration = fit_calibration(x, y)
    return space

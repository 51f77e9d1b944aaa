"""Training samples without the pairs that probably do not belong together; no labels are used."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.errors import DataError
from commonspace.methods.base.mismatch_share import fit_mismatch_share
from commonspace.methods.base.mismatched_pairs import LISTED, NOISE, without_mismatched
from commonspace.methods.base.pair_scores import score_columns

__all__ = ["belonging_pairs"]

SOME = 2000
"""Pairs by which the share of mismatches is estimated first."""
MOST = 100_000
"""Pairs above which none are looked for: their features are held as float64."""


def belonging_pairs(train: Dataset, seed: int = 0) -> Dataset | None:
    """Return the samples without pairs that are mismatches more probably than not.

    Pairs are scored by canonical correlations of the others (``score_columns``), and mismatches are
    looked for if their estimated share is at least 0.05 (``fit_mismatch_share``). A modality that
    matches at most half of the others of its sample is taken away, and a sample that is left with
    fewer than two.

    Args:
        train: The training split.
        seed: Random seed of the folds.

    Returns:
        Fewer samples; None if all are kept: because the share is lower or cannot be estimated, if a
        column is raw, or if a modality would be left with fewer than two pairs.
    """
    if any(not isinstance(column, Features) for column in train.columns.values()):
        return None
    present = {name: column.present for name, column in train.columns.items()}
    checked = {name: np.zeros(len(train), dtype=np.intp) for name in present}
    wrong = {name: np.zeros(len(train), dtype=np.intp) for name in present}
    for one, other in combinations(present, 2):
        rows = np.flatnonzero(present[one] & present[other])
        p = _mismatches(train, (one, other), rows, seed)
        for name in (one, other):
            checked[name][rows] += 1
            wrong[name][rows] += p > LISTED
    matched = {name: present[name] & (2 * wrong[name] <= checked[name]) for name in present}
    left = np.stack(list(matched.values()))
    pairs = (left & (left.sum(axis=0) >= 2)).sum(axis=1)
    if not sum(map(np.sum, wrong.values())) or pairs.min() < 2:
        return None
    before = np.stack(list(present.values())).sum(axis=0)
    kept = np.flatnonzero((left.sum(axis=0) >= 2) | (before < 2))
    chosen = {name: mask[kept] for name, mask in matched.items()}
    return without_mismatched(train.take(kept), chosen)


def _mismatches(
    train: Dataset, names: tuple[str, str], rows: NDArray[np.intp], seed: int
) -> NDArray[np.float64]:
    """Return (k,), the probability that each pair of some rows does not belong together."""
    none = np.zeros(len(rows))
    if len(rows) > MOST:
        return none
    columns = train.columns[names[0]], train.columns[names[1]]
    whole = np.array([str(one) for one in train.fields.get("sample", train.ids)])
    samples = np.unique(whole, return_inverse=True)[1]
    try:
        if len(rows) > SOME:
            some = np.random.default_rng(seed).choice(rows, SOME, replace=False)
            share, _ = fit_mismatch_share(score_columns(columns, np.sort(some), samples, seed))
            if share is None or share < NOISE:
                return none
        share, p = fit_mismatch_share(score_columns(columns, rows, samples, seed))
    except DataError:  # too few, or they do not tell
        return none
    return none if share is None or share < NOISE else p

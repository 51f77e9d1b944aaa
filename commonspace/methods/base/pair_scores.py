"""How well the two sides of each pair fit, by canonical correlations of the other pairs."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from commonspace.data.columns import Column, Features
from commonspace.data.content import content_keys
from commonspace.errors import DataError
from commonspace.methods.base.views import shrink

__all__ = ["FEWEST_PAIRS", "PairScores", "pair_groups", "score_columns", "score_pairs"]

FEWEST_PAIRS = 20
"""Groups of pairs below which nothing is estimated."""
FOLDS, FOLD = 5, 10
"""Maximum number of folds, and the smallest number of groups of each."""
COORDINATES = 256
"""Maximum number of principal coordinates of a modality."""
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Regularizations to try."""
WEAK = 0.4
"""Mean rank from which the sides of a pair say too little about each other."""
BLOCK = 2048
"""Pairs that are compared with each other at a time."""
DRAWN = 2000
"""Scores of two sides of different pairs that are kept of each block."""
TINY = 1e-12
"""Smallest variance of similarities, and smallest share of a coordinate in the variance."""


@dataclass(frozen=True, eq=False)
class PairScores:
    """Scores of pairs, and of two sides that are of different pairs.

    Args:
        own: (n,) float64, the score of each pair: its similarity, standardized by the similarities
            of the first side to other second sides, and of the second to other first sides.
        others: (m,) float64, the same of sides of different pairs; mean 0, variance near 1.
        better_first: (n,) float64 in [0, 1], share of the other first sides that fit the second
            side of the pair better.
        better_second: The same of other second sides and the first side.
    """

    own: NDArray[np.float64]
    others: NDArray[np.float64]
    better_first: NDArray[np.float64]
    better_second: NDArray[np.float64]

    @property
    def mean_rank(self) -> float:
        """Share of the others that fit better, the mean over pairs and directions; chance: 0.5."""
        return float((self.better_first.mean() + self.better_second.mean()) / 2)


def score_columns(
    columns: tuple[Column, Column],
    rows: NDArray[np.intp],
    samples: NDArray[np.intp],
    seed: int = 0,
) -> PairScores:
    """Score the pairs of some rows of two columns.

    Args:
        columns: Features of the two sides.
        rows: (k,) rows that have both.
        samples: (n,) number of the sample of each row; several captions may be of one.
        seed: Random seed of the folds.

    Raises:
        DataError: If they are too few, do not vary, or pairs are hardly unlike different pairs.
    """
    first, second = (column.take(rows) for column in columns)
    assert isinstance(first, Features)
    assert isinstance(second, Features)
    keys = content_keys(first), content_keys(second)
    groups = pair_groups(samples[rows], keys)
    scored = score_pairs(first.values, second.values, keys, groups, seed)
    if scored.mean_rank > WEAK:
        raise DataError(
            "the features of the pairs hardly tell which belong together",
            expected=f"at most {WEAK:.0%} of the other items that fit better, on average",
            found=f"{scored.mean_rank:.0%}",
            advice="use better encoders, or add pairs",
        )
    return scored


def score_pairs(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    keys: tuple[NDArray[np.intp], NDArray[np.intp]],
    groups: NDArray[np.intp],
    seed: int = 0,
) -> PairScores:
    """Score each pair by regularized canonical correlations that were fitted without it.

    The pairs are divided into folds; directions a_k, b_k and correlations c_k come from the other
    folds (see ``CCA``). The similarity is the cosine of the projections, the first multiplied by
    c_k. It is compared with the similarities to the other items of the fold: an exchanged item is
    like any of them. The regularization with the best mean rank of the own item is taken.

    Args:
        first: (n, d1), features of one side.
        second: (n, d2), of the other.
        keys: (n,) number of the content of each side; equal items are not compared.
        groups: (n,) group of each pair, see ``pair_groups``; one is never divided.
        seed: Random seed of the folds.

    Raises:
        DataError: If there are fewer than 20 groups, or a side does not vary.
    """
    count = int(groups.max(initial=-1)) + 1
    if count < FEWEST_PAIRS:
        raise DataError(
            "too few pairs to say which do not belong together",
            expected=f"at least {FEWEST_PAIRS} different pairs",
            found=str(count),
            advice="add pairs",
        )
    draw = np.random.default_rng(seed)
    sides = _principal_coordinates(first), _principal_coordinates(second)
    fold = _folds(groups, min(FOLDS, count // FOLD), draw)
    fits = [_Fit(*(side[fold != k] for side in sides)) for k in range(fold.max() + 1)]
    blocks = []
    for k in range(len(fits)):
        rows = draw.permutation(np.flatnonzero(fold == k))
        blocks.append(np.array_split(rows, -(-len(rows) // BLOCK)))

    def scored(share: float, most: int | None = None) -> Iterator[tuple[NDArray[np.intp], _Block]]:
        for fit, parts in zip(fits, blocks, strict=True):
            directions = fit.directions(share)
            for rows in parts[:most]:
                similarity = fit.similarity(directions, *(side[rows] for side in sides))
                equal = [key[rows][:, None] == key[rows] for key in keys]
                yield rows, _compare(similarity, ~(equal[0] | equal[1]))

    def rank(share: float) -> float:
        better = [np.stack(one[1:3]).mean(axis=0) for _, one in scored(share, 1)]
        return float(np.concatenate(better).mean())

    best = min(SHARES, key=rank)
    found = np.empty((3, len(groups)))
    others = []
    for rows, (own, better_first, better_second, different) in scored(best):
        found[:, rows] = own, better_first, better_second
        if len(different):
            others.append(different[draw.integers(0, len(different), DRAWN)])
    return PairScores(
        found[0], np.concatenate(others) if others else np.zeros(1), found[1], found[2]
    )


def pair_groups(
    samples: NDArray[np.intp], keys: tuple[NDArray[np.intp], NDArray[np.intp]]
) -> NDArray[np.intp]:
    """Return the groups of pairs that are captions of one sample, or equal on both sides.

    Such pairs are fitted and scored together: one would vouch for the other.

    Args:
        samples: (n,) number of the sample of each pair.
        keys: (n,) number of the content of each side.

    Returns:
        (n,) numbers from 0.

    Example:
        >>> pair_groups(np.array([0, 0, 1, 2]), (np.array([0, 0, 1, 0]), np.array([0, 1, 2, 1])))
        array([0, 0, 1, 0], dtype=int32)
    """
    n = len(samples)
    equal = np.unique(np.stack(keys), axis=1, return_inverse=True)[1].reshape(-1)
    rows = np.arange(n)
    _, first_of_sample, sample = np.unique(samples, return_index=True, return_inverse=True)
    _, first_of_equal, same = np.unique(equal, return_index=True, return_inverse=True)
    links = np.concatenate([first_of_sample[sample], first_of_equal[same]])
    graph = coo_matrix((np.ones(2 * n), (np.tile(rows, 2), links)), shape=(n, n))
    found: NDArray[np.intp] = connected_components(graph, directed=False)[1]
    return found


def _principal_coordinates(X: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (n, r), the coordinates of largest variance; whose pair each row is, is not used."""
    centered = X - X.mean(axis=0, dtype=np.float64)
    n, d = centered.shape
    gram = centered.T @ centered if d <= n else centered @ centered.T
    last = len(gram) - 1
    kept = [max(0, last + 1 - COORDINATES), last]
    variances, basis = scipy.linalg.eigh(gram, subset_by_index=kept)
    varies = variances > max(TINY * float(np.square(X, dtype=np.float64).sum()), 0)
    if not varies.any():
        raise DataError(
            "a modality does not vary over the pairs",
            expected="features that differ between samples",
            found=f"{n} equal rows",
            advice="check how they were extracted, or drop the column",
        )
    basis = basis[:, varies]
    return np.asarray(centered @ basis if d <= n else basis * np.sqrt(variances[varies]))


def _folds(groups: NDArray[np.intp], folds: int, draw: np.random.Generator) -> NDArray[np.intp]:
    """Return the fold of each pair; groups stay whole, and large ones are dealt first."""
    sizes = np.bincount(groups)
    order = draw.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(folds)
    fold_of = np.empty(len(sizes), dtype=np.intp)
    for group in order.tolist():
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    return fold_of[groups]


class _Fit:
    """Canonical correlations of some pairs; the covariances are decomposed once.

    Args:
        first: (n, r1) float64.
        second: (n, r2) float64.
    """

    def __init__(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
        self._means = first.mean(axis=0), second.mean(axis=0)
        centered = first - self._means[0], second - self._means[1]
        self._own = [scipy.linalg.eigh(each.T @ each / len(first)) for each in centered]
        self._cross = centered[0].T @ centered[1] / len(first)

    def directions(self, share: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the directions of each side, those of the first times their correlations."""
        roots = []
        for variances, basis in self._own:
            shrunk = np.maximum(shrink(np.maximum(variances, 0), share), 1e-300)
            roots.append(basis / np.sqrt(shrunk) @ basis.T)
        U, S, Vt = scipy.linalg.svd(roots[0] @ self._cross @ roots[1], full_matrices=False)
        return roots[0] @ U * S, roots[1] @ Vt.T

    def similarity(
        self,
        directions: tuple[NDArray[np.float64], NDArray[np.float64]],
        first: NDArray[np.float64],
        second: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return (m, m), the cosine of each first side and each second side."""
        turned = []
        for X, mean, direction in zip((first, second), self._means, directions, strict=True):
            projected = (X - mean) @ direction
            lengths = np.linalg.norm(projected, axis=1, keepdims=True)
            turned.append(projected / np.maximum(lengths, 1e-300))
        return np.asarray(turned[0] @ turned[1].T)


_Block = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Scores of the pairs, both shares of items that fit better, and scores of different pairs."""


def _compare(similarity: NDArray[np.float64], other: NDArray[np.bool_]) -> _Block:
    """Compare each pair with the other items of its row and its column.

    Args:
        similarity: (m, m), of first sides in rows and second sides in columns.
        other: (m, m) bool, whether both items differ from those of the pair.
    """
    score = np.zeros_like(similarity)
    for axis in (0, 1):
        count = np.maximum(other.sum(axis=axis, keepdims=True), 1)
        rest = similarity - (similarity * other).sum(axis=axis, keepdims=True) / count
        variance = (np.square(rest) * other).sum(axis=axis, keepdims=True) / count
        score += np.where(variance > TINY, rest / np.sqrt(np.maximum(variance, TINY)), 0) / 2
    own = similarity.diagonal()
    shares = []
    for axis, mine in ((0, own[None, :]), (1, own[:, None])):
        better = ((similarity > mine) + 0.5 * (similarity == mine)) * other
        count = other.sum(axis=axis)
        shares.append(np.where(count, better.sum(axis=axis) / np.maximum(count, 1), 0.5))
    return score.diagonal().copy(), shares[0], shares[1], score[other]

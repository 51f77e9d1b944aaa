"""Rank of the first pair of each query, and its figures; items of equal content are one item."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.engines import Engine
from commonspace.evaluation.arrays import check_embeddings
from commonspace.evaluation.intervals import resample_batches
from commonspace.evaluation.ranked_metrics import expected_rank, first_relevant, probability_within
from commonspace.evaluation.ranking import Ranking

__all__ = ["KS", "PairItems", "RankedPairs", "rank_pairs"]

KS = (1, 5, 10)
"""The K of Recall@K."""


@dataclass(frozen=True, eq=False)
class PairItems:
    """Embeddings of one modality, with the sample and the content of each.

    Args:
        vectors: (n, d) embeddings.
        samples: (n,) int, the sample of each; several captions of a photo have one sample.
        keys: (n,) int, equal where items have equal content.
    """

    vectors: ArrayLike
    samples: NDArray[np.intp]
    keys: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class RankedPairs:
    """Rank of the first pair of each query of one direction.

    Args:
        ranks: (q, 3) start, size and relevant items of the tie group of the first pair of each
            distinct query that has a pair.
        rows: (q,) the first row of the query items with its content.
        pairs: (q,) number of distinct gallery items that are a pair of the query.
        clusters: (q,) numbers from 0, equal for queries that are not independent.
        items: number of query items, with repeats.
        gallery: number of distinct gallery items.
    """

    ranks: NDArray[np.float64]
    rows: NDArray[np.intp]
    pairs: NDArray[np.intp]
    clusters: NDArray[np.intp]
    items: int
    gallery: int

    @property
    def queries(self) -> int:
        """Number of distinct queries with a pair."""
        return len(self.ranks)

    def figures(self, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
        """Return the figures of the direction, as ``PairReport`` has them.

        Args:
            resamples: number of bootstrap resamples; 0 for no intervals.
            seed: of the resamples.
        """
        figures = _figures(self.ranks)
        means: dict[str, Any] = {
            name: math.fsum(values) / len(values) for name, values in figures.items()
        }
        expected = expected_rank(self.ranks)
        means["median_rank"] = float(np.median(expected))
        if resamples:
            rng = np.random.default_rng(seed)
            means["intervals"] = _intervals(figures, expected, self.clusters, rng, resamples)
        return means | {"queries": self.queries, "gallery": self.gallery}

    def recall(self, k: int) -> NDArray[np.float64]:
        """Return (n,) R@K of each query item; NaN without a pair, and where content repeats.

        Args:
            k: 1, 5 or 10.
        """
        values = np.full(self.items, np.nan)
        values[self.rows] = _figures(self.ranks)[f"R@{k}"]
        return values

    def in_random_order(self) -> "RankedPairs":
        """Return the same queries in a gallery of random order, the level of chance."""
        tied = np.zeros_like(self.ranks)
        tied[:, 1], tied[:, 2] = self.gallery, self.pairs
        return replace(self, ranks=tied)


def rank_pairs(query: PairItems, gallery: PairItems, engine: Engine | None = None) -> RankedPairs:
    """Rank the gallery for each distinct query that has a pair in it.

    Args:
        query: items of one modality.
        gallery: items of another.
        engine: as for ``evaluate_pairs``.

    Raises:
        DataError: embeddings are invalid.
    """
    relation = _Relation.of(query, gallery)
    paired = relation.judged
    if not paired.any():
        empty = np.empty(0, dtype=np.intp)
        return RankedPairs(
            np.empty((0, 3)), empty, empty, empty, len(query.samples), relation.shape[1]
        )
    ranks = _ranks(query, gallery, relation, engine)
    rows = np.unique(query.keys, return_index=True)[1]
    return RankedPairs(
        ranks[paired],
        rows[paired],
        np.diff(relation.starts)[paired],
        relation.clusters(),
        len(query.samples),
        relation.shape[1],
    )


@dataclass(frozen=True, eq=False)
class _Relation:
    """Relevance of distinct items: grade 1 where some sample has both.

    Args:
        starts: (n + 1,) where the gallery items of each query start in ``targets``.
        targets: gallery items, ascending for each query.
        shape: (n, m), numbers of distinct items.
    """

    starts: NDArray[np.intp]
    targets: NDArray[np.intp]
    shape: tuple[int, int]
    highest: int = 1

    @classmethod
    def of(cls, query: PairItems, gallery: PairItems) -> "_Relation":
        _, left = np.unique(query.keys, return_inverse=True)
        names, right = np.unique(gallery.keys, return_inverse=True)
        members: dict[int, list[int]] = {}
        for sample, item in zip(gallery.samples.tolist(), right.tolist(), strict=True):
            members.setdefault(sample, []).append(item)
        n, m = int(left.max(initial=-1)) + 1, len(names)
        found: list[set[int]] = [set() for _ in range(n)]
        for sample, item in zip(query.samples.tolist(), left.tolist(), strict=True):
            found[item].update(members.get(sample, ()))
        starts = np.concatenate([[0], np.cumsum([len(one) for one in found])]).astype(np.intp)
        return cls(
            starts, np.array([item for one in found for item in sorted(one)], np.intp), (n, m)
        )

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(n,) bool: the queries that have a pair."""
        return np.diff(self.starts) > 0

    def grades(self, queries: NDArray[np.intp]) -> NDArray[np.integer]:
        """Return (b, m) uint8, 0 or 1."""
        grades = np.zeros((len(queries), self.shape[1]), dtype=np.uint8)
        for row, query in enumerate(queries.tolist()):
            grades[row, self.targets[self.starts[query] : self.starts[query + 1]]] = 1
        return grades

    def clusters(self) -> NDArray[np.intp]:
        """Return the cluster of each judged query: those with one first pair belong together."""
        return np.unique(self.targets[self.starts[:-1][self.judged]], return_inverse=True)[1]


def _ranks(
    query: PairItems, gallery: PairItems, relation: _Relation, engine: Engine | None
) -> NDArray[np.float64]:
    """Return (n, 3): start, size and relevant items of the tie group of each first pair."""
    sides = check_embeddings(query.vectors, gallery.vectors)
    first = [np.unique(one.keys, return_index=True)[1] for one in (query, gallery)]
    vectors = [side[rows] for side, rows in zip(sides, first, strict=True)]
    return first_relevant(Ranking(vectors[0], vectors[1], relation, engine=engine))


def _figures(ranks: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return R@K and reciprocal rank of each query, expected over the order of tied items."""
    start, size, _ = ranks.T
    figures = {f"R@{k}": (start < k).astype(np.float64) for k in KS}
    figures["mrr"] = 1 / (start + 1)
    for row in np.flatnonzero(size > 1):
        group = tuple(ranks[row].tolist())
        for k in KS:
            figures[f"R@{k}"][row] = probability_within(k, *group)
        figures["mrr"][row] = _reciprocal_rank(*group)
    return figures


@lru_cache(maxsize=1024)  # in a random order, all groups are equal
def _reciprocal_rank(start: float, size: float, relevant: float) -> float:
    """Return the expected reciprocal rank of the first of the relevant items of a tie group."""
    total, remaining = 0.0, 1.0  # probability that no relevant item came before
    for place in range(int(size - relevant) + 1):
        hit = relevant / (size - place)
        total += remaining * hit / (start + place + 1)
        remaining *= 1 - hit
    return total


def _intervals(
    figures: Mapping[str, NDArray[np.float64]],
    ranks: NDArray[np.float64],
    clusters: NDArray[np.intp],
    rng: np.random.Generator,
    resamples: int,
) -> dict[str, list[float]]:
    """Return figure -> [low, high]; queries of one cluster are drawn together."""
    count = int(clusters.max()) + 1
    sizes = np.bincount(clusters)
    sums = np.stack([np.bincount(clusters, values) for values in figures.values()], axis=1)
    order = np.argsort(ranks, kind="stable")
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in (*figures, "median_rank")}
    for size in resample_batches(resamples, max(count, len(ranks))):
        weights = rng.multinomial(count, np.full(count, 1 / count), size)
        means = (weights @ sums) / (weights @ sizes)[:, None]
        for name, column in zip(figures, means.T, strict=True):
            drawn[name].append(column)
        drawn["median_rank"].append(_medians(ranks[order], weights[:, clusters[order]]))
    return {
        name: np.quantile(np.concatenate(values), [0.025, 0.975]).tolist()
        for name, values in drawn.items()
    }


def _medians(ranks: NDArray[np.float64], weights: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the median of ascending values, for each row of whole weights."""
    total = weights.cumsum(axis=1)
    half = total[:, -1:] / 2
    lower = ranks[(total >= half).argmax(axis=1)]
    upper = ranks[(total > half).argmax(axis=1)]
    medians: NDArray[np.float64] = (lower + upper) / 2
    return medians

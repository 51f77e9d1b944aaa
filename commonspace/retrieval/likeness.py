"""Detection of queries that are unlike all items, for spaces that do not detect them on their own.

A query is compared with the vectors of its own modality: the mean cosine similarity to the ten
nearest items. Items that the space was not trained on, compared with the others in the same way,
set the threshold: items of the training split are too like each other.
"""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonspace.retrieval.store import Store, vectors_table

__all__ = ["ItemLikeness"]

NEIGHBORS = 10
"""Nearest items whose mean similarity is taken."""

LEAST = 40
"""Smallest number of items, not of the training split, that set the threshold."""

MOST = 2000
"""Largest number of items that queries are compared with."""

QUANTILES = (0.01, 0.05)
"""Quantiles of the items at which the probability of being like them is 0 and 1."""

GROWTH = 0.05
"""Share of items that may be added or removed before the comparison is made again."""


@dataclass(frozen=True)
class _Known:
    """What queries of one modality are compared with: (n, d) at unit length, and both bounds."""

    count: int
    vectors: NDArray[np.float32]
    low: float
    high: float
    is_known: bool = True
    """False if too few items set the bounds."""


class ItemLikeness:
    """Compares queries with the items of an index.

    Args:
        store: of the index.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[int, str], _Known] = {}
        self._lock = threading.Lock()

    def probability(
        self, space: int, modality: str, queries: NDArray[np.float32]
    ) -> NDArray[np.float64] | None:
        """Return (n,) probabilities that queries are like the items.

        Args:
            space: number of the space.
            modality: that of the queries.
            queries: (n, d).

        Returns:
            None if fewer than 40 items outside the training split have the modality.
        """
        with self._lock:
            known = self._now(space, modality)
        if known is None or not known.is_known:
            return None
        scores = _means(_units(queries) @ known.vectors.T, NEIGHBORS)
        shares = (scores.astype(np.float64) - known.low) / (known.high - known.low)
        found: NDArray[np.float64] = np.clip(shares, 0, 1)
        return found

    def _now(self, space: int, modality: str) -> _Known | None:
        """Return what to compare with, made again if the items have changed much."""
        with self._store.reading():
            number = self._store.modalities.get(modality)
            if number is None or not self._store.has_vectors(space, number):
                return None
            count = self._store.count_vectors(space, number)
            known = self._known.get((space, modality))
            if known is None or abs(count - known.count) > GROWTH * known.count:
                if count < LEAST:
                    return None
                known = self._make(space, number, count)
                others = {key: one for key, one in self._known.items() if key[0] == space}
                self._known = others | {(space, modality): known}
        return known

    def _make(self, space: int, modality: int, count: int) -> _Known:
        sql = f"SELECT entry FROM {vectors_table(space, modality)} ORDER BY entry"
        entries = [row[0] for row in self._store.scan(sql)]
        if count > MOST:
            places = np.linspace(0, count - 1, MOST).round().astype(int).tolist()
            entries = [entries[place] for place in places]
        found = self._store.vectors_of(space, modality, entries)
        vectors = _units(np.stack([found[entry] for entry in entries]))
        similarities = vectors @ vectors.T
        np.fill_diagonal(similarities, -np.inf)
        scores = _means(similarities, min(NEIGHBORS, len(vectors) - 1))
        fresh = self._are_fresh(entries)
        if fresh.sum() < LEAST:
            return _Known(count, vectors[:0], 0, 1, is_known=False)
        low, high = np.quantile(scores[fresh], QUANTILES)
        return _Known(count, vectors, float(low), float(max(high, low + 1e-3)))

    def _are_fresh(self, entries: list[int]) -> NDArray[np.bool_]:
        """Return (n,) whether entries belong to items that the space was not trained on."""
        trained = "SELECT item FROM items WHERE split = 'train'"
        sql = f"SELECT entry FROM entries WHERE item NOT IN ({trained})"
        fresh = {row[0] for row in self._store.scan(sql)}
        return np.array([entry in fresh for entry in entries], dtype=bool)


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return units


def _means(similarities: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return (n,) means of the k largest values of each row."""
    k = min(k, similarities.shape[1])
    means: NDArray[np.float32] = np.partition(similarities, -k, axis=1)[:, -k:].mean(axis=1)
    return means

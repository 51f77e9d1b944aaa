"""Segments: the searched vectors of one modality.

A segment is a main segment, built over the entries up to some number, and what has changed since:
newer entries are compared one by one, so that they are found at once, and removed entries of the
main segment are skipped. Segments are immutable; following the store returns a new one that shares
the main segment.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from commonspace.retrieval.backends import VectorBackend
from commonspace.retrieval.backends.faiss import knn
from commonspace.retrieval.store import Store, Vectors

__all__ = ["Hits", "MainSegment", "Segment", "merge", "put_first", "unique_items"]

RERANKED = 10
"""Candidates for each result, if vectors are compressed; exact scores come from the store."""
MIN_RERANKED = 100


@dataclass(frozen=True)
class MainSegment:
    """Vectors that a backend searches.

    Args:
        backend: searches them; None if there are none.
        entries: (n,), the number of the entry of each, ascending.
        items: (n,), the number of the item of each.
        last_entry: every entry up to this number that existed is included.
        last_removal: number of the last removal that is taken into account.
        file: name of its file; "" if it has none.
    """

    backend: VectorBackend | None
    entries: NDArray[np.int64]
    items: NDArray[np.int64]
    last_entry: int
    last_removal: int
    file: str


@dataclass(frozen=True)
class Hits:
    """Ranked entries of q queries, best first."""

    scores: NDArray[np.float32]
    """(q, k); -inf where there are fewer."""
    entries: NDArray[np.int64]
    """(q, k); -1 where there are fewer."""
    items: NDArray[np.int64]
    """(q, k); -1 where there are fewer."""
    modalities: NDArray[np.int64]
    """(q, k), the number of the modality of each."""

    def take(self, places: NDArray[np.intp]) -> "Hits":
        """Return the hits at (q, j) places of the rows."""
        at = np.arange(len(places))[:, None], places
        return Hits(self.scores[at], self.entries[at], self.items[at], self.modalities[at])

    def between(self, start: int, stop: int) -> "Hits":
        """Return the hits of each row from a rank up to another."""
        rows = slice(start, stop)
        return Hits(
            self.scores[:, rows],
            self.entries[:, rows],
            self.items[:, rows],
            self.modalities[:, rows],
        )

    def drop(self, lost: NDArray[np.bool_]) -> "Hits":
        """Return the hits without those marked in (q, k); the others move up."""
        left = Hits(
            np.where(lost, -np.inf, self.scores).astype(np.float32),
            np.where(lost, -1, self.entries),
            np.where(lost, -1, self.items),
            self.modalities,
        )
        return left.take(np.argsort(left.items < 0, axis=1, kind="stable"))


@dataclass(frozen=True)
class Segment:
    """The vectors of one modality at one generation.

    Args:
        space: number of the space.
        modality: number of the modality.
        main: the main segment.
        removed: (n,) bool, the entries of the main segment that were removed; None for none.
        newer: the entries that came after the main segment, without those that were removed.
        last_entry: it follows the store up to this entry.
        last_removal: it follows the store up to this removal.
    """

    space: int
    modality: int
    main: MainSegment
    removed: NDArray[np.bool_] | None
    newer: Vectors
    last_entry: int
    last_removal: int

    @classmethod
    def load(cls, main: MainSegment, store: Store, space: int, modality: int) -> "Segment":
        """Return a main segment with all changes since, inside ``store.reading()``."""
        none = np.empty(0, dtype=np.int64)
        rows = np.empty((0, store.describe_space(space)[1]), dtype=np.float32)
        newer = Vectors(none, none, rows)
        segment = cls(space, modality, main, None, newer, main.last_entry, main.last_removal)
        return segment.follow(store)

    def __len__(self) -> int:
        """Return the number of vectors."""
        return len(self.main.entries) - self._removed_count + len(self.newer.entries)

    @property
    def changes(self) -> int:
        """Number of entries that were added or removed since the main segment was built."""
        return len(self.newer.entries) + self._removed_count

    @property
    def _removed_count(self) -> int:
        return 0 if self.removed is None else int(np.count_nonzero(self.removed))

    def count(self, allowed: NDArray[np.int64] | None = None) -> int:
        """Return the number of vectors of some items; None for all."""
        if allowed is None:
            return len(self)
        present = _is_in(self.main.items, allowed)
        if self.removed is not None:
            present &= ~self.removed
        return int(present.sum()) + int(_is_in(self.newer.items, allowed).sum())

    def follow(self, store: Store) -> "Segment":
        """Return the segment as the store is now, inside ``store.reading()``."""
        more = store.vectors(self.space, self.modality, after=self.last_entry)
        gone = store.removed_entries(self.modality, after=self.last_removal)
        removed = self.removed
        if len(gone):
            marked = np.isin(self.main.entries, gone)
            removed = marked if removed is None else removed | marked
        newer = more if not len(self.newer.entries) else _join(self.newer, more)
        stays = ~np.isin(newer.entries, gone)
        if not stays.all():
            newer = Vectors(newer.entries[stays], newer.items[stays], newer.values[stays])
        return replace(
            self,
            removed=removed if removed is not None and removed.any() else None,
            newer=newer,
            last_entry=store.last_entry,
            last_removal=store.last_removal,
        )

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.int64] | None = None,
        store: Store | None = None,
    ) -> Hits:
        """Return the entries with the largest inner products; equal scores by entry.

        Args:
            queries: (q, d) float32.
            k: results for each query, at least 1.
            allowed: numbers of the items that may be returned, ascending; None for all.
            store: provides the exact vectors if the main segment is compressed; None: rank by the
                approximate scores.
        """
        parts = []
        backend = self.main.backend
        if backend is not None and len(self.main.entries):
            exact = not backend.lossy or store is None
            depth = k if exact else max(RERANKED * k, MIN_RERANKED)
            scores, places = self._search_main(queries, depth, allowed)
            hits = self._hits(scores, places, self.main.entries, self.main.items)
            parts.append(hits if exact or store is None else self._rerank(queries, hits, store, k))
        if len(self.newer.entries):
            values, keep = self.newer.values, np.arange(len(self.newer.entries))
            if allowed is not None:
                keep = np.flatnonzero(_is_in(self.newer.items, allowed))
                values = values[keep]
            if len(keep):
                scores, places = knn(queries, values, min(k, len(keep)))
                newer = self.newer
                parts.append(self._hits(scores, places, newer.entries[keep], newer.items[keep]))
        return merge(parts, len(queries), k)

    def _hits(
        self,
        scores: NDArray[np.float32],
        places: NDArray[np.int64],
        entries: NDArray[np.int64],
        items: NDArray[np.int64],
    ) -> Hits:
        present = places >= 0
        return Hits(
            scores,
            np.where(present, entries[places], -1),
            np.where(present, items[places], -1),
            np.full(places.shape, self.modality, dtype=np.int64),
        )

    def _rerank(self, queries: NDArray[np.float32], hits: Hits, store: Store, k: int) -> Hits:
        """Return the best k of candidates, by the exact vectors of the store."""
        present = hits.entries >= 0
        wanted = np.unique(hits.entries[present])
        vectors = store.vectors_of(self.space, self.modality, wanted.tolist())
        known = present & np.isin(hits.entries, np.array([*vectors], dtype=np.int64))
        scores = np.full(hits.scores.shape, -np.inf, dtype=np.float32)
        rows, columns = np.nonzero(known)
        if len(rows):
            values = np.stack([vectors[entry] for entry in hits.entries[known].tolist()])
            scores[rows, columns] = np.einsum("nd,nd->n", queries[rows], values)
        entries, items = (np.where(known, table, -1) for table in (hits.entries, hits.items))
        return merge([Hits(scores, entries, items, hits.modalities)], len(queries), k)

    def _search_main(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        backend = self.main.backend
        assert backend is not None
        k = min(k, len(backend))
        if allowed is not None:
            mask = _is_in(self.main.items, allowed)
            if self.removed is not None:
                mask &= ~self.removed
            return backend.search(queries, k, mask)
        if self.removed is None:
            return backend.search(queries, k)
        # Few are removed: a slightly deeper search without a mask is faster, and queries with too
        # few results are searched again with one.
        present = len(backend) - self._removed_count
        depth = min(2 * k + 16, len(backend))
        scores, places = backend.search(queries, depth)
        lost = (places < 0) | self.removed[places]
        scores[lost], places[lost] = -np.inf, -1
        short = np.flatnonzero((~lost).sum(axis=1) < min(k, present))
        if len(short):
            again = backend.search(queries[short], depth, ~self.removed)
            scores[short], places[short] = again
        return scores, places


def merge(parts: list[Hits], count: int, k: int) -> Hits:
    """Return the best k of several rankings of the same queries; equal scores by entry.

    Args:
        parts: rankings, without an entry in two of them.
        count: q, the number of queries.
        k: maximum length of the ranking.
    """
    joined = parts[0] if len(parts) == 1 else _concatenate(parts, count)
    return joined.take(np.lexsort((joined.entries, -joined.scores), axis=1)).between(0, k)


def unique_items(hits: Hits) -> Hits:
    """Return a ranking with each item only at its best rank; later ones move up."""
    order = np.argsort(hits.items, axis=1, kind="stable")
    ordered = np.take_along_axis(hits.items, order, axis=1)
    same = np.zeros(ordered.shape, dtype=bool)
    same[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    repeated = np.zeros(ordered.shape, dtype=bool)
    np.put_along_axis(repeated, order, same, axis=1)
    return hits.drop(repeated)


def put_first(first: Hits, hits: Hits) -> Hits:
    """Return a ranking that starts with other hits, each item once; the others move down."""
    if not (first.items >= 0).any():
        return hits
    return unique_items(_concatenate([first.drop(first.items < 0), hits], len(hits.items)))


def _concatenate(parts: list[Hits], count: int) -> Hits:
    none = np.full((count, 0), -1, dtype=np.int64)
    return Hits(
        np.concatenate([none.astype(np.float32), *(part.scores for part in parts)], axis=1),
        np.concatenate([none, *(part.entries for part in parts)], axis=1),
        np.concatenate([none, *(part.items for part in parts)], axis=1),
        np.concatenate([none, *(part.modalities for part in parts)], axis=1),
    )


def _is_in(items: NDArray[np.int64], allowed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the allowed items, with a table over all numbers, which is faster than a search."""
    highest = max(int(items.max(initial=0)), int(allowed.max(initial=0)))
    table = np.zeros(highest + 1, dtype=bool)
    table[allowed] = True
    marked: NDArray[np.bool_] = table[items]
    return marked


def _join(first: Vectors, second: Vectors) -> Vectors:
    return Vectors(
        np.concatenate([first.entries, second.entries]),
        np.concatenate([first.items, second.items]),
        np.concatenate([first.values, second.values]),
    )

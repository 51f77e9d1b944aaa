"""The vectors of one modality as they are searched: a base, what is newer, and what is gone.

The base is an index of FAISS over the entries up to some number. Entries above it lie in an array
and are all compared, so that what was added is found at once; entries of the base that were
removed are passed over. A shelf never changes: following the store makes a new one, which shares
the base. It knows no files and no items' content.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from commonspace.retrieval.ann import nearest_among
from commonspace.retrieval.records import Vectors
from commonspace.retrieval.store import Store

__all__ = ["Base", "Engine", "Hits", "Shelf", "best", "each_once"]


class Engine(Protocol):
    """What searches the vectors of a base: FAISS, or Milvus."""

    kind: str
    effort: int

    @property
    def values(self) -> NDArray[np.float32] | None:
        """(n, d), where the vectors lie in memory in one piece."""

    def __len__(self) -> int:
        """Return n."""

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and positions, (q, k), of the largest inner products."""

    def write(self, path: Path) -> None:
        """Write what it is read from again."""


@dataclass(frozen=True)
class Base:
    """What searches vectors, and whose they are.

    Args:
        nearest: the engine; None for an empty base.
        entries: (n,) ascending.
        items: (n,), to which item each belongs.
        upto: it holds every entry up to this number that was there.
        removed: the number of the last removal that it has followed.
        file: the name of the file that it belongs to; "" for none.
    """

    nearest: Engine | None
    entries: NDArray[np.int64]
    items: NDArray[np.int64]
    upto: int
    removed: int
    file: str


@dataclass(frozen=True)
class Hits:
    """What was found for q queries, the best first."""

    scores: NDArray[np.float32]
    """(q, k); -inf where there was nothing more to find."""
    entries: NDArray[np.int64]
    """(q, k); -1 where there was nothing."""
    items: NDArray[np.int64]
    """(q, k); -1 where there was nothing."""
    modalities: NDArray[np.int64]
    """(q, k): in which modality each was found."""

    def at(self, places: NDArray[np.intp]) -> "Hits":
        """Return the hits at some places of each row, (q, j)."""
        at = np.arange(len(places))[:, None], places
        return Hits(self.scores[at], self.entries[at], self.items[at], self.modalities[at])

    def first(self, k: int) -> "Hits":
        """Return the first k of each row."""
        return self.between(0, k)

    def between(self, start: int, stop: int) -> "Hits":
        """Return the hits of each row from a rank up to another."""
        rows = slice(start, stop)
        return Hits(
            self.scores[:, rows],
            self.entries[:, rows],
            self.items[:, rows],
            self.modalities[:, rows],
        )


@dataclass(frozen=True)
class Shelf:
    """A base with what has changed since.

    Args:
        space: the number of the space of its vectors.
        modality: its number.
        base: what was indexed.
        gone: (n,) bool, which entries of the base were removed; None for none.
        newer: the entries that came after the base, without those that were removed.
        upto: it has followed the store up to this entry.
        removed: it has followed the store up to this removal.
    """

    space: int
    modality: int
    base: Base
    gone: NDArray[np.bool_] | None
    newer: Vectors
    upto: int
    removed: int

    @classmethod
    def on(cls, base: Base, store: Store, space: int, modality: int) -> "Shelf":
        """Return a base with all that has changed since, while ``store.reading()``."""
        none = np.empty(0, dtype=np.int64)
        rows = np.empty((0, store.space_facts(space)[1]), dtype=np.float32)
        newer = Vectors(none, none, rows)
        bare = cls(space, modality, base, None, newer, base.upto, base.removed)
        return bare.following(store)

    def __len__(self) -> int:
        """Return the number of vectors that can be found."""
        return len(self.base.entries) - self.gone_count + len(self.newer.entries)

    def count(self, allowed: NDArray[np.int64] | None = None) -> int:
        """Return the number of vectors of some items; None for all."""
        if allowed is None:
            return len(self)
        present = _among(self.base.items, allowed)
        if self.gone is not None:
            present &= ~self.gone
        return int(present.sum()) + int(_among(self.newer.items, allowed).sum())

    @property
    def gone_count(self) -> int:
        """How many entries of the base were removed."""
        return 0 if self.gone is None else int(np.count_nonzero(self.gone))

    @property
    def changes(self) -> int:
        """How many entries came or went since the base was made."""
        return len(self.newer.entries) + self.gone_count

    def following(self, store: Store) -> "Shelf":
        """Return the shelf as the store is now, while ``store.reading()``."""
        more = store.vectors(self.space, self.modality, after=self.upto)
        removed = store.removed(self.modality, after=self.removed)
        gone = self.gone
        if len(removed):
            marked = np.isin(self.base.entries, removed)
            gone = marked if gone is None else gone | marked
        newer = more if not len(self.newer.entries) else _joined(self.newer, more)
        stays = ~np.isin(newer.entries, removed)
        if not stays.all():
            newer = Vectors(newer.entries[stays], newer.items[stays], newer.values[stays])
        return replace(
            self,
            gone=gone if gone is not None and gone.any() else None,
            newer=newer,
            upto=store.last_entry,
            removed=store.last_removal,
        )

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> Hits:
        """Return the entries with the largest inner products; equal scores by entry.

        Args:
            queries: (q, d) float32.
            k: how many for each query, at least 1.
            allowed: numbers of the items that may be found, ascending; None for all.
        """
        parts = []
        if self.base.nearest is not None and len(self.base.entries):
            scores, places = self._in_base(queries, k, allowed)
            parts.append(self._hits(scores, places, self.base.entries, self.base.items))
        if len(self.newer.entries):
            values, keep = self.newer.values, np.arange(len(self.newer.entries))
            if allowed is not None:
                keep = np.flatnonzero(_among(self.newer.items, allowed))
                values = values[keep]
            if len(keep):
                scores, places = nearest_among(queries, values, min(k, len(keep)))
                newer = self.newer
                parts.append(self._hits(scores, places, newer.entries[keep], newer.items[keep]))
        return best(parts, len(queries), k)

    def _hits(
        self,
        scores: NDArray[np.float32],
        places: NDArray[np.int64],
        entries: NDArray[np.int64],
        items: NDArray[np.int64],
    ) -> Hits:
        there = places >= 0
        return Hits(
            scores,
            np.where(there, entries[places], -1),
            np.where(there, items[places], -1),
            np.full(places.shape, self.modality, dtype=np.int64),
        )

    def _in_base(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        nearest = self.base.nearest
        assert nearest is not None
        if allowed is not None:
            mask = _among(self.base.items, allowed)
            if self.gone is not None:
                mask &= ~self.gone
            return nearest.search(queries, min(k, len(nearest)), mask)
        if self.gone is None:
            return nearest.search(queries, min(k, len(nearest)))
        # Few are gone: looking a little deeper and passing over them is faster than a mask, and
        # where that leaves too few for a query, it is asked again with one.
        present = len(nearest) - self.gone_count
        depth = min(2 * k + 16, len(nearest))
        scores, places = nearest.search(queries, depth)
        lost = (places < 0) | self.gone[places]
        scores[lost], places[lost] = -np.inf, -1
        short = np.flatnonzero((~lost).sum(axis=1) < min(k, present))
        if len(short):
            again = nearest.search(queries[short], depth, ~self.gone)
            scores[short], places[short] = again
        return scores, places


def best(parts: list[Hits], count: int, k: int) -> Hits:
    """Return the best k of several lists of hits for the same queries; equal scores by entry.

    Args:
        parts: lists of hits, no entry in two of them.
        count: q, the number of queries.
        k: how many to keep, at most.
    """
    joined = parts[0] if len(parts) == 1 else _beside(parts, count)
    return joined.at(np.lexsort((joined.entries, -joined.scores), axis=1)).first(k)


def each_once(hits: Hits) -> Hits:
    """Return hits in which an item that was found several times stands at its best place alone.

    Args:
        hits: in order; what is left of each row comes first.
    """
    again = _seen_before(hits.items)
    left = Hits(
        np.where(again, -np.inf, hits.scores).astype(np.float32),
        np.where(again, -1, hits.entries),
        np.where(again, -1, hits.items),
        hits.modalities,
    )
    return left.at(np.argsort(-left.scores, axis=1, kind="stable"))


def _beside(parts: list[Hits], count: int) -> Hits:
    """Return the hits of all parts, (count, k of all of them together)."""
    none = np.full((count, 0), -1, dtype=np.int64)
    return Hits(
        np.concatenate([none.astype(np.float32), *(part.scores for part in parts)], axis=1),
        np.concatenate([none, *(part.entries for part in parts)], axis=1),
        np.concatenate([none, *(part.items for part in parts)], axis=1),
        np.concatenate([none, *(part.modalities for part in parts)], axis=1),
    )


def _seen_before(items: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark, in each row, the items that stand further to the left, too."""
    order = np.argsort(items, axis=1, kind="stable")
    ordered = np.take_along_axis(items, order, axis=1)
    same = np.zeros(items.shape, dtype=bool)
    same[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    marked = np.zeros(items.shape, dtype=bool)
    np.put_along_axis(marked, order, same, axis=1)
    return marked


def _among(items: NDArray[np.int64], allowed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the items that are allowed, by a table over all numbers: faster than a search."""
    highest = max(int(items.max(initial=0)), int(allowed.max(initial=0)))
    table = np.zeros(highest + 1, dtype=bool)
    table[allowed] = True
    marked: NDArray[np.bool_] = table[items]
    return marked


def _joined(first: Vectors, second: Vectors) -> Vectors:
    return Vectors(
        np.concatenate([first.entries, second.entries]),
        np.concatenate([first.items, second.items]),
        np.concatenate([first.values, second.values]),
    )

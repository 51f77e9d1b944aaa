"""A block of ranked queries: gallery rows, grades and groups of tied scores at each rank."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["RankedBlock", "RelevanceBlock", "TieGroups"]


@dataclass(frozen=True, eq=False)
class TieGroups:
    """Runs of items with equal scores in ranked rows, all rows one after the other.

    Args:
        row: (g,) the row of each group.
        start: (g,) number of items ranked before the group.
        size: (g,) number of items in it; 1 for an item without a tie.
        relevant: (g,) number of relevant items in it.
        hits: (g,) number of relevant items ranked before it.
    """

    row: NDArray[np.intp]
    start: NDArray[np.intp]
    size: NDArray[np.intp]
    relevant: NDArray[np.intp]
    hits: NDArray[np.intp]


class RelevanceBlock(Protocol):
    """What figures need that depend on the relevance at each rank only."""

    @property
    def queries(self) -> NDArray[np.intp]:
        """(b,) rows of the query."""

    @property
    def depth(self) -> int:
        """Number of ranks."""

    @property
    def relevant(self) -> NDArray[np.bool_]:
        """(b, depth) whether the item at each rank is relevant."""

    @property
    def available(self) -> NDArray[np.intp]:
        """(b,) the number of relevant items in the whole gallery."""

    @property
    def tied(self) -> NDArray[np.intp]:
        """The rows of the block in which tied items may differ in relevance."""

    @property
    def mixed(self) -> NDArray[np.intp]:
        """The rows of the block in which tied items do differ in relevance."""

    def groups(self, rows: NDArray[np.intp]) -> TieGroups:
        """Return the groups of equal scores in some rows, numbered from 0 in this order."""


@dataclass(frozen=True, eq=False)
class RankedBlock:
    """The first ranks of the gallery for some of the queries.

    Args:
        queries: (b,) rows of the query.
        sorted_keys: (b, w) int64, ascending: score, gallery row and grade packed into one number.
            w is ``depth``, or m where a tie reaches beyond ``depth``.
        depth: number of ranks that are asked for.
        index_bits: number of bits of a key that hold the gallery row.
        grade_bits: number of bits of a key that hold the grade, below those of the row.
        gallery_grades: (b, m) the grade of every gallery item, in the order of the gallery.
    """

    queries: NDArray[np.intp]
    sorted_keys: NDArray[np.int64]
    depth: int
    index_bits: int
    grade_bits: int
    gallery_grades: NDArray[np.integer]

    @property
    def keys(self) -> NDArray[np.int64]:
        """(b, depth) the keys of the first ranks."""
        return self.sorted_keys[:, : self.depth]

    @cached_property
    def items(self) -> NDArray[np.int64]:
        """(b, depth) gallery rows, the best first; tied items in the order of the gallery."""
        return self._items(self.keys)

    @cached_property
    def grades(self) -> NDArray[np.int64]:
        """(b, depth) the grade at each rank."""
        return self._grades(self.keys)

    @cached_property
    def relevant(self) -> NDArray[np.bool_]:
        """(b, depth) whether the item at each rank is relevant."""
        return self.grades > 0

    @cached_property
    def available(self) -> NDArray[np.intp]:
        """(b,) the number of relevant items in the whole gallery."""
        return np.asarray(np.count_nonzero(self.gallery_grades, axis=1))

    @cached_property
    def tied(self) -> NDArray[np.intp]:
        """The rows of the block in which two ranked items have equal scores."""
        return np.unique(self._ties[0])

    @cached_property
    def mixed(self) -> NDArray[np.intp]:
        """The rows of the block in which a relevant item and one that is not have equal scores."""
        rows, places = self._ties
        marks = [self._grades(self.sorted_keys[rows, place]) > 0 for place in (places, places + 1)]
        return np.unique(rows[marks[0] != marks[1]])

    @cached_property
    def _ties(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and ranks of the items whose score is that of the next."""
        keys = self.sorted_keys
        step = 1 << (self.index_bits + self.grade_bits)
        close = np.flatnonzero(keys[:, 1:] - keys[:, :-1] < step)  # equal, or one step apart
        rows, places = np.divmod(close, max(1, keys.shape[1] - 1))
        same = self._scores(keys[rows, places]) == self._scores(keys[rows, places + 1])
        return rows[same], places[same]

    def groups(self, rows: NDArray[np.intp]) -> TieGroups:
        """Return the groups of equal scores in some rows, numbered from 0 in this order."""
        keys = self.sorted_keys[rows]
        width = keys.shape[1]
        relevant = self._grades(keys).ravel() > 0
        starts = self._starts(keys)
        row, start = np.divmod(starts, width)
        size = np.diff(np.append(starts, keys.size))
        counts = np.add.reduceat(relevant, starts, dtype=np.intp)
        hits = np.cumsum(counts) - counts
        first = np.flatnonzero(start == 0)
        return TieGroups(row, start, size, counts, hits - hits[first][row])

    def expected(
        self,
        value: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[Any]],
    ) -> NDArray[Any]:
        """Return the expected value at each rank, where tied items are in random order.

        Args:
            value: from (r, w) gallery rows and (r, w) grades to (r, w, ...) values of the items.

        Returns:
            (b, depth, ...): the value of the item at each rank, or the mean over its tie group.
        """
        values = value(self.items, self.grades)
        if not self.tied.size:
            return values
        keys = self.sorted_keys[self.tied]
        wide = value(self._items(keys), self._grades(keys)).astype(np.float64)
        flat = wide.reshape(keys.size, -1)
        starts = self._starts(keys)
        size = np.diff(np.append(starts, keys.size))
        means = np.add.reduceat(flat, starts, axis=0) / size[:, None]
        wide = np.repeat(means, size, axis=0).reshape(wide.shape)
        values = values.astype(np.float64)
        values[self.tied] = wide[:, : self.depth]
        return values

    def _starts(self, keys: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return where the tie groups of (r, w) keys start, as positions of the flattened keys."""
        scores = self._scores(keys)
        new = np.ones(keys.shape, dtype=bool)
        new[:, 1:] = scores[:, 1:] != scores[:, :-1]
        return np.flatnonzero(new)

    def _scores(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        return keys >> (self.index_bits + self.grade_bits)

    def _items(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        return (keys >> self.grade_bits) & np.int64((1 << self.index_bits) - 1)

    def _grades(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        return keys & np.int64((1 << self.grade_bits) - 1)

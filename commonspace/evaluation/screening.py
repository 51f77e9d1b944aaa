"""Relevance at each rank from products in float32, with near ties decided in float64.

Products in float32 take half the time of those in float64, and they order all items but those
whose scores differ by no more than their rounding. Only where a relevant item is so close to one
that is not does the order matter for average precision; the scores of these few are computed again
in float64. Rows with an exact tie among them, and blocks with many near ties, are left to
``Ranking``.
"""

import sys
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from commonspace.evaluation.arrays import Vectors
from commonspace.evaluation.ranked_block import TieGroups
from commonspace.evaluation.relevance import Relevance

__all__ = ["Screen", "ScreenedBlock", "is_worthwhile"]

_SIZE, _ITEMS = 256, 256
"""Smallest size of vectors and number of items for which products take most of the time."""
_BITS = 30
"""Bits of a score in a key."""
_SAMPLE_ROWS, _SAMPLE = 8, 32
"""Queries whose rounding is measured, and items of each: its best, and as many others."""
_SAFETY = 4.0
"""Assumed largest rounding, in units of the largest that is measured."""
_STEPS = 32
"""Largest number of items by which a run of near ties extends a pair to either side."""
_MOST = 0.03
"""Largest share of items that are computed again; beyond, a product in float64 is faster."""
_DOTS = 64
"""Scores that are computed again at a time, so that their vectors stay in the cache."""
_SCORE, _LOW = (1, 0) if sys.byteorder == "little" else (0, 1)
"""Places of the score, and of item and relevance, in the two halves of a key."""


def is_worthwhile(query: Vectors, gallery: Vectors, relevance: Relevance) -> bool:
    """Return whether screening is expected to save time for a whole ranking."""
    large = gallery.shape[1] >= _SIZE and _ITEMS <= len(gallery) < 2**30
    return large and len(query) >= _SAMPLE_ROWS and relevance.highest == 1


@dataclass(frozen=True, eq=False)
class ScreenedBlock:
    """The relevance at each rank of the whole gallery, for queries without ties that matter.

    Args:
        queries: (b,) rows of the query.
        relevant: (b, m) whether the item at each rank is relevant.
    """

    queries: NDArray[np.intp]
    relevant: NDArray[np.bool_]

    @property
    def depth(self) -> int:
        """m, the number of ranks."""
        return int(self.relevant.shape[1])

    @cached_property
    def available(self) -> NDArray[np.intp]:
        """(b,) the number of relevant items in the whole gallery."""
        return np.asarray(np.count_nonzero(self.relevant, axis=1))

    @property
    def tied(self) -> NDArray[np.intp]:
        """No row has a tie between items that differ in relevance."""
        return np.empty(0, dtype=np.intp)

    @property
    def mixed(self) -> NDArray[np.intp]:
        """No row has a tie between items that differ in relevance."""
        return self.tied

    def groups(self, rows: NDArray[np.intp]) -> TieGroups:
        """Return no groups: there are no rows with ties."""
        assert not rows.size
        return TieGroups(*[np.empty(0, dtype=np.intp)] * 5)


class Screen:
    """Ranks blocks of queries by products in float32.

    Args:
        gallery: (m, d) float64, scaled so that no product overflows.
        relevance: With grades 0 and 1.
        score_bits: Bits of a score in float64: vectors of queries are scaled for it.
    """

    def __init__(self, gallery: NDArray[np.float64], relevance: Relevance, score_bits: int) -> None:
        self._exact = gallery
        self._gallery = gallery.astype(np.float32)
        self._relevance, self._score_bits = relevance, score_bits
        self._low = 2 * np.arange(relevance.shape[1], dtype=np.int32)

    def products(
        self, vectors: NDArray[np.float64], count: int
    ) -> tuple[NDArray[np.float32], float]:
        """Return approximate scores, and the difference up to which two may be in wrong order.

        Args:
            vectors: (b, d), -query, scaled so that scores are below 2 ** score_bits.
            count: Number of queries; the rows behind them are zero.

        Returns:
            (b, m) -score below 2 ** 30, and the difference in these units.
        """
        small = vectors.astype(np.float32)
        small *= np.float32(2.0 ** (_BITS - self._score_bits))
        scores: NDArray[np.float32] = small @ self._gallery.T
        m = len(self._low)
        rows = np.linspace(0, count - 1, _SAMPLE_ROWS).astype(np.intp)
        spread = np.linspace(0, m - 1, _SAMPLE).astype(np.intp)
        best = np.argpartition(scores[rows, :m], _SAMPLE, axis=1)[:, :_SAMPLE]
        items = np.concatenate([best, np.broadcast_to(spread, best.shape)], axis=1)
        exact = np.einsum("rd,rsd->rs", vectors[rows], self._exact[items])
        exact *= 2.0 ** (_BITS - self._score_bits)
        rounding = np.abs(np.take_along_axis(scores[rows], items, axis=1) - exact).max()
        return scores, 2 * (_SAFETY * float(rounding) + 2)  # 2: scores become whole numbers

    def relevant(
        self,
        queries: NDArray[np.intp],
        vectors: NDArray[np.float64],
        scores: NDArray[np.float32],
        gap: float,
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the relevance at each rank, and the rows for which it is right.

        Args:
            queries: (b,) rows of the query.
            vectors: (b, d), as for ``products``.
            scores: (b, m), from ``products``.
            gap: From ``products``.
        """
        b, m = len(queries), len(self._low)
        keys = np.empty((b, m), dtype=np.int64)
        halves = keys.view(np.int32).reshape(b, m, 2)
        halves[..., _SCORE] = scores[:b, :m]
        halves[..., _LOW] = self._low
        halves[..., _LOW] += self._relevance.grades(queries)
        keys.sort(axis=1)
        relevant: NDArray[np.bool_] = (halves[..., _LOW] & 1).astype(bool)
        flat, marks = keys.ravel(), relevant.ravel()
        width = (int(gap) + 1) << 32
        starts, ends = _runs(flat, marks, m, width)
        sizes = ends - starts + 1
        if starts.size == 0:
            return relevant, np.ones(b, dtype=bool)
        if sizes.max() > 2 * _STEPS or sizes.sum() > _MOST * flat.size:
            return relevant, np.zeros(b, dtype=bool)
        run = np.repeat(np.arange(sizes.size), sizes)
        places = np.arange(run.size) - np.repeat(np.cumsum(sizes) - sizes, sizes) + starts[run]
        rows = places // m
        items = (flat[places] & 0xFFFFFFFF) >> 1
        exact = self._dots(vectors, rows, items)
        rounding = np.abs(np.ldexp(exact, _BITS - self._score_bits) - (flat[places] >> 32))
        right = np.ones(b, dtype=bool)
        if rounding.max() > gap / 4:  # half of what is assumed: the sample was not typical
            right[:] = False
            return relevant, right
        steps = np.rint(exact)
        order = np.lexsort((steps, run))
        steps, member = steps[order], marks[places][order]
        tied = (np.diff(run) == 0) & (np.diff(steps) == 0) & (np.diff(member.view(np.int8)) != 0)
        right[rows[:-1][tied]] = False
        marks[places] = member
        return relevant, right

    def _dots(
        self, vectors: NDArray[np.float64], rows: NDArray[np.intp], items: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return -score in float64 for pairs of query and item; equal pairs give equal bits."""
        found = np.empty(len(rows))
        for start in range(0, len(rows), _DOTS):
            some = slice(start, start + _DOTS)
            found[some] = np.einsum("pd,pd->p", vectors[rows[some]], self._exact[items[some]])
        return found


def _runs(
    keys: NDArray[np.int64], marks: NDArray[np.bool_], m: int, width: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return first and last place of runs of close keys in which relevance differs.

    Args:
        keys: Sorted within each row, all rows one after the other.
        marks: Relevance of each.
        m: Length of a row.
        width: Largest difference of neighbours in a run.
    """

    def close(places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return whether the key at each place is close to the next, of the same row."""
        near = keys[places + 1] - keys[places] <= width
        near &= places % m != m - 1
        return near

    last = len(keys) - 1
    hits = np.flatnonzero(marks)
    after, before = hits[hits < last], hits[hits > 0]
    pairs = [
        place[(~marks[other]) & close(place)]
        for place, other in ((after, after + 1), (before - 1, before - 1))
    ]
    first = np.unique(np.concatenate(pairs))
    end = first + 1
    for _ in range(_STEPS):
        more = (first > 0) & close(np.maximum(first - 1, 0))
        if not more.any():
            break
        first = first - more
    for _ in range(_STEPS):
        more = (end < last) & close(np.minimum(end, last - 1))
        if not more.any():
            break
        end = end + more
    first, places = np.unique(first, return_index=True)
    return first, end[places]

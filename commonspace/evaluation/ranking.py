"""Ranking of a gallery for every query, block by block, with groups of tied scores.

Every metric of this package is computed here, so that ties, unlabeled queries and blocks are
treated in one way.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.evaluation.arrays import Vectors, check_embeddings
from commonspace.evaluation.relevance import Relevance, class_relevance, pair_relevance

__all__ = ["RankedBlock", "Ranking", "TieGroups"]

T = TypeVar("T")

_SCORE_BITS = 44  # a step of 6e-14: above the noise of float64 products, below any real difference
_TILE = 16  # rows are padded to whole tiles: the edge kernels of a BLAS round in another order
_CACHED = 2**17  # scores that stay in a second-level cache of 1 to 2 MiB while they are ranked
_MOST_WORKERS = 8


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
        keys = self.sorted_keys
        if keys.shape[1] < 2:
            return np.empty(0, dtype=np.intp)
        step = 1 << (self.index_bits + self.grade_bits)
        gaps = (keys[:, 1:] - keys[:, :-1]).min(axis=1)
        rows = np.flatnonzero(gaps < step)  # equal scores, or scores one step apart
        scores = self._scores(keys[rows])
        return np.asarray(rows[(scores[:, 1:] == scores[:, :-1]).any(axis=1)])

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


@dataclass(frozen=True, eq=False)
class Ranking:
    """Every query against every gallery item, by descending inner product.

    The products are computed in float64 and compared in steps of 2^-44 of the largest that the
    query could reach, |q| max |g|; scores that agree to that step are ties (from 131,072 gallery
    items on, each doubling takes one bit from the step). The result depends neither on the block
    size nor on the number of threads, and every metric takes its expected value over the random
    order of tied items, so that it does not depend on the order of the gallery either.

    Args:
        query: (n, d) finite.
        gallery: (m, d) finite.
        relevance: for n queries and m items.
        block: approximate number of scores that one worker holds at a time, 8 bytes each.
        workers: number of threads (default: the number of cores, at most 8).
    """

    query: Vectors
    gallery: Vectors
    relevance: Relevance
    block: int = 2**21
    workers: int | None = None

    @classmethod
    def by_class(
        cls,
        query: ArrayLike,
        gallery: ArrayLike,
        query_labels: ArrayLike,
        gallery_labels: ArrayLike,
        *,
        graded: bool = False,
    ) -> "Ranking":
        """Return the ranking in which items that share a class with the query are relevant.

        Args:
            query: (n, d) embeddings.
            gallery: (m, d) embeddings.
            query_labels: (n,) ints or strings, or (n, c) bool.
            gallery_labels: (m,) or (m, c), in the same form.
            graded: grade by the number of shared classes instead of 0 or 1.

        Raises:
            DataError: embeddings or labels are of a wrong form, do not match, or are not finite.
        """
        vectors = check_embeddings(query, gallery)
        relevance = class_relevance(query_labels, gallery_labels, graded=graded)
        return cls(*vectors, _matched(relevance, vectors, "labels"))

    @classmethod
    def by_pair(
        cls,
        query: ArrayLike,
        gallery: ArrayLike,
        query_pair: ArrayLike,
        gallery_pair: ArrayLike,
    ) -> "Ranking":
        """Return the ranking in which only the items of the query's own pair are relevant.

        Args:
            query: (n, d) embeddings.
            gallery: (m, d) embeddings.
            query_pair: (n,) ints or strings, the key of each query's pair.
            gallery_pair: (m,) the same of the gallery.

        Raises:
            DataError: embeddings or keys are of a wrong form, do not match, or are not finite.
        """
        vectors = check_embeddings(query, gallery)
        relevance = pair_relevance(query_pair, gallery_pair)
        return cls(*vectors, _matched(relevance, vectors, "pair keys"))

    def measure(self, figure: Callable[[RankedBlock], T], depth: int) -> list[T]:
        """Rank block by block and return the values of ``figure``, in query order.

        Unlabeled queries are left out.

        Args:
            figure: called once for each block, from several threads at a time.
            depth: number of ranks that it needs, from 1 to m.

        Raises:
            DataError: no query has a label.
        """
        judged = np.flatnonzero(self.relevance.judged)
        if judged.size == 0:
            raise DataError(
                "no query has a label",
                expected="at least one labeled query",
                found=f"{len(self.query)} queries without a label",
                advice="pass the labels of the query side, or other queries",
            )
        rows = max(self.block // len(self.gallery) // _TILE, 1) * _TILE
        parts = [judged[start : start + rows] for start in range(0, judged.size, rows)]
        ranker = _Ranker(self, depth)

        def work(queries: NDArray[np.intp]) -> list[T]:
            return [figure(block) for block in ranker.blocks(queries)]

        with ThreadPoolExecutor(min(self.workers or _cores(), len(parts))) as pool:
            return [value for values in pool.map(work, parts) for value in values]

    def per_query(
        self, figure: Callable[[RankedBlock], NDArray[np.floating[Any]]], depth: int
    ) -> NDArray[np.float64]:
        """Return one value for each query, NaN where it has no label.

        Args:
            figure: from a block to (b,) values.
            depth: number of ranks that it needs, from 1 to m.

        Returns:
            (n,) float64, in query order.

        Raises:
            DataError: no query has a label.
        """
        values = np.full(len(self.query), np.nan)
        for queries, some in self.measure(lambda block: (block.queries, figure(block)), depth):
            values[queries] = some
        return values


class _Ranker:
    """Sortable keys: -score as a whole number of steps, then the gallery row, then the grade.

    One sort of int64 then gives order, ties and grades.
    """

    def __init__(self, ranking: Ranking, depth: int) -> None:
        # The gallery is scaled by a power of two, which is exact; no sum can then overflow.
        self.query, self.relevance, self.depth = ranking.query, ranking.relevance, depth
        m = len(ranking.gallery)
        self.gallery = _tiled(ranking.gallery)
        np.ldexp(self.gallery, -_exponent(np.abs(ranking.gallery).max()), out=self.gallery)
        self.longest = np.sqrt(np.einsum("md,md->m", self.gallery, self.gallery).max())
        self.grade_bits = int(ranking.relevance.highest).bit_length()
        self.index_bits = max((m - 1).bit_length(), 1)
        self.score_bits = min(_SCORE_BITS, 62 - self.index_bits - self.grade_bits)
        self.rows = np.arange(m, dtype=np.int64) << self.grade_bits

    def blocks(self, queries: NDArray[np.intp]) -> Iterator[RankedBlock]:
        """Yield the first ``depth`` ranks for ``queries``.

        The product of matrices is fastest for many rows at once, everything after it for what
        fits the cache: so the scores of one product are ranked in several blocks.
        """
        m = len(self.rows)
        scores = self._steps(queries)
        step = max(_CACHED // m, 1)
        for start in range(0, len(queries), step):
            some = queries[start : start + step]
            keys = scores[start : start + len(some), :m].astype(np.int64)
            keys <<= self.index_bits + self.grade_bits
            keys |= self.rows
            grades = self.relevance.grades(some)
            keys |= grades
            if self.depth < m:
                keys.partition(self.depth - 1, axis=1)
                if not self._tie_at_end(keys):
                    keys = keys[:, : self.depth].copy()
            keys.sort(axis=1)
            yield RankedBlock(some, keys, self.depth, self.index_bits, self.grade_bits, grades)

    def _tie_at_end(self, keys: NDArray[np.int64]) -> bool:
        """Return whether the last of the first ``depth`` ranks ties with the next in any row."""
        shift = self.index_bits + self.grade_bits
        last, following = keys[:, self.depth - 1], keys[:, self.depth :].min(axis=1)
        return bool(((last >> shift) == (following >> shift)).any())

    def _steps(self, queries: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return -score of every item, in whole steps: at most 2 ** score_bits either way."""
        vectors = _tiled(self.query[queries])
        vectors = np.ldexp(vectors, -_exponent(np.abs(vectors).max(axis=1, keepdims=True)))
        bound = np.linalg.norm(vectors, axis=1, keepdims=True) * self.longest
        vectors = np.ldexp(-vectors, self.score_bits - _exponent(bound))
        scores: NDArray[np.float64] = vectors @ self.gallery.T
        return np.rint(scores, out=scores)


def _exponent(values: Any) -> Any:  # noqa: ANN401 - a scalar or an array, and the same comes back
    """Return the smallest e with values < 2 ** e; 0 for 0."""
    return np.frexp(values)[1]


def _tiled(vectors: Vectors) -> NDArray[np.float64]:
    """Return the vectors in float64, with rows of zeros up to a whole number of tiles."""
    n, d = vectors.shape
    tiled = np.zeros((-(-n // _TILE) * _TILE, d))
    tiled[:n] = vectors
    return tiled


def _matched(relevance: Relevance, vectors: tuple[Vectors, Vectors], what: str) -> Relevance:
    for side, array, rows in zip(("query", "gallery"), vectors, relevance.shape, strict=True):
        if rows != len(array):
            raise DataError(
                f"{side} embeddings and {what} do not match",
                expected=f"{len(array)} {what}, one for each {side} embedding",
                found=f"{rows}",
                advice="put both in the same order and drop neither",
            )
    return relevance


def _cores() -> int:
    """Return the number of cores that this process may use, at most 8."""
    usable = getattr(os, "sched_getaffinity", None)
    return min(len(usable(0)) if usable else os.cpu_count() or 1, _MOST_WORKERS)

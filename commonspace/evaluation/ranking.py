"""Ranking of a gallery for every query, block by block.

Every metric of this package is computed here, so that ties, unlabeled queries and blocks are
treated in one way.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import ThreadpoolController

from commonspace.engines import Engine
from commonspace.errors import DataError
from commonspace.evaluation.arrays import Vectors, check_embeddings
from commonspace.evaluation.ranked_block import RankedBlock, RelevanceBlock
from commonspace.evaluation.relevance import Relevance, class_relevance, pair_relevance
from commonspace.evaluation.screening import Screen, ScreenedBlock, is_worthwhile

__all__ = ["Ranking"]

T = TypeVar("T")

_SCORE_BITS = 44  # a step of 6e-14: above the noise of float64 products, below any real difference
_TILE = 16  # rows are padded to whole tiles: the edge kernels of a BLAS round in another order
_CACHED = 2**17  # scores that stay in a second-level cache of 1 to 2 MiB while they are ranked
_MOST_WORKERS = 8
SHARDS = 4
"""Shards of the queries for each worker of an engine."""


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
        engine: runs shards of the queries, each with one thread; None: threads of this process.
    """

    query: Vectors
    gallery: Vectors
    relevance: Relevance
    block: int = 2**21
    workers: int | None = None
    engine: Engine | None = None

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
            figure: called once for each block, from several threads at a time; picklable where
                there is an engine.
            depth: number of ranks that it needs, from 1 to m.

        Raises:
            DataError: no query has a label.
        """
        return self._measure(_Measurement(self, figure, depth))

    def measure_relevance(self, figure: Callable[[RelevanceBlock], T]) -> list[T]:
        """Return the values of a figure that depends on the relevance at each rank only.

        As ``measure`` over the whole ranking, in up to half the time: products are in float32, and
        those whose order matters and is in doubt are computed again in float64. The values of the
        blocks are in no particular order: each block names its queries.

        Args:
            figure: called once for each block, from several threads at a time; picklable where
                there is an engine.

        Raises:
            DataError: no query has a label.
        """
        screened = is_worthwhile(self.query, self.gallery, self.relevance)
        return self._measure(_Measurement(self, figure, len(self.gallery), screened))

    def _measure(self, measurement: "_Measurement[T]") -> list[T]:
        judged = np.flatnonzero(self.relevance.judged)
        if judged.size == 0:
            raise DataError(
                "no query has a label",
                expected="at least one labeled query",
                found=f"{len(self.query)} queries without a label",
                advice="pass the labels of the query side, or other queries",
            )
        if self.engine is None:
            return measurement(judged)
        alone = replace(measurement, ranking=replace(self, engine=None, workers=1))
        shards = np.array_split(judged, min(len(judged), SHARDS * self.engine.workers))
        return [value for values in self.engine.map(alone, shards) for value in values]

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
        return self._in_order(self.measure(lambda block: (block.queries, figure(block)), depth))

    def per_query_relevance(
        self, figure: Callable[[RelevanceBlock], NDArray[np.floating[Any]]]
    ) -> NDArray[np.float64]:
        """Return one value for each query, as ``per_query``, by ``measure_relevance``."""
        return self._in_order(self.measure_relevance(lambda block: (block.queries, figure(block))))

    def _in_order(
        self, found: list[tuple[NDArray[np.intp], NDArray[np.floating[Any]]]]
    ) -> NDArray[np.float64]:
        values = np.full(len(self.query), np.nan)
        for queries, some in found:
            values[queries] = some
        return values


@dataclass(frozen=True, eq=False)
class _Measurement(Generic[T]):
    """A figure of some queries: the work of threads, or of an engine.

    Args:
        ranking: the queries and the gallery.
        figure: called for each block.
        depth: number of ranks that it needs.
        screened: whether products are in float32, as far as they decide.
    """

    ranking: Ranking
    figure: Callable[[Any], T]
    depth: int
    screened: bool = False

    def __call__(self, queries: NDArray[np.intp]) -> list[T]:
        """Return the values for the blocks of some labeled queries."""
        ranking = self.ranking
        ranker = _Ranker(ranking, self.depth)
        blocks: Callable[[NDArray[np.intp]], Iterator[Any]] = ranker.blocks
        if self.screened:
            screen = Screen(ranker.gallery, ranking.relevance, ranker.score_bits)
            blocks = partial(ranker.screened_blocks, screen=screen)
        rows = max(ranking.block // len(ranking.gallery) // _TILE, 1) * _TILE
        parts = [queries[start : start + rows] for start in range(0, queries.size, rows)]
        workers = min(ranking.workers or _cores(), len(parts))
        # Several workers, each with one thread in its products, do not wait for one another.
        limit = _controller().limit(limits=1, user_api="blas") if workers > 1 else nullcontext()
        with limit, ThreadPoolExecutor(workers) as pool:
            found = pool.map(lambda some: list(map(self.figure, blocks(some))), parts)
            return [value for values in found for value in values]


class _Ranker:
    """Sortable keys: -score as a whole number of steps, then the gallery row, then the grade.

    One sort of int64 then gives order, ties and grades.
    """

    def __init__(self, ranking: Ranking, depth: int) -> None:
        # The gallery is scaled by a power of two, which is exact; no sum can then overflow.
        self.query, self.relevance, self.depth = ranking.query, ranking.relevance, depth
        m = len(ranking.gallery)
        self.gallery = _tiled(ranking.gallery)
        self.gallery *= _power_of_two(-_exponent(max(self.gallery.max(), -self.gallery.min())))
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
        scores: NDArray[np.float64] = self._vectors(queries) @ self.gallery.T
        np.rint(scores, out=scores)
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

    def screened_blocks(
        self, queries: NDArray[np.intp], screen: Screen
    ) -> Iterator[RelevanceBlock]:
        """Yield the relevance at each rank of the whole gallery, in no particular order."""
        vectors = self._vectors(queries)
        scores, gap = screen.products(vectors, len(queries))
        step = max(_CACHED // len(self.rows), 1)
        left = []
        for start in range(0, len(queries), step):
            rows = slice(start, min(start + step, len(queries)))
            some = queries[rows]
            relevant, right = screen.relevant(some, vectors[rows], scores[rows], gap)
            if right.all():
                yield ScreenedBlock(some, relevant)
            else:
                left.append(some[~right])
                yield ScreenedBlock(some[right], relevant[right])
        if left:
            yield from self.blocks(np.concatenate(left))

    def _vectors(self, queries: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return -query, scaled so that a score is a number of steps below 2 ** score_bits."""
        vectors = _tiled(self.query[queries])
        largest = np.maximum(vectors.max(axis=1), -vectors.min(axis=1))
        vectors *= _power_of_two(-_exponent(largest))[:, None]
        bound = np.sqrt(np.einsum("nd,nd->n", vectors, vectors)) * self.longest
        vectors *= -_power_of_two(self.score_bits - _exponent(bound))[:, None]
        return vectors


def _exponent(values: Any) -> Any:  # noqa: ANN401 - a scalar or an array, and the same comes back
    """Return the smallest e with values < 2 ** e; 0 for 0."""
    return np.frexp(values)[1]


def _power_of_two(exponent: Any) -> Any:  # noqa: ANN401 - a scalar or an array, as above
    """Return 2 ** exponent, at most 2 ** 1000: a factor that rounds nothing."""
    return np.ldexp(1.0, np.minimum(exponent, 1000))


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


@cache
def _controller() -> ThreadpoolController:
    """Return the controller of the BLAS, which takes milliseconds to find."""
    return ThreadpoolController()


def _cores() -> int:
    """Return the number of cores that this process may use, at most 8."""
    usable = getattr(os, "sched_getaffinity", None)
    return min(len(usable(0)) if usable else os.cpu_count() or 1, _MOST_WORKERS)

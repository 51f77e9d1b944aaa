"""Search: ranking over segments, keywords, filters, relevance, and items of the results."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import SettingError, StoreError
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.grouping import Groups, best_of_groups, has_few_groups, with_members
from commonspace.retrieval.items import Item, Query, SearchResult, SearchResults
from commonspace.retrieval.keywords import KeywordMatches, match_keywords
from commonspace.retrieval.likeness import ItemLikeness
from commonspace.retrieval.moments import Moment, Moments
from commonspace.retrieval.query_vectors import (
    QueryItem,
    QueryVectors,
    query_vectors,
    ranking_vectors,
)
from commonspace.retrieval.rerank import CANDIDATES, rerank_hits
from commonspace.retrieval.segments import Hits, merge, put_first, unique_items
from commonspace.retrieval.sorting import sort_results, to_be_sorted
from commonspace.retrieval.sources import PhotoFolders
from commonspace.retrieval.store import Store
from commonspace.retrieval.vector_index import VectorIndex, VectorState
from commonspace.space import CommonSpace

__all__ = ["Searcher"]

_TRIES = 20
"""Attempts of a search whose results are replaced or removed by other processes meanwhile."""

MATCHES = 0.5
"""Probability that a query is like the training data, below which nothing matches it."""


class Searcher:
    """Searches an index.

    Args:
        store: the store.
        vectors: the vector index.
        embedder: returns the number of the current space, and the space with its encoders.
        photos: returns the photo folders.
    """

    def __init__(
        self,
        store: Store,
        vectors: VectorIndex,
        embedder: Callable[[], tuple[int, Embedder]],
        photos: Callable[[], PhotoFolders],
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._photos = photos
        self._moments = Moments(store, vectors)
        self._likeness = ItemLikeness(store)

    def search(self, queries: Sequence[Query]) -> list[SearchResults]:
        """Return the results of each query; all texts are embedded in one pass, and all images.

        Raises:
            SettingError: If a query has an unknown id, modality or field, or asks for what the
                space does not support.
            DataError: If an image or a vector cannot be used.
        """
        while True:
            number, embedder = self._embedder()
            vectors = query_vectors(self._store, number, embedder, queries, self._likeness)
            calibrated = embedder.space.calibrated
            ranked = [to_be_sorted(query, calibrated) for query in queries]
            groups: dict[tuple[object, ...], list[int]] = {}
            for row, query in enumerate(ranked):
                groups.setdefault(_options(query), []).append(row)
            results: dict[int, SearchResults] = {}
            for rows in groups.values():
                found = self._search_group(
                    embedder.space,
                    number,
                    vectors.take(rows),
                    [ranked[row] for row in rows],
                )
                if found is None:  # the index has moved to another space: embed again
                    break
                results.update(zip(rows, found, strict=True))
            else:
                return [sort_results(results[row], query) for row, query in enumerate(queries)]

    def embed(self, query: Query) -> NDArray[np.float32]:
        """Return the (d,) vector of a query."""
        number, embedder = self._embedder()
        return np.asarray(query_vectors(self._store, number, embedder, [query]).values[0])

    def _search_group(
        self,
        space: CommonSpace,
        number: int,
        vectors: QueryVectors,
        queries: list[Query],
    ) -> list[SearchResults] | None:
        """Return the results of queries with equal options; None if the space has changed."""
        query = queries[0]
        if query.min_relevance is not None and not space.calibrated:
            raise SettingError(
                "`min_relevance` is not available: the space of the index is not calibrated",
                expected="a space calibrated on enough labeled validation samples",
                found=repr(space),
                advice="leave min_relevance out and filter by score",
            )
        weighted = ranking_vectors(space, vectors.values, query.instance_weight, vectors.unlike)
        own = vectors.own
        depth = query.offset + query.k + own.shape[1]
        reranks = query.diversity > 0 or query.max_similarity is not None
        depth = max(depth, CANDIDATES) if reranks else depth
        for attempt in range(_TRIES):
            moment = self._moments.now(query)
            if moment.state.space != number:
                return None
            ranked = _drop_items(self._hits(moment, weighted, query.modality, depth), own)
            grouped = moment.groups
            wanted = max(query.offset + query.k, CANDIDATES if reranks else 0)
            while (
                grouped is not None
                and depth < moment.total
                and has_few_groups(ranked, grouped, own, wanted)
            ):
                depth *= 4
                ranked = _drop_items(self._hits(moment, weighted, query.modality, depth), own)
            with self._store.reading():
                if self._store.space != number:
                    return None
                words = [self._keywords(one, moment) for one in queries]
                named = [
                    [item for item in one.items if item not in excluded]
                    for one, excluded in zip(words, own.tolist(), strict=True)
                ]
                first = self._item_hits(moment, weighted, query.modality, named)
                hits, groups = put_first(first, ranked), list[dict[int, list[int]]]()
                if grouped is not None:
                    hits = best_of_groups(hits, grouped, own)
                if reranks:
                    hits, groups = rerank_hits(self._store, space, moment.state, hits, named, query)
                hits = hits.between(query.offset, query.offset + query.k)
                groups = with_members(groups, hits, grouped)
                shown = set(hits.items[hits.items >= 0].tolist())
                numbers = sorted(shown | _behind(groups, shown))
                items = self._store.items(numbers, self._photos().resolve)
                if len(items) < len(numbers):
                    if self._store.generation == moment.state.generation:
                        raise self._inconsistent(len(numbers) - len(items))
                    if attempt < _TRIES - 1:
                        continue  # some were replaced or removed meanwhile: search again
                    hits = _keep_items(hits, items)
                relevance = self._relevance(space, moment.state, vectors, hits)
            break
        inside = np.where([one.are_known for one in words], 1.0, vectors.inside)
        relevance = None if relevance is None else relevance * inside[:, None]
        names = {at: name for name, at in moment.state.modalities.items()}
        return [
            SearchResults(
                _results(
                    hits,
                    row,
                    relevance,
                    items,
                    names,
                    query.min_relevance,
                    named[row],
                    groups[row] if groups else {},
                ),
                _total(moment, grouped, vectors.items[row], query.modality),
                nothing_matches=bool(inside[row] < MATCHES),
            )
            for row in range(len(queries))
        ]

    def _hits(
        self, moment: Moment, queries: NDArray[np.float32], modality: str | None, depth: int
    ) -> Hits:
        segments = moment.state.segments
        if modality is not None:
            number = moment.state.modalities[modality]
            segments = {number: segments[number]}
        found = [
            segment.search(queries, depth, moment.allowed, self._store)
            for segment in segments.values()
        ]
        if len(found) == 1:
            return found[0]
        return unique_items(merge(found, len(queries), depth * len(found))).between(0, depth)

    def _keywords(self, query: Query, moment: Moment) -> KeywordMatches:
        """Return the items that the words of a query of text alone name, the best first."""
        others = (query.image, query.vector, query.id)
        if not query.keywords or query.text is None or any(one is not None for one in others):
            return KeywordMatches([], are_known=False)
        found = match_keywords(self._store, query.text)
        if moment.allowed is None:
            return found
        return found._replace(items=[one for one in found.items if one in moment.allowed])

    def _item_hits(
        self,
        moment: Moment,
        queries: NDArray[np.float32],
        modality: str | None,
        named: list[list[int]],
    ) -> Hits:
        """Return the best entry of some items for each query, in the order of the items."""
        state = moment.state
        names = state.modalities if modality is None else {modality: state.modalities[modality]}
        entries = self._store.entries_of({item for row in named for item in row})
        shape = len(named), max(map(len, named), default=0)
        scores = np.full(shape, -np.inf, dtype=np.float32)
        keys = np.full((3, *shape), -1, dtype=np.int64)  # entry, item, modality
        for one in names.values():
            entry_of = {item: entry for item, kind, entry in entries if kind == one}
            vectors = self._store.vectors_of(state.space, one, entry_of.values())
            for row, items in enumerate(named):
                for rank, item in enumerate(items):
                    entry = entry_of.get(item, -1)
                    score = vectors[entry] @ queries[row] if entry in vectors else -np.inf
                    if score > scores[row, rank]:
                        scores[row, rank], keys[:, row, rank] = score, (entry, item, one)
        return Hits(scores, *keys)

    def _relevance(
        self, space: CommonSpace, state: VectorState, vectors: QueryVectors, hits: Hits
    ) -> NDArray[np.float64] | None:
        """Return (q, k) probabilities, of the scores at instance weight 0; None if uncalibrated."""
        if not space.calibrated:
            return None
        there = hits.entries >= 0
        if (
            not space.has_instance_block and not vectors.unlike.any()
        ):  # these scores are the calibrated ones
            return space.relevance(np.where(there, hits.scores, 0))
        queries = space.as_queries(vectors.values, 0.0 if space.has_instance_block else None)
        scores = np.zeros(hits.scores.shape, dtype=np.float32)
        for modality in sorted(set(hits.modalities[there].tolist())):
            at = np.nonzero(there & (hits.modalities == modality))
            entries = hits.entries[at]
            values = self._store.vectors_of(state.space, modality, sorted({*entries.tolist()}))
            rows = np.stack([values[entry] for entry in entries.tolist()])
            scores[at] = np.einsum("nd,nd->n", queries[at[0]], rows)
        return space.relevance(scores)

    def _inconsistent(self, count: int) -> StoreError:
        return StoreError(
            f"{self._store.path} contains vectors without their items",
            expected="an item for each vector",
            found=f"{count} missing items",
            advice="commonspace verify INDEX lists what is damaged",
        )


def _options(query: Query) -> tuple[object, ...]:
    return (
        query.k,
        query.offset,
        query.modality,
        query.where,
        query.instance_weight,
        query.min_relevance,
        query.keywords,
        query.without,
        query.diversity,
        query.max_similarity,
        query.group_by,
        query.sort,
    )


def _drop_items(hits: Hits, own: NDArray[np.int64]) -> Hits:
    """Return hits without the items that each row's query names; the others move up."""
    if not (own >= 0).any():
        return hits
    named = (hits.items[:, :, None] == own[:, None, :]).any(axis=2)
    return hits.drop(named & (hits.items >= 0))


def _total(
    moment: Moment, groups: Groups | None, own: list[QueryItem], modality: str | None
) -> int:
    """Return the number of items, or groups, that can be results of a query."""
    counted = [item.number for item in own if _counts(item, moment, modality)]
    if groups is None:
        return moment.total - len(set(counted))
    return groups.number - len(np.unique(groups.of(np.array(counted, dtype=np.int64))))


def _keep_items(hits: Hits, items: dict[int, Item]) -> Hits:
    """Return hits without the items that are gone."""
    return hits.drop(~np.isin(hits.items, list(items)))


def _counts(own: QueryItem, moment: Moment, modality: str | None) -> bool:
    """Return whether an item that a query names is among those that were counted."""
    item, modalities = own
    if modality is not None and modality not in modalities:
        return False
    return moment.allowed is None or bool(np.isin(item, moment.allowed))


def _behind(groups: list[dict[int, list[int]]], shown: set[int]) -> set[int]:
    """Return the items behind those that are shown."""
    return {
        one for row in groups for item, behind in row.items() if item in shown for one in behind
    }


def _results(
    hits: Hits,
    row: int,
    relevance: NDArray[np.float64] | None,
    items: dict[int, Item],
    names: dict[int, str],
    min_relevance: float | None,
    named: list[int],
    behind: dict[int, list[int]],
) -> list[SearchResult]:
    results = []
    for rank, number in enumerate(hits.items[row].tolist()):
        if number < 0:
            continue
        probability = None if relevance is None else float(relevance[row, rank])
        if min_relevance is not None and (probability or 0.0) < min_relevance:
            continue
        results.append(
            SearchResult(
                **vars(items[number]),
                modality=names[int(hits.modalities[row, rank])],
                score=float(hits.scores[row, rank]),
                relevance=probability,
                has_keywords=number in named,
                similar=tuple(items[one].id for one in behind.get(number, ()) if one in items),
            )
        )
    return results

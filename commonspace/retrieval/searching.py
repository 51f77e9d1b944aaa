"""A search, from vectors to found items: shelves, filter, relevance, and what the store knows.

It knows no words and no pictures: queries come as vectors of the common space.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import SettingError, StoreError, check_settings
from commonspace.retrieval.catalogue import items_where, kept_of
from commonspace.retrieval.query import Found
from commonspace.retrieval.records import Kept
from commonspace.retrieval.shelf import Hits, best, each_once
from commonspace.retrieval.shelves import Shelves, State
from commonspace.retrieval.store import Store
from commonspace.retrieval.where import condition
from commonspace.space import CommonSpace

__all__ = ["Search", "Searcher"]

_TRIES = 20
"""Searches that may be overtaken by others who replace or remove what they found."""


@dataclass(frozen=True)
class Search:
    """How to search.

    Args:
        k: how many items for each query; all, where there are fewer.
        modality: only by this modality of the items; None: by whichever fits best.
        where: only items that this condition holds for; see ``retrieval.where``.
        instance_weight: from 0, "the same kind", to 1, "this very thing"; None: the method's mixture.
        min_relevance: only items that are at least so probably relevant.

    Raises:
        SettingError: a value that cannot work.
    """

    k: int = 10
    modality: str | None = None
    where: str | None = None
    instance_weight: float | None = None
    min_relevance: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        k, least, where, fine = self.k, self.min_relevance, self.where, self.instance_weight
        checks = (
            ("k", type(k) is int and k >= 1, "a whole number from 1"),
            ("modality", isinstance(self.modality, str | None), "a name"),
            ("where", isinstance(where, str | None), "a condition, such as 'price < 50'"),
            ("instance_weight", fine is None or _is_share(fine), "from 0 to 1"),
            ("min_relevance", least is None or _is_share(least), "from 0 to 1"),
        )
        check_settings(self, checks)


def _is_share(value: object) -> bool:
    """Tell whether a value is a number from 0 to 1."""
    return isinstance(value, int | float | np.number) and bool(0 <= value <= 1)


class Searcher:
    """Searches the shelves of an index.

    Args:
        store: the truth.
        shelves: what is searched.
    """

    def __init__(self, store: Store, shelves: Shelves) -> None:
        """Keep the parts."""
        self.store = store
        self.shelves = shelves
        self._filters: dict[tuple[int, str], NDArray[np.int64]] = {}

    def find(
        self, space: CommonSpace, number: int, vectors: NDArray[np.float32], search: Search
    ) -> list[list[Found]] | None:
        """Return the items that each query finds, the best first.

        Args:
            space: the space of the index.
            number: of this space.
            vectors: (q, d), the queries as ``embed`` gave them.
            search: how to search.

        Returns:
            None where the index has meanwhile moved to another space.

        Raises:
            SettingError: an unknown modality or field, a instance_weight or relevance that the space
                does not know.
        """
        if search.min_relevance is not None and not space.calibrated:
            raise SettingError(
                "the space of the index tells no relevance",
                expected="a space that was calibrated on validation when it was fitted",
                found=repr(space),
                advice="leave min_relevance out and cut by the score",
            )
        asked = space.as_queries(vectors, search.instance_weight)
        for attempt in range(_TRIES):
            state, allowed = self._moment(search.where)
            if state.space != number:
                return None
            hits = self._hits(state, asked, search, allowed)
            numbers = np.unique(hits.items[hits.items >= 0]).tolist()
            with self.store.reading():
                if self.store.space != number:
                    return None
                kept = kept_of(self.store, numbers, state.fields)
                if len(kept) < len(numbers):
                    if self.store.generation == state.generation:
                        raise self._torn(len(numbers) - len(kept))
                    if attempt < _TRIES - 1:
                        continue  # some were replaced or removed meanwhile: search again
                    hits = _without(hits, kept)
                relevance = self._relevance(space, state, vectors, hits)
            break
        names = {at: name for name, at in state.modalities.items()}
        return [_found(hits, row, relevance, kept, names, search) for row in range(len(asked))]

    def _moment(self, where: str | None) -> tuple[State, NDArray[np.int64] | None]:
        """Return the shelves and the items that a condition holds for, of one generation.

        The last few answers are remembered.
        """
        while True:
            state = self.shelves.fresh()
            if where is None:
                return state, None
            with self.store.reading():
                if self.store.generation != state.generation:
                    continue
                key = (state.generation, where)
                if key not in self._filters:
                    items = items_where(self.store, condition(where, state.fields))
                    recent = [pair for pair in self._filters.items() if pair[0][0] == key[0]]
                    self._filters = {**dict(recent[-7:]), key: items}
                return state, self._filters[key]

    def _torn(self, count: int) -> StoreError:
        return StoreError(
            f"{self.store.path} holds vectors of items that it does not hold",
            expected="an item for each vector",
            found=f"{count} without",
            advice="commonspace verify INDEX says what is wrong",
        )

    def _hits(
        self,
        state: State,
        asked: NDArray[np.float32],
        search: Search,
        allowed: NDArray[np.int64] | None,
    ) -> Hits:
        shelves = state.shelves
        if search.modality is not None:
            numbers = state.modalities
            if search.modality not in numbers:
                raise SettingError(
                    "the index holds no such modality",
                    expected=" or ".join(map(repr, numbers)) or "items: the index is empty",
                    found=repr(search.modality),
                    advice="leave it out to search in all of them",
                )
            shelves = {numbers[search.modality]: shelves[numbers[search.modality]]}
        found = [shelf.search(asked, search.k, allowed) for shelf in shelves.values()]
        if len(found) == 1:
            return found[0]
        return each_once(best(found, len(asked), search.k * len(found))).first(search.k)

    def _relevance(
        self, space: CommonSpace, state: State, vectors: NDArray[np.float32], hits: Hits
    ) -> NDArray[np.float64] | None:
        """Return (q, k), of scores at instance_weight 0 where the space is granular; None without."""
        if not space.calibrated:
            return None
        there = hits.entries >= 0
        if not space.has_instance_block:  # then the scores at hand are those that were calibrated
            return space.relevance(np.where(there, hits.scores, 0))
        asked = space.as_queries(vectors, 0.0)
        scores = np.zeros(hits.scores.shape, dtype=np.float32)
        for modality in np.unique(hits.modalities[there]).tolist():
            at = np.nonzero(there & (hits.modalities == modality))
            entries = hits.entries[at]
            values = self.store.vectors_of(state.space, modality, np.unique(entries).tolist())
            rows = np.stack([values[entry] for entry in entries.tolist()])
            scores[at] = np.einsum("nd,nd->n", asked[at[0]], rows)
        return space.relevance(scores)


def _without(hits: Hits, kept: dict[int, Kept]) -> Hits:
    """Return hits without the items that are gone."""
    gone = ~np.isin(hits.items, list(kept))
    items, entries = (np.where(gone, -1, table) for table in (hits.items, hits.entries))
    return Hits(hits.scores, entries, items, hits.modalities)


def _found(
    hits: Hits,
    row: int,
    relevance: NDArray[np.float64] | None,
    kept: dict[int, Kept],
    names: dict[int, str],
    search: Search,
) -> list[Found]:
    found = []
    for place, item in enumerate(hits.items[row].tolist()):
        if item < 0:
            continue
        one = kept[item]
        probable = None if relevance is None else float(relevance[row, place])
        if search.min_relevance is not None and (probable or 0.0) < search.min_relevance:
            continue
        found.append(
            Found(
                one.id,
                names[int(hits.modalities[row, place])],
                float(hits.scores[row, place]),
                probable,
                one.labels,
                one.split,
                one.fields,
                one.texts,
                one.photo,
                one.pictured,
            )
        )
    return found

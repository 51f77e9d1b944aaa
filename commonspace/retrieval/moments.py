"""Moments of an index: its segments and what filters leave of its items, of one generation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import SettingError
from commonspace.retrieval.filter import compile_filter
from commonspace.retrieval.grouping import Groups, check_field, read_groups
from commonspace.retrieval.items import Query
from commonspace.retrieval.keywords import items_with_words
from commonspace.retrieval.store import Store
from commonspace.retrieval.vector_index import VectorIndex, VectorState

__all__ = ["Moment", "Moments"]

_CACHED = 100
"""Totals that are cached."""

_CACHED_ITEMS = 8
"""Filters and groups that are cached, with an entry for each item."""


@dataclass(frozen=True)
class Moment:
    """The segments, and what a filter leaves of them, at one generation."""

    state: VectorState
    allowed: NDArray[np.int64] | None
    """Numbers of the items that the filter accepts; None without a filter."""
    total: int
    """Number of items that the filter accepts and that have the modality."""
    groups: Groups | None
    """Groups of these items; None without ``group_by``."""


class Moments:
    """Moments of an open index; filters, totals and groups are cached for each generation.

    Args:
        store: the store.
        vectors: the vector index.
    """

    def __init__(self, store: Store, vectors: VectorIndex) -> None:
        self._store = store
        self._vectors = vectors
        self._filters: dict[tuple[int, str | None, str | None], NDArray[np.int64]] = {}
        self._totals: dict[tuple[int, str | None, str | None, str | None], int] = {}
        self._groups: dict[tuple[int, str | None, str | None, str | None, str], Groups] = {}

    def now(self, query: Query) -> Moment:
        """Return the segments and what the filters of a query leave, of one generation.

        Args:
            query: its ``where``, ``without``, ``modality`` and ``group_by``; ``sort`` is checked.

        Raises:
            SettingError: If a filter is invalid, or a modality or field unknown.
        """
        where, without, modality = query.where, query.without, query.modality
        while True:
            state = self._vectors.state()
            _check_names(query, state)
            key = (state.generation, where, without, modality)
            filtered = where is not None or without is not None
            if not filtered and query.group_by is None and key in self._totals:
                return Moment(state, None, self._totals[key], None)
            with self._store.reading():
                if self._store.generation != state.generation:
                    continue
                allowed = self._allowed(where, without, state) if filtered else None
                if key not in self._totals:
                    self._totals = _recent(self._totals, state.generation, _CACHED)
                    self._totals[key] = self._count(allowed, modality, state)
                groups = self._read_groups(query, allowed, state)
                return Moment(state, allowed, self._totals[key], groups)

    def _allowed(
        self, where: str | None, without: str | None, state: VectorState
    ) -> NDArray[np.int64]:
        key = state.generation, where, without
        if key not in self._filters:
            items = self._matching_items(where, without, state)
            self._filters = _recent(self._filters, state.generation, _CACHED_ITEMS)
            self._filters[key] = items
        return self._filters[key]

    def _count(
        self, allowed: NDArray[np.int64] | None, modality: str | None, state: VectorState
    ) -> int:
        if modality is not None:
            return state.segments[state.modalities[modality]].count(allowed)
        return len(self._store) if allowed is None else len(allowed)

    def _read_groups(
        self, query: Query, allowed: NDArray[np.int64] | None, state: VectorState
    ) -> Groups | None:
        if query.group_by is None:
            return None
        key = (state.generation, query.where, query.without, query.modality, query.group_by)
        if key not in self._groups:
            modality = None if query.modality is None else state.modalities[query.modality]
            groups = read_groups(self._store, state.fields[query.group_by], allowed, modality)
            self._groups = _recent(self._groups, state.generation, _CACHED_ITEMS)
            self._groups[key] = groups
        return self._groups[key]

    def _matching_items(
        self, where: str | None, without: str | None, state: VectorState
    ) -> NDArray[np.int64]:
        """Return the numbers of the items that a filter accepts, without some words, ascending."""
        sql, parameters = "SELECT item FROM items", tuple[Any, ...]()
        if where is not None:
            compiled = compile_filter(where, state.fields)
            sql, parameters = f"{sql} WHERE {compiled.sql}", tuple(compiled.parameters)
        rows = self._store.scan(f"{sql} ORDER BY item", parameters)
        items = np.array([row[0] for row in rows], dtype=np.int64)
        if without is not None:
            avoided = np.array(items_with_words(self._store, without), dtype=np.int64)
            items = np.setdiff1d(items, avoided, assume_unique=True)
        return items


def _check_names(query: Query, state: VectorState) -> None:
    if query.modality is not None and query.modality not in state.modalities:
        raise SettingError(
            f"the index has no modality {query.modality[:80]!r}",
            expected=" or ".join(map(repr, state.modalities)) or "items: it is empty",
            found=repr(query.modality)[:80],
            advice="leave modality out to search all of them",
        )
    if query.sort is not None:
        check_field(query.sort.removeprefix("-"), "sort", state.fields)
    if query.group_by is not None:
        check_field(query.group_by, "group_by", state.fields)


def _recent(cache: dict[Any, Any], generation: int, size: int) -> dict[Any, Any]:
    """Return the last entries of a cache that belong to a generation."""
    return dict([pair for pair in cache.items() if pair[0][0] == generation][1 - size :])

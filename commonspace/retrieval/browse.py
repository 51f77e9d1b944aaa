"""An open index as it is looked through: one item, how many, which fields, every vector.

It knows no queries and no ranking.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Images
from commonspace.retrieval.catalogue import numbers_of, read_items
from commonspace.retrieval.items import Item
from commonspace.retrieval.opened import Opened
from commonspace.retrieval.records import Source
from commonspace.retrieval.sources import column_of
from commonspace.retrieval.where import condition

__all__ = [
    "AllVectors",
    "Facts",
    "FieldFacts",
    "all_vectors",
    "count_facets",
    "count_items",
    "facts_of",
    "read_item",
    "read_picture",
    "read_vectors",
]

SHOWN_VALUES = 50
"""Values of a field, and no more, are worth listing."""


@dataclass(frozen=True)
class FieldFacts:
    """What the items hold in one field."""

    kind: str
    """"number", "string", "boolean" or "mixed"."""
    values: tuple[Any, ...]
    """The most frequent ones, at most 50, the most frequent first."""
    distinct: int
    """How many values there are."""
    low: float | None
    """The smallest number; None where there is none."""
    high: float | None
    """The largest number."""


@dataclass(frozen=True)
class Facts:
    """What a person can filter by."""

    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    """Those that items carry, in alphabetical order."""
    fields: dict[str, FieldFacts]
    generation: int
    """Of the store, when this was true."""


@dataclass(frozen=True)
class AllVectors:
    """Every vector of an index, and what it belongs to."""

    ids: tuple[str, ...]
    """n ids; an item with two modalities stands twice."""
    labels: tuple[tuple[str, ...], ...]
    """n times the classes of the item."""
    modalities: tuple[str, ...]
    """The names of m modalities."""
    modality: NDArray[np.intp]
    """(n,), which of them."""
    values: NDArray[np.float32]
    """(n, d)."""
    generation: int
    """Of the store, when this was true."""


def read_item(opened: Opened, id: str) -> Item | None:
    """Return an item; None if the id is unknown."""
    store = opened.store
    with store.reading():
        numbers = numbers_of(store, [id])
        return next(iter(read_items(store, numbers.values(), store.fields).values()), None)


def read_vectors(opened: Opened, id: str) -> dict[str, NDArray[np.float32]]:
    """Return modality -> (d,) vector of an item; empty if the id is unknown."""
    store = opened.store
    with store.reading():
        number = numbers_of(store, [id]).get(id)
        return {} if number is None else store.item_vectors(store.space, number)


def read_picture(opened: Opened, id: str) -> NDArray[np.uint8] | Path | None:
    """Return the picture of an item: its pixels, or its file; None if it has none."""
    store = opened.store
    sql = (
        "SELECT form, raw FROM items JOIN entries USING (item) JOIN sources USING (entry)"
        " WHERE id = ? AND form IN ('photo', 'pixels') ORDER BY modality LIMIT 1"
    )
    for form, raw in store.rows(sql, (id,)):
        if form == "photo":
            return Path(raw)
        column = column_of(form, [Source(form, raw, None, b"")], features=False)
        assert isinstance(column, Images)
        pixels = column.items[0]
        assert isinstance(pixels, np.ndarray)
        return pixels
    return None


def count_items(opened: Opened, where: str | None, modality: str | None) -> int:
    """Return how many items a condition holds for, of those that have a modality.

    Raises:
        SettingError: the condition cannot be understood.
    """
    store = opened.store
    with store.reading():
        tests: list[str] = []
        parameters: list[Any] = []
        if where is not None:
            asked = condition(where, store.fields)
            tests.append(f"({asked.sql})")
            parameters += asked.parameters
        if modality is not None:
            tests.append(
                "item IN (SELECT item FROM entries JOIN modalities USING (modality) WHERE name = ?)"
            )
            parameters.append(modality)
        sql = "SELECT count(*) FROM items" + (" WHERE " + " AND ".join(tests) if tests else "")
        return int(store.rows(sql, parameters)[0][0])


def facts_of(opened: Opened) -> Facts:
    """Return what a person can filter by; every item is looked at once."""
    store = opened.store
    with store.reading():
        names = {place: name for name, place in store.fields.items()}
        counts: dict[str, Counter[Any]] = {name: Counter() for name in names.values()}
        classes: set[str] = set()
        for labels, fields in store.rows("SELECT labels, fields FROM items"):
            classes.update(json.loads(labels))
            for place, value in enumerate(json.loads(fields)):
                for one in value if isinstance(value, list) else [value]:
                    if one is not None:
                        counts[names[place]][(type(one) is bool, one)] += 1
        modalities = tuple(opened.shelves.fresh().modalities)
        generation = store.generation
    fields_found = {name: _facts_of_field(found) for name, found in counts.items() if found}
    return Facts(modalities, tuple(sorted(classes)), fields_found, generation)


def count_facets(opened: Opened, where: str | None) -> dict[str, Counter[Any]]:
    """Return field -> value -> number of items that a condition accepts; "label" has the classes.

    Raises:
        SettingError: If the condition is invalid.
    """
    store = opened.store
    with store.reading():
        names = {place: name for name, place in store.fields.items()}
        sql, parameters = "SELECT labels, fields FROM items", list[Any]()
        if where is not None:
            accepted = condition(where, store.fields)
            sql, parameters = f"{sql} WHERE {accepted.sql}", list(accepted.parameters)
        counts: dict[str, Counter[Any]] = {"label": Counter()}
        for labels, fields in store.rows(sql, parameters):
            counts["label"].update(json.loads(labels))
            for place, value in enumerate(json.loads(fields)):
                if value is not None:
                    values = set(value) if isinstance(value, list) else [value]
                    counts.setdefault(names[place], Counter()).update(values)
    return counts


def all_vectors(opened: Opened) -> AllVectors:
    """Return every vector, in the order of modalities and entries."""
    store = opened.store
    with store.reading():
        space, generation = store.space, store.generation
        known = {
            item: (id, tuple(json.loads(labels)))
            for item, id, labels in store.rows("SELECT item, id, labels FROM items")
        }
        modalities = dict(store.modalities)
        found = [store.vectors(space, number) for number in modalities.values()]
        dimension = store.space_facts(space)[1]
    items = [item for part in found for item in part.items.tolist()]
    none = np.empty((0, dimension), dtype=np.float32)
    return AllVectors(
        tuple(known[item][0] for item in items),
        tuple(known[item][1] for item in items),
        tuple(modalities),
        np.repeat(np.arange(len(found)), [len(part.items) for part in found]),
        np.concatenate([none, *(part.values for part in found)]),
        generation,
    )


def _facts_of_field(counts: Counter[tuple[bool, Any]]) -> FieldFacts:
    values = [value for (_, value), _ in counts.most_common(SHOWN_VALUES)]
    kinds = {_kind(value) for _, value in counts}
    numbers = [float(value) for _, value in counts if _kind(value) == "number"]
    return FieldFacts(
        kinds.pop() if len(kinds) == 1 else "mixed",
        tuple(values),
        len(counts),
        min(numbers, default=None),
        max(numbers, default=None),
    )


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"

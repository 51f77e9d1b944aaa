"""The items of a store as they are read: who is there, what they carry, which fit a condition.

It knows no vectors.
"""

import json
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from commonspace.retrieval.items import Item
from commonspace.retrieval.store import Store
from commonspace.retrieval.where import Condition

__all__ = ["digests_of", "items_where", "labels_of", "numbers_of", "read_items"]


def numbers_of(store: Store, ids: Iterable[str]) -> dict[str, int]:
    """Return the number of each item that is there, of those named."""
    asked = json.dumps(list(ids))
    sql = "SELECT id, item FROM items WHERE id IN (SELECT value FROM json_each(?))"
    return dict(store.rows(sql, (asked,)))


def digests_of(store: Store, items: Iterable[int]) -> dict[int, dict[str, bytes]]:
    """Return the digest of each modality of some items."""
    sql = (
        "SELECT item, name, digest FROM entries JOIN modalities USING (modality)"
        " WHERE item IN (SELECT value FROM json_each(?))"
    )
    found: dict[int, dict[str, bytes]] = {}
    for item, name, digest in store.rows(sql, (json.dumps(list(items)),)):
        found.setdefault(item, {})[name] = digest
    return found


def read_items(store: Store, numbers: Iterable[int], fields: Mapping[str, int]) -> dict[int, Item]:
    """Return number -> item, of the items that exist.

    Args:
        store: where they are.
        numbers: of the items.
        fields: ``store.fields`` of the same generation.
    """
    parameters = (json.dumps(list(numbers)),)
    names = {place: name for name, place in fields.items()}
    sources: dict[int, dict[str, str]] = {}
    modalities: dict[int, list[str]] = {}
    sql = (
        "SELECT item, name, form, CASE form WHEN 'pixels' THEN '' ELSE raw END"
        " FROM entries JOIN modalities USING (modality) JOIN sources USING (entry)"
        " WHERE item IN (SELECT value FROM json_each(?)) ORDER BY modality"
    )
    for item, name, form, raw in store.rows(sql, parameters):
        modalities.setdefault(item, []).append(name)
        sources.setdefault(item, {})[form] = raw
    sql = (
        "SELECT item, id, split, labels, fields FROM items"
        " WHERE item IN (SELECT value FROM json_each(?))"
    )
    return {
        item: Item(
            id=id,
            split=split,
            labels=tuple(json.loads(labels)),
            fields={
                names[place]: value
                for place, value in enumerate(json.loads(values))
                if value is not None
            },
            texts=tuple(json.loads(sources.get(item, {}).get("texts", "[]"))),
            photo=sources.get(item, {}).get("photo"),
            has_picture=bool({"photo", "pixels"} & sources.get(item, {}).keys()),
            modalities=tuple(modalities.get(item, ())),
        )
        for item, id, split, labels, values in store.rows(sql, parameters)
    }


def labels_of(store: Store) -> dict[int, frozenset[str]]:
    """Return the classes of each item that has any."""
    marks: dict[int, set[str]] = {}
    for item, label in store.rows("SELECT item, value FROM items, json_each(items.labels)"):
        marks.setdefault(item, set()).add(label)
    return {item: frozenset(names) for item, names in marks.items()}


def items_where(store: Store, condition: Condition) -> NDArray[np.int64]:
    """Return the numbers of the items that a condition holds for, ascending."""
    sql = f"SELECT item FROM items WHERE {condition.sql} ORDER BY item"
    return np.array([row[0] for row in store.rows(sql, condition.parameters)], dtype=np.int64)

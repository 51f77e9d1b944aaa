"""The items of a store as they are read: who is there, what they carry, which fit a condition.

It knows no vectors.
"""

import json
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from commonspace.retrieval.records import Kept
from commonspace.retrieval.store import Store
from commonspace.retrieval.where import Condition

__all__ = ["digests_of", "items_where", "kept_of", "labels_of", "numbers_of"]


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


def kept_of(
    store: Store, items: Iterable[int], fields: Mapping[str, int], *, shown: bool = True
) -> dict[int, Kept]:
    """Return what is kept of some items: those that are still there.

    Args:
        store: where they are.
        items: their numbers.
        fields: what ``fields`` of this very generation gave.
        shown: whether texts and paths of pictures are wanted, too.
    """
    asked = (json.dumps(list(items)),)
    names = {place: name for name, place in fields.items()}
    raw: dict[int, dict[str, str]] = {}
    if shown:
        sql = (
            "SELECT item, form, CASE form WHEN 'pixels' THEN '' ELSE raw END"
            " FROM entries JOIN sources USING (entry)"
            " WHERE item IN (SELECT value FROM json_each(?)) AND form <> ''"
        )
        for item, form, content in store.rows(sql, asked):
            raw.setdefault(item, {})[form] = content
    sql = (
        "SELECT item, id, split, labels, fields FROM items"
        " WHERE item IN (SELECT value FROM json_each(?))"
    )
    return {
        item: Kept(
            id,
            split,
            tuple(json.loads(labels)),
            {
                names[place]: value
                for place, value in enumerate(json.loads(fields))
                if value is not None
            },
            tuple(json.loads(raw.get(item, {}).get("texts", "[]"))),
            raw.get(item, {}).get("photo"),
            bool({"photo", "pixels"} & raw.get(item, {}).keys()),
        )
        for item, id, split, labels, fields in store.rows(sql, asked)
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

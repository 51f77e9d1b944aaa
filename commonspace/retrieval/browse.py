"""Contents of an index: number of items, values to filter by, pictures, all vectors."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.retrieval.database import row_checksum
from commonspace.retrieval.filter import compile_filter
from commonspace.retrieval.grouping import check_field
from commonspace.retrieval.keywords import items_with_words
from commonspace.retrieval.sources import PhotoFolders, is_damaged_copy, to_pixels
from commonspace.retrieval.store import Store
from commonspace.retrieval.vector_index import VectorState

__all__ = [
    "AllVectors",
    "FieldSummary",
    "Summary",
    "all_vectors",
    "count_facets",
    "count_groups",
    "count_items",
    "describe_contents",
    "item_labels",
    "read_picture",
    "read_summary",
    "variants_of",
]

MAX_VALUES = 50
"""Maximum number of values of a field that are listed."""


@dataclass(frozen=True)
class FieldSummary:
    """The values of one field."""

    kind: str
    """"number", "string", "boolean" or "mixed"."""
    values: tuple[Any, ...]
    """The most frequent values, at most 50, most frequent first."""
    distinct: int
    """Number of different values."""
    low: float | None
    """The smallest number; None if there are no numbers."""
    high: float | None
    """The largest number."""


@dataclass(frozen=True)
class Summary:
    """What users can filter by."""

    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    """Labels of items, in alphabetical order."""
    fields: dict[str, FieldSummary]
    generation: int
    """Generation of the store."""


@dataclass(frozen=True)
class AllVectors:
    """Every vector of an index."""

    ids: tuple[str, ...]
    """n ids; an item with two modalities occurs twice."""
    labels: tuple[tuple[str, ...], ...]
    """n times the classes of the item."""
    splits: tuple[str, ...]
    """n times "train", "validation" or "test": the split of the data that the item came from."""
    modalities: tuple[str, ...]
    """Names of m modalities."""
    modality: NDArray[np.intp]
    """(n,), position in ``modalities``."""
    values: NDArray[np.float32]
    """(n, d)."""
    generation: int
    """Generation of the store."""


def count_items(store: Store, where: str | None, modality: str | None) -> int:
    """Return the number of items that a filter accepts, of those that have a modality.

    Raises:
        SettingError: If the filter is invalid.
    """
    with store.reading():
        tests: list[str] = []
        parameters: list[Any] = []
        if where is not None:
            compiled = compile_filter(where, store.fields)
            tests.append(f"({compiled.sql})")
            parameters += compiled.parameters
        if modality is not None:
            tests.append(
                "item IN (SELECT item FROM entries JOIN modalities USING (modality) WHERE name = ?)"
            )
            parameters.append(modality)
        sql = "SELECT count(*) FROM items" + (" WHERE " + " AND ".join(tests) if tests else "")
        return int(store.scan(sql, parameters)[0][0])


def read_summary(store: Store, state: VectorState) -> Summary:
    """Return what users can filter by; this reads every item."""
    with store.reading():
        types = store.field_types
        names = list(types)
        counts: dict[str, Counter[Any]] = {name: Counter() for name in names}
        classes: set[str] = set()
        for labels, fields in store.scan("SELECT labels, fields FROM items"):
            classes.update(json.loads(labels))
            for name, value in zip(names, json.loads(fields), strict=False):
                for one in value if isinstance(value, list) else [value]:
                    if one is not None:
                        counts[name][(type(one) is bool, one)] += 1
        generation = store.generation
    fields_ = {name: _summarize(types[name], values) for name, values in counts.items() if values}
    return Summary(tuple(state.modalities), tuple(sorted(classes)), fields_, generation)


def count_facets(
    store: Store, where: str | None, group_by: str | None = None, without: str | None = None
) -> dict[str, Counter[Any]]:
    """Return field -> value -> number of items that a filter accepts; "label" has the classes.

    Args:
        store: of the index.
        where: a filter; None for all items.
        group_by: field whose equal values count as one item.
        without: words whose items are left out.

    Raises:
        SettingError: If the filter is invalid, or no item has the field.
    """
    with store.reading():
        names = list(store.fields)
        if group_by is not None:
            check_field(group_by, "group_by", store.fields)
        sql, parameters = "SELECT item, labels, fields FROM items", list[Any]()
        avoided = set() if without is None else set(items_with_words(store, without))
        if where is not None:
            accepted = compile_filter(where, store.fields)
            sql, parameters = f"{sql} WHERE {accepted.sql}", list(accepted.parameters)
        place = None if group_by is None else store.fields[group_by]
        counts: dict[str, Counter[Any]] = {"label": Counter()}
        seen: set[tuple[Any, ...]] = set()
        for item, labels, stored in store.scan(sql, parameters):
            if item in avoided:
                continue
            fields = json.loads(stored)
            group = None if place is None or place >= len(fields) else fields[place]
            pairs = [("label", json.loads(labels)), *zip(names, fields, strict=False)]
            for name, value in pairs:
                if value is None:
                    continue
                values = set(value) if isinstance(value, list) else {value}
                if group is not None:
                    new = {one for one in values if (group, name, one) not in seen}
                    seen.update((group, name, one) for one in new)
                    values = new
                counts.setdefault(name, Counter()).update(values)
    return counts


def count_groups(store: Store, field: str) -> int:
    """Return the number of items, those with equal values of a field counted once."""
    with store.reading():
        place = int(store.fields[field])
        sql = (
            f"SELECT count(DISTINCT json_extract(fields, '$[{place}]'))"
            f" + sum(json_extract(fields, '$[{place}]') IS NULL) FROM items"
        )
        return int(store.scan(sql)[0][0] or 0)


def variants_of(store: Store, id: str, field: str) -> list[str]:
    """Return the ids of the other items with the value of a field that an item has, by age.

    Args:
        store: of the index.
        id: of the item.
        field: name of the field; an unknown one, or an item without it, has no others.
    """
    with store.reading():
        place = store.fields.get(field)
        item = store.item_numbers([id]).get(id)
        if place is None or item is None:
            return []
        value = f"json_extract(fields, '$[{int(place)}]')"
        sql = (
            f"SELECT id FROM items WHERE item != ? AND {value} ="
            f" (SELECT {value} FROM items WHERE item = ?) ORDER BY item"
        )
        return [row[0] for row in store.scan(sql, (item, item))]


def all_vectors(store: Store) -> AllVectors:
    """Return every vector, in the order of modalities and entries."""
    with store.reading():
        space, generation = store.space, store.generation
        known = {
            item: (id, tuple(json.loads(labels)), split)
            for item, id, labels, split in store.scan("SELECT item, id, labels, split FROM items")
        }
        modalities = store.modalities
        parts = [store.vectors(space, number) for number in modalities.values()]
        dimension = store.describe_space(space)[1]
    items = [item for part in parts for item in part.items.tolist()]
    none = np.empty((0, dimension), dtype=np.float32)
    return AllVectors(
        tuple(known[item][0] for item in items),
        tuple(known[item][1] for item in items),
        tuple(known[item][2] for item in items),
        tuple(modalities),
        np.repeat(np.arange(len(parts)), [len(part.items) for part in parts]),
        np.concatenate([none, *(part.values for part in parts)]),
        generation,
    )


def read_picture(store: Store, photos: PhotoFolders, id: str) -> NDArray[np.uint8] | Path | None:
    """Return the picture of an item: (h, w, 3) pixels, or its file; None if it has none.

    Args:
        store: of the index.
        photos: its photo folders.
        id: of the item.

    Raises:
        StoreError: If the file is outside the photo folder, as a symbolic link may be, or if it is
            a damaged copy.
    """
    sql = (
        "SELECT s.* FROM items JOIN entries USING (item) JOIN sources AS s USING (entry)"
        " WHERE id = ? AND format IN ('photo', 'pixels') ORDER BY modality LIMIT 1"
    )
    for entry, format, raw, features, checksum in store.rows(sql, (id,)):
        if checksum != row_checksum(entry, format, raw, features):
            raise store.damaged(f"the photo of {id!r}", "another checksum")
        if format == "pixels":
            return to_pixels(raw)
        file = photos.check_inside(raw)
        if is_damaged_copy(photos.index, file):
            raise store.damaged(str(file), "another content than its name says")
        return file
    return None


def item_labels(store: Store) -> dict[int, frozenset[str]]:
    """Return number -> labels of each item that has any."""
    labels: dict[int, set[str]] = {}
    for item, label in store.rows("SELECT item, value FROM items, json_each(items.labels)"):
        labels.setdefault(item, set()).add(label)
    return {item: frozenset(names) for item, names in labels.items()}


def describe_contents(store: Store, state: VectorState, folder: Path) -> dict[str, Any]:
    """Return numbers of items and vectors, fields, space and sizes, as JSON values."""
    sizes = {
        name: sum(file.stat().st_size for file in folder.glob(pattern) if file.is_file())
        for name, pattern in (
            ("store", "store.sqlite*"),
            ("segments", "segments/*"),
            ("space", "spaces/*/*"),
            ("photos", "photos/*"),
        )
    }
    fingerprint, dimension = store.describe_space(state.space)
    sql = "SELECT count(DISTINCT value) FROM items, json_each(items.labels)"
    return {
        "items": len(store),
        "vectors": {name: len(state.segments[at]) for name, at in state.modalities.items()},
        "dimension": dimension,
        "classes": store.rows(sql)[0][0],
        "fields": list(state.fields),
        "field_types": store.field_types,
        "fingerprint": fingerprint,
        "generation": state.generation,
        "read_only": store.read_only,
        "bytes": sizes,
    }


def _summarize(kind: str, counts: Counter[tuple[bool, Any]]) -> FieldSummary:
    values = [value for (_, value), _ in counts.most_common(MAX_VALUES)]
    numbers = [
        float(value) for is_bool, value in counts if not is_bool and isinstance(value, int | float)
    ]
    return FieldSummary(
        kind,
        tuple(values),
        len(counts),
        min(numbers, default=None),
        max(numbers, default=None),
    )

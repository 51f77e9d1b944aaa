"""SQL statements that change a store; each function runs inside one transaction."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from commonspace.retrieval.database import row_checksum
from commonspace.retrieval.keywords import delete_keywords, write_keywords
from commonspace.retrieval.sources import NewItem
from commonspace.retrieval.store import vectors_table

__all__ = [
    "add_space",
    "delete_items",
    "drop_features",
    "drop_space",
    "insert_items",
    "insert_vectors",
    "set_field_types",
    "set_meta",
    "update_items",
    "update_photo_paths",
]


def insert_items(connection: sqlite3.Connection, space: int, items: Sequence[NewItem]) -> None:
    """Insert items with their sources and vectors; items with the same ids are replaced.

    Args:
        connection: inside a transaction.
        space: the space of the vectors.
        items: with distinct ids.
    """
    fields = _number_names(connection, "fields", [key for item in items for key in item.fields])
    names = [name for item in items for name in item.entries]
    modalities = _number_names(connection, "modalities", names)
    for modality in modalities.values():
        _create_vectors_table(connection, space, modality)
    ids = json.dumps([item.id for item in items])
    sql = "SELECT item FROM items WHERE id IN (SELECT value FROM json_each(?))"
    delete_items(connection, [row[0] for row in connection.execute(sql, (ids,))])
    number = _reserve(connection, "next_item", len(items))
    entry = _reserve(connection, "next_entry", len(names))
    item_rows, entry_rows, source_rows = [], [], []
    vector_rows: dict[int, list[tuple[int, int, bytes]]] = {}
    for item in items:
        row = (number, item.id, *_describe(item, fields), len(item.entries))
        item_rows.append((*row, row_checksum(*row)))
        for name, (source, vector) in item.entries.items():
            modality = modalities[name]
            content = (source.format, source.raw, source.features)
            identity = (entry, number, modality, source.digest)
            entry_rows.append((*identity, row_checksum(*identity)))
            source_rows.append((entry, *content, row_checksum(entry, *content)))
            vector_rows.setdefault(modality, []).append((entry, number, vector))
            entry += 1
        number += 1
    connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", item_rows)
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", entry_rows)
    connection.executemany("INSERT INTO sources VALUES (?, ?, ?, ?, ?)", source_rows)
    for modality, rows in vector_rows.items():
        insert_vectors(connection, space, modality, rows)
    write_keywords(connection, [row[0] for row in item_rows])


def update_items(connection: sqlite3.Connection, items: Mapping[int, NewItem]) -> None:
    """Change splits, labels and fields of items; their entries stay.

    Args:
        connection: inside a transaction.
        items: number -> the new description.
    """
    names = [key for item in items.values() for key in item.fields]
    fields = _number_names(connection, "fields", names)
    rows = []
    sql = "SELECT item, entries FROM items WHERE item IN (SELECT value FROM json_each(?))"
    counts = dict(connection.execute(sql, (json.dumps(list(items)),)).fetchall())
    for number, item in items.items():
        described = _describe(item, fields)
        checksum = row_checksum(number, item.id, *described, counts[number])
        rows.append((*described, checksum, number))
    connection.executemany(
        "UPDATE items SET split = ?, labels = ?, fields = ?, checksum = ? WHERE item = ?", rows
    )
    write_keywords(connection, items)


def update_photo_paths(connection: sqlite3.Connection, paths: Mapping[int, str]) -> None:
    """Change the stored photo paths of items.

    Args:
        connection: inside a transaction.
        paths: number of the item -> stored path of its photo.
    """
    sql = (
        "SELECT item, entry, features FROM entries JOIN sources USING (entry)"
        " WHERE format = 'photo' AND item IN (SELECT value FROM json_each(?))"
    )
    rows = [
        (paths[item], row_checksum(entry, "photo", paths[item], features), entry)
        for item, entry, features in connection.execute(sql, (json.dumps(list(paths)),))
    ]
    connection.executemany("UPDATE sources SET raw = ?, checksum = ? WHERE entry = ?", rows)


def delete_items(connection: sqlite3.Connection, items: Iterable[int]) -> None:
    """Delete items, with everything that belongs to them."""
    items = list(items)
    delete_keywords(connection, items)
    numbers = (json.dumps(items),)
    condition = "item IN (SELECT value FROM json_each(?))"
    connection.execute(
        "INSERT INTO removed (entry, modality)"
        f" SELECT entry, modality FROM entries WHERE {condition} ORDER BY entry",
        numbers,
    )
    connection.execute(f"DELETE FROM items WHERE {condition}", numbers)


def add_space(connection: sqlite3.Connection, fingerprint: str, dimension: int) -> int:
    """Return the number of the space with a fingerprint, a new one if it has none."""
    sql = "SELECT space FROM spaces WHERE fingerprint = ?"
    known = connection.execute(sql, (fingerprint,)).fetchone()
    (space,) = known or connection.execute("SELECT max(space) + 1 FROM spaces").fetchone()
    if not known:
        connection.execute(
            "INSERT INTO spaces VALUES (?, ?, ?, 'float32')", (space, fingerprint, dimension)
        )
    for (modality,) in connection.execute("SELECT modality FROM modalities").fetchall():
        _create_vectors_table(connection, space, modality)
    return int(space)


def drop_space(connection: sqlite3.Connection, space: int) -> None:
    """Delete a space and its vectors."""
    for (modality,) in connection.execute("SELECT modality FROM modalities").fetchall():
        connection.execute(f"DROP TABLE IF EXISTS {vectors_table(space, modality)}")
    connection.execute("DELETE FROM spaces WHERE space = ?", (space,))
    connection.execute("DELETE FROM segments WHERE space = ?", (space,))


def insert_vectors(
    connection: sqlite3.Connection,
    space: int,
    modality: int,
    rows: Sequence[tuple[int, int, bytes]],
) -> None:
    """Insert vectors of entries that have none in a space.

    Args:
        connection: inside a transaction.
        space: number of the space.
        modality: number of the modality.
        rows: (entry, item, (d,) float32 little endian) of each.
    """
    table = vectors_table(space, modality)
    connection.executemany(
        f"INSERT INTO {table} VALUES (?, ?, ?, ?)",
        [(*row, row_checksum(*row)) for row in rows],
    )


def drop_features(connection: sqlite3.Connection, modality: int) -> None:
    """Delete the features of the raw items of a modality: another encoder made them."""
    sql = (
        "SELECT entry, format, raw FROM entries JOIN sources USING (entry)"
        " WHERE modality = ? AND format <> '' AND features IS NOT NULL"
    )
    rows = [
        (row_checksum(entry, format, raw, None), entry)
        for entry, format, raw in connection.execute(sql, (modality,))
    ]
    connection.executemany("UPDATE sources SET features = NULL, checksum = ? WHERE entry = ?", rows)


def set_meta(connection: sqlite3.Connection, key: str, value: str | int) -> None:
    """Set a value of the table meta."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def set_field_types(connection: sqlite3.Connection, types: Mapping[str, str]) -> None:
    """Set the types of fields, which may be new."""
    _number_names(connection, "fields", types)
    connection.executemany(
        "UPDATE fields SET type = ? WHERE name = ?", [(kind, name) for name, kind in types.items()]
    )


def _describe(item: NewItem, fields: Mapping[str, int]) -> tuple[str, str, str]:
    values = [None] * (1 + max((fields[name] for name in item.fields), default=-1))
    for name, value in item.fields.items():
        values[fields[name]] = value
    return (
        item.split,
        json.dumps(item.labels, ensure_ascii=False),
        json.dumps(values, ensure_ascii=False, allow_nan=False),
    )


def _number_names(
    connection: sqlite3.Connection, table: str, names: Iterable[str]
) -> dict[str, int]:
    """Return name -> number of all names in a table, after adding the new ones."""
    column, values = {"fields": ("field", "?, ?, ''"), "modalities": ("modality", "?, ?")}[table]
    known: dict[str, int] = dict(connection.execute(f"SELECT name, {column} FROM {table}"))
    new = [name for name in dict.fromkeys(names) if name not in known]
    known |= {name: len(known) + place for place, name in enumerate(new)}
    connection.executemany(
        f"INSERT INTO {table} VALUES ({values})", [(known[name], name) for name in new]
    )
    return known


def _reserve(connection: sqlite3.Connection, counter: str, count: int) -> int:
    """Return the first of ``count`` numbers that were never used before."""
    sql = "UPDATE meta SET value = value + ? WHERE key = ? RETURNING value"
    return int(connection.execute(sql, (count, counter)).fetchall()[0][0]) - count


def _create_vectors_table(connection: sqlite3.Connection, space: int, modality: int) -> None:
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {vectors_table(space, modality)} ("
        "entry INTEGER PRIMARY KEY REFERENCES entries ON DELETE CASCADE,"
        " item INTEGER NOT NULL, vector BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT"
    )

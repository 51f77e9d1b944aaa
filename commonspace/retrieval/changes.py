"""Changing a store: items put and taken away, spaces begun and left. Each is for one transaction.

Every function takes the connection that ``Store.changing`` lends. It knows no files and no search.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from commonspace.retrieval.records import NewItem
from commonspace.retrieval.schema import vectors_table

__all__ = [
    "begin_space",
    "describe_items",
    "drop_space",
    "put_items",
    "put_vectors",
    "remove_items",
    "set_fact",
]


def put_items(connection: sqlite3.Connection, space: int, items: Sequence[NewItem]) -> None:
    """Put items, with their sources and their vectors, in place of those with the same id.

    Args:
        connection: inside a transaction.
        space: the space that the vectors belong to.
        items: with distinct ids.
    """
    fields = _numbered(connection, "fields", "field", [key for one in items for key in one.fields])
    named = [name for one in items for name in one.entries]
    modalities = _numbered(connection, "modalities", "modality", named)
    for modality in modalities.values():
        _make_table(connection, space, modality)
    asked = json.dumps([one.id for one in items])
    sql = "SELECT item FROM items WHERE id IN (SELECT value FROM json_each(?))"
    remove_items(connection, [row[0] for row in connection.execute(sql, (asked,))])
    item = _next(connection, "next_item", len(items))
    entry = _next(connection, "next_entry", len(named))
    item_rows, entry_rows, source_rows = [], [], []
    vector_rows: dict[int, list[tuple[int, int, bytes]]] = {}
    for one in items:
        item_rows.append((item, one.id, *_described(one, fields)))
        for name, kept in one.entries.items():
            modality, source = modalities[name], kept.source
            entry_rows.append((entry, item, modality, source.digest))
            source_rows.append((entry, source.form, source.raw, source.features))
            vector_rows.setdefault(modality, []).append((entry, item, kept.vector))
            entry += 1
        item += 1
    connection.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", item_rows)
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", entry_rows)
    connection.executemany("INSERT INTO sources VALUES (?, ?, ?, ?)", source_rows)
    for modality, rows in vector_rows.items():
        put_vectors(connection, space, modality, rows)


def describe_items(connection: sqlite3.Connection, items: Mapping[int, NewItem]) -> None:
    """Give items other splits, labels and fields; their entries stay.

    Args:
        connection: inside a transaction.
        items: number -> the new description.
    """
    names = [key for one in items.values() for key in one.fields]
    fields = _numbered(connection, "fields", "field", names)
    connection.executemany(
        "UPDATE items SET split = ?, labels = ?, fields = ? WHERE item = ?",
        [(*_described(one, fields), number) for number, one in items.items()],
    )


def remove_items(connection: sqlite3.Connection, items: Iterable[int]) -> None:
    """Take items away, with all that belongs to them."""
    asked = (json.dumps(list(items)),)
    some = "item IN (SELECT value FROM json_each(?))"
    connection.execute(
        "INSERT INTO removed (entry, modality)"
        f" SELECT entry, modality FROM entries WHERE {some} ORDER BY entry",
        asked,
    )
    connection.execute(f"DELETE FROM items WHERE {some}", asked)


def begin_space(connection: sqlite3.Connection, fingerprint: str, dimension: int) -> int:
    """Return the number of the space with this fingerprint, a new one where it has none."""
    sql = "SELECT space FROM spaces WHERE fingerprint = ?"
    found = connection.execute(sql, (fingerprint,)).fetchone()
    space = found or connection.execute("SELECT max(space) + 1 FROM spaces").fetchone()
    if not found:
        facts = (*space, fingerprint, dimension)
        connection.execute("INSERT INTO spaces VALUES (?, ?, ?, 'float32')", facts)
    for (modality,) in connection.execute("SELECT modality FROM modalities").fetchall():
        _make_table(connection, space[0], modality)
    return int(space[0])


def drop_space(connection: sqlite3.Connection, space: int) -> None:
    """Forget a space and its vectors."""
    for (modality,) in connection.execute("SELECT modality FROM modalities").fetchall():
        connection.execute(f"DROP TABLE IF EXISTS {vectors_table(space, modality)}")
    connection.execute("DELETE FROM spaces WHERE space = ?", (space,))
    connection.execute("DELETE FROM shelves WHERE space = ?", (space,))


def put_vectors(
    connection: sqlite3.Connection,
    space: int,
    modality: int,
    rows: Sequence[tuple[int, int, bytes]],
) -> None:
    """Put vectors of entries that have none in this space.

    Args:
        connection: inside a transaction.
        space: its number.
        modality: its number.
        rows: (entry, item, (d,) float32 little endian) of each.
    """
    table = vectors_table(space, modality)
    connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)


def set_fact(connection: sqlite3.Connection, key: str, value: str | int) -> None:
    """Set a fact about the store."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def _described(item: NewItem, fields: Mapping[str, int]) -> tuple[str, str, str]:
    values = [None] * (1 + max((fields[name] for name in item.fields), default=-1))
    for name, value in item.fields.items():
        values[fields[name]] = value
    return (
        item.split,
        json.dumps(item.labels, ensure_ascii=False),
        json.dumps(values, ensure_ascii=False, allow_nan=False),
    )


def _numbered(
    connection: sqlite3.Connection, table: str, column: str, names: Iterable[str]
) -> dict[str, int]:
    """Return name -> number of all names in a table, with those that are new."""
    known: dict[str, int] = dict(connection.execute(f"SELECT name, {column} FROM {table}"))
    new = [name for name in dict.fromkeys(names) if name not in known]
    known |= {name: len(known) + place for place, name in enumerate(new)}
    connection.executemany(
        f"INSERT INTO {table} ({column}, name) VALUES (?, ?)", [(known[name], name) for name in new]
    )
    return known


def _next(connection: sqlite3.Connection, counter: str, count: int) -> int:
    """Return the first of ``count`` numbers that were never given out before."""
    sql = "UPDATE meta SET value = value + ? WHERE key = ? RETURNING value"
    return int(connection.execute(sql, (count, counter)).fetchall()[0][0]) - count


def _make_table(connection: sqlite3.Connection, space: int, modality: int) -> None:
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {vectors_table(space, modality)} ("
        "entry INTEGER PRIMARY KEY REFERENCES entries ON DELETE CASCADE,"
        " item INTEGER NOT NULL, vector BLOB NOT NULL) STRICT"
    )

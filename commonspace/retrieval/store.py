"""Store: items, fields, sources and vectors in SQLite; all other files are derived from it.

Every change is one transaction that raises the generation by one, so that readers notice it.
"""

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError, StoreError
from commonspace.retrieval.items import Item
from commonspace.retrieval.schema import (
    FLOAT32,
    connect,
    create_tables,
    describe_error,
    table_checksum,
)

__all__ = ["Store", "Vectors", "row_checksum", "vectors_table"]

_BATCH = 2**23
"""Bytes of vectors that are read at a time."""


@dataclass(frozen=True)
class Vectors:
    """Vectors of one modality, in the order of their entries."""

    entries: NDArray[np.int64]
    """(n,), ascending."""
    items: NDArray[np.int64]
    """(n,), the number of the item of each."""
    values: NDArray[np.float32]
    """(n, d)."""


class Store:
    """The open database of an index.

    It can be shared between threads: each method holds a lock while it uses SQLite.

    Args:
        path: the database.
        connection: to it.
        read_only: whether the folder cannot be written to.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self._connection = connection
        self._lock = RLock()

    @classmethod
    def create(cls, path: Path, *, fingerprint: str, dimension: int) -> "Store":
        """Create an empty store for the vectors of a space.

        Args:
            path: a new file.
            fingerprint: of the space.
            dimension: d, the length of its vectors.

        Raises:
            OutputError: If it cannot be written.
        """
        store = cls(path, *connect(path, create=True))
        try:
            with store.transaction() as connection:
                create_tables(connection, fingerprint, dimension)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open a store.

        Raises:
            StoreError: If it is missing, damaged, or of another version.
        """
        store = cls(path, *connect(path))
        try:
            store.check_tables()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close the connection; closing twice has no effect."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the changes of the block as one transaction, with its own generation.

        An error rolls everything back.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute(  # keywords that were current stay so
                    "UPDATE meta SET value = value + 1 WHERE key = 'keywords'"
                    " AND value = (SELECT value FROM meta WHERE key = 'generation')"
                )
                self._connection.execute(
                    "UPDATE meta SET value = value + 1 WHERE key = 'generation'"
                )
                checksum = table_checksum(self._connection)
                self._connection.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('checksum', ?)", (checksum,)
                )
                self._connection.execute("COMMIT")
            except BaseException as exc:
                self._roll_back()
                if isinstance(exc, sqlite3.Error):
                    raise describe_error(self.path, exc) from exc
                if isinstance(exc, UnicodeEncodeError):
                    raise DataError(
                        "a text cannot be stored",
                        expected="text that can be encoded as UTF-8",
                        found=ascii(exc.object)[:60],
                        advice="repair the text; nothing of this batch was stored",
                    ) from exc
                raise

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.ProgrammingError:
            pass  # it has been closed

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read a consistent snapshot in the block, whatever other processes write meanwhile."""
        with self._lock:
            if self._connection.in_transaction:  # inside a change, which is consistent anyway
                yield
                return
            self.rows("BEGIN")
            try:
                yield
            finally:
                self.rows("COMMIT")

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except sqlite3.Error as exc:
                raise describe_error(self.path, exc) from exc

    def meta(self, key: str) -> Any:  # noqa: ANN401 - a number or a text
        """Return a value of the table meta; None if the key is missing."""
        rows = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    def check_tables(self) -> None:
        """Check the checksum of the small tables.

        Raises:
            StoreError: If they are damaged.
        """
        with self.reading():
            try:
                actual = table_checksum(self._connection)
            except (sqlite3.Error, ValueError, TypeError) as exc:
                raise self._damaged("its tables", str(exc)) from exc
            if actual != self.meta("checksum"):
                raise self._damaged("its tables", "another checksum")

    @property
    def generation(self) -> int:
        """Number of changes so far."""
        return int(self.meta("generation"))

    @property
    def space(self) -> int:
        """Number of the current space."""
        return int(self.meta("space"))

    @property
    def spaces(self) -> list[int]:
        """Numbers of all spaces: the current one, and those of unfinished migrations."""
        return [row[0] for row in self.rows("SELECT space FROM spaces ORDER BY space")]

    def describe_space(self, space: int) -> tuple[str, int]:
        """Return fingerprint and dimension of a space."""
        rows = self.rows("SELECT fingerprint, dimension FROM spaces WHERE space = ?", (space,))
        return str(rows[0][0]), int(rows[0][1])

    @property
    def modalities(self) -> dict[str, int]:
        """Name -> number of each modality that an item ever had."""
        return dict(self.rows("SELECT name, modality FROM modalities ORDER BY modality"))

    @property
    def fields(self) -> dict[str, int]:
        """Name -> position of each field that an item ever had."""
        return dict(self.rows("SELECT name, field FROM fields ORDER BY field"))

    @property
    def field_types(self) -> dict[str, str]:
        """Name -> "number", "string", "boolean" or "mixed" of each field; "" if still unknown."""
        return dict(self.rows("SELECT name, type FROM fields ORDER BY field"))

    @property
    def last_entry(self) -> int:
        """Highest number that an entry ever had."""
        return int(self.meta("next_entry")) - 1

    @property
    def last_removal(self) -> int:
        """Highest number that a removal ever had."""
        rows = self.rows("SELECT seq FROM sqlite_sequence WHERE name = 'removed'")
        return int(rows[0][0]) if rows else 0

    def removed_entries(self, modality: int, *, after: int) -> NDArray[np.int64]:
        """Return the entries of a modality whose removal has a higher number than ``after``."""
        sql = "SELECT entry FROM removed WHERE number > ? AND modality = ? ORDER BY entry"
        return np.array([row[0] for row in self.rows(sql, (after, modality))], dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of items."""
        return int(self.rows("SELECT count(*) FROM items")[0][0])

    def item_numbers(self, ids: Iterable[str]) -> dict[str, int]:
        """Return id -> number, of the ids that exist."""
        sql = "SELECT * FROM items WHERE id IN (SELECT value FROM json_each(?))"
        numbers = {}
        for item, id, *rest, checksum in self.rows(sql, (json.dumps(list(ids)),)):
            if checksum != row_checksum(item, id, *rest):
                raise self._damaged(f"the item {item}", "another checksum")
            numbers[id] = item
        return numbers

    def items(
        self, numbers: Iterable[int], photo_path: Callable[[str], Path] = Path
    ) -> dict[int, Item]:
        """Return number -> item, of the items that exist.

        Args:
            numbers: of the items.
            photo_path: returns the file of a stored photo path.

        Raises:
            StoreError: If a row is damaged.
        """
        parameters = (json.dumps(list(numbers)),)
        names = list(self.fields)
        sources: dict[int, dict[str, Any]] = {}
        modalities: dict[int, list[str]] = {}
        sql = (
            "SELECT item, name, entry, modality, digest, e.checksum, format,"
            " CASE format WHEN 'pixels' THEN NULL ELSE raw END,"
            " CASE format WHEN '' THEN NULL ELSE features END, s.checksum"
            " FROM entries AS e JOIN modalities USING (modality) JOIN sources AS s USING (entry)"
            " WHERE item IN (SELECT value FROM json_each(?)) ORDER BY modality"
        )
        for item, name, entry, modality, digest, checksum, format, raw, blob, own in self.rows(
            sql, parameters
        ):
            shown = format in ("texts", "photo")
            if checksum != row_checksum(entry, item, modality, digest) or (
                shown and own != row_checksum(entry, format, raw, blob)
            ):
                raise self._damaged(f"the entry {entry}", "another checksum")
            modalities.setdefault(item, []).append(name)
            sources.setdefault(item, {})[format] = raw
        sql = "SELECT * FROM items WHERE item IN (SELECT value FROM json_each(?))"
        items = {}
        for item, id, split, labels, fields, count, checksum in self.rows(sql, parameters):
            known = modalities.get(item, [])
            damaged = checksum != row_checksum(item, id, split, labels, fields, count)
            if damaged or len(known) != count:
                raise self._damaged(f"the item {item}", "another checksum")
            own_sources = sources.get(item, {})
            photo = photo_path(own_sources["photo"]) if "photo" in own_sources else None
            values = zip(names, json.loads(fields), strict=False)
            items[item] = Item(
                id=id,
                split=split,
                labels=tuple(json.loads(labels)),
                fields={name: value for name, value in values if value is not None},
                texts=tuple(json.loads(own_sources.get("texts", "[]"))),
                photo=None if photo is None else str(photo),
                has_picture="pixels" in own_sources or (photo is not None and photo.is_file()),
                modalities=tuple(known),
            )
        return items

    def entries_of(self, numbers: Iterable[int]) -> list[tuple[int, int, int]]:
        """Return item, modality and entry of each entry of items that exist."""
        sql = (
            "SELECT item, modality, entry FROM entries"
            " WHERE item IN (SELECT value FROM json_each(?))"
        )
        return self.rows(sql, (json.dumps(list(numbers)),))

    def vectors(self, space: int, modality: int, *, after: int = 0, last: int = 0) -> Vectors:
        """Return the vectors of a modality; see ``vector_batches``."""
        batches = list(self.vector_batches(space, modality, after=after, last=last))
        if len(batches) == 1:
            return batches[0]
        none = np.empty(0, dtype=np.int64)
        rows = np.empty((0, self.describe_space(space)[1]), dtype=np.float32)
        return Vectors(
            np.concatenate([none, *(batch.entries for batch in batches)]),
            np.concatenate([none, *(batch.items for batch in batches)]),
            np.concatenate([rows, *(batch.values for batch in batches)]),
        )

    def vector_batches(
        self, space: int, modality: int, *, after: int = 0, last: int = 0
    ) -> Iterator[Vectors]:
        """Read the vectors of a modality in batches, in the order of their entries.

        Args:
            space: number of the space.
            modality: number of the modality.
            after: only entries above this number.
            last: only entries up to this number; 0 for all.

        Raises:
            StoreError: If a vector is damaged.
        """
        if not self.has_vectors(space, modality):
            return
        dimension = self.describe_space(space)[1]
        sql = (
            f"SELECT * FROM {vectors_table(space, modality)}"
            " WHERE entry > ? AND entry <= ? ORDER BY entry LIMIT ?"
        )
        size = max(1, _BATCH // (dimension * FLOAT32.itemsize))
        last = last or 2**62
        while rows := self.rows(sql, (after, last, size)):
            yield self._checked_vectors(rows, dimension)
            after = rows[-1][0]

    def vectors_of(
        self, space: int, modality: int, entries: Iterable[int]
    ) -> dict[int, NDArray[np.float32]]:
        """Return entry -> (d,) vector, of the entries that exist."""
        sql = (
            f"SELECT * FROM {vectors_table(space, modality)}"
            " WHERE entry IN (SELECT value FROM json_each(?))"
        )
        rows = self.rows(sql, (json.dumps(list(entries)),))
        if not rows:
            return {}
        vectors = self._checked_vectors(rows, self.describe_space(space)[1])
        return dict(zip(vectors.entries.tolist(), vectors.values, strict=True))

    def item_vectors(self, space: int, item: int) -> dict[str, NDArray[np.float32]]:
        """Return modality -> (d,) vector of an item."""
        sql = (
            "SELECT name, modality, entry FROM entries JOIN modalities USING (modality)"
            " WHERE item = ? ORDER BY modality"
        )
        vectors = {}
        for name, modality, entry in self.rows(sql, (item,)):
            rows = self.rows(
                f"SELECT * FROM {vectors_table(space, modality)} WHERE entry = ?", (entry,)
            )
            found = self._checked_vectors(rows, self.describe_space(space)[1]) if rows else None
            if found is None or found.items[0] != item:
                raise self._damaged(f"the vectors of item {item}", "none, or those of another item")
            vectors[name] = found.values[0]
        return vectors

    def has_vectors(self, space: int, modality: int) -> bool:
        """Return whether the table of a modality in a space exists."""
        name = vectors_table(space, modality)
        return bool(self.rows("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,)))

    def count_vectors(self, space: int, modality: int) -> int:
        """Return the number of vectors of a modality in a space."""
        if not self.has_vectors(space, modality):
            return 0
        return int(self.rows(f"SELECT count(*) FROM {vectors_table(space, modality)}")[0][0])

    def _checked_vectors(
        self, rows: Sequence[tuple[int, int, bytes, int]], dimension: int
    ) -> Vectors:
        entries, items, blobs, _ = zip(*rows, strict=True)
        length = dimension * FLOAT32.itemsize
        for entry, item, blob, checksum in rows:
            if row_checksum(entry, item, blob) != checksum or len(blob) != length:
                raise self._damaged(f"the vector of entry {entry}", "another checksum")
        values = np.frombuffer(b"".join(blobs), FLOAT32).reshape(len(blobs), dimension)
        return Vectors(
            np.array(entries, dtype=np.int64),
            np.array(items, dtype=np.int64),
            values.astype(np.float32, copy=False),
        )

    def _damaged(self, what: str, found: str) -> StoreError:
        return StoreError(
            f"{self.path} is damaged: {what}",
            expected="content with the stored checksum",
            found=found,
            advice="restore the folder from a backup, or repair it: commonspace update INDEX DATA",
        )


def row_checksum(*values: object) -> int:
    """Return the CRC-32 of a row of items, entries, sources or vectors.

    Args:
        values: without the checksum; of any type if the database is damaged.
    """
    crc = 0
    for value in values:
        if isinstance(value, bytes):
            crc = zlib.crc32(value, zlib.crc32(b"%d:" % len(value), crc))
        else:
            crc = zlib.crc32(ascii(value).encode("ascii"), crc)
    return crc


def vectors_table(space: int, modality: int) -> str:
    """Return the name of the table with the vectors of a modality in a space.

    Example:
        >>> vectors_table(1, 2)
        'vectors_1_2'
    """
    return f"vectors_{int(space)}_{int(modality)}"

"""The store: items, fields, sources and vectors in SQLite. It is the truth; the rest follows it.

Every change is one transaction that raises the generation by one, so that whoever has the store
open can tell whether what he knows still holds. It knows nothing of spaces beyond their
fingerprint, and nothing of how vectors are searched.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError, StoreError
from commonspace.retrieval.records import FLOAT32, Vectors
from commonspace.retrieval.schema import (
    FORMAT,
    connect,
    create_tables,
    saying,
    vectors_table,
)

__all__ = ["Store"]

_PORTION = 2**23
"""Bytes of vectors that are read at a time."""


class Store:
    """An open store.

    It may be shared between threads: each method holds a lock while it speaks to SQLite.

    Args:
        path: the database.
        connection: to it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Keep the connection."""
        self.path = path
        self._connection = connection
        self._lock = RLock()

    @classmethod
    def create(cls, path: Path, *, fingerprint: str, dimension: int) -> "Store":
        """Make an empty store for the vectors of a space.

        Args:
            path: a new file.
            fingerprint: of the space.
            dimension: d, the length of its vectors.

        Raises:
            OutputError: it cannot be written.
        """
        store = cls(path, connect(path, create=True))
        try:
            with saying(path):
                store._connection.execute("BEGIN IMMEDIATE")
                create_tables(store._connection)
                facts = {
                    "format": FORMAT,
                    "store": uuid.uuid4().hex,
                    "generation": 0,
                    "next_item": 1,
                    "next_entry": 1,
                    "space": 1,
                }
                store._connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
                store._connection.execute(
                    "INSERT INTO spaces VALUES (1, ?, ?, 'float32')", (fingerprint, dimension)
                )
                store._connection.execute("COMMIT")
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open a store.

        Raises:
            StoreError: there is none, it is damaged, or it is of a newer version.
        """
        store = cls(path, connect(path))
        try:
            found = store.fact("format")
        except BaseException:
            store.close()
            raise
        if found != FORMAT:
            store.close()
            raise StoreError(
                f"{path} is of another version",
                expected=f"format {FORMAT}",
                found=f"format {found}",
                advice="open it with the version of commonspace that wrote it",
            )
        return store

    def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Make all changes of the block one transaction, of a generation of its own.

        Whatever ends the block with an error leaves the store as it was.
        """
        with self._lock, saying(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute(
                    "UPDATE meta SET value = value + 1 WHERE key = 'generation'"
                )
                self._connection.execute("COMMIT")
            except BaseException as exc:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(exc, UnicodeEncodeError):
                    raise DataError(
                        "a text cannot be stored",
                        expected="text that UTF-8 can hold",
                        found=ascii(exc.object)[:60],
                        advice="repair the text; nothing of this portion was stored",
                    ) from exc
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let all that is read in the block be of one moment, whatever others write meanwhile."""
        with self._lock, saying(self.path):
            if self._connection.in_transaction:  # inside a change, which sees one moment anyway
                yield
                return
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock, saying(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    def fact(self, key: str) -> Any:  # noqa: ANN401 - a number or a text
        """Return a fact about the store, None where there is no such fact."""
        found = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return found[0][0] if found else None

    @property
    def generation(self) -> int:
        """How many changes there have been."""
        return int(self.fact("generation"))

    @property
    def space(self) -> int:
        """The number of the space that answers."""
        return int(self.fact("space"))

    @property
    def spaces(self) -> list[int]:
        """The numbers of all spaces: the one that answers, and those that a move has begun to."""
        return [row[0] for row in self.rows("SELECT space FROM spaces ORDER BY space")]

    def space_facts(self, space: int) -> tuple[str, int]:
        """Return fingerprint and dimension of a space."""
        found = self.rows("SELECT fingerprint, dimension FROM spaces WHERE space = ?", (space,))
        return str(found[0][0]), int(found[0][1])

    @property
    def modalities(self) -> dict[str, int]:
        """Name -> number of each modality that an item ever had."""
        return dict(self.rows("SELECT name, modality FROM modalities ORDER BY modality"))

    @property
    def fields(self) -> dict[str, int]:
        """Name -> place of each field that an item ever had."""
        return dict(self.rows("SELECT name, field FROM fields ORDER BY field"))

    def __len__(self) -> int:
        """Return the number of items."""
        return int(self.rows("SELECT count(*) FROM items")[0][0])

    def vectors(self, space: int, modality: int, *, after: int = 0, upto: int = 0) -> Vectors:
        """Return the vectors of a modality; see ``portions``."""
        portions = list(self.portions(space, modality, after=after, upto=upto))
        if len(portions) == 1:
            return portions[0]
        none = np.empty(0, dtype=np.int64)
        rows = np.empty((0, self.space_facts(space)[1]), dtype=np.float32)
        return Vectors(
            np.concatenate([none, *(portion.entries for portion in portions)]),
            np.concatenate([none, *(portion.items for portion in portions)]),
            np.concatenate([rows, *(portion.values for portion in portions)]),
        )

    def portions(
        self, space: int, modality: int, *, after: int = 0, upto: int = 0
    ) -> Iterator[Vectors]:
        """Read the vectors of a modality, some thousands at a time, in the order of their entries.

        Args:
            space: in which space.
            modality: its number.
            after: only entries above this number.
            upto: only entries up to this number; 0 for all.

        Raises:
            StoreError: a vector is not of the length that the space has.
        """
        if not self.has_vectors(space, modality):
            return
        dimension = self.space_facts(space)[1]
        sql = (
            f"SELECT entry, item, vector FROM {vectors_table(space, modality)}"
            " WHERE entry > ? AND entry <= ? ORDER BY entry LIMIT ?"
        )
        size = max(1, _PORTION // (dimension * FLOAT32.itemsize))
        last = upto or 2**62
        while rows := self.rows(sql, (after, last, size)):
            yield Vectors.of_rows(rows, dimension, self.path)
            after = rows[-1][0]

    def vectors_of(
        self, space: int, modality: int, entries: Iterable[int]
    ) -> dict[int, NDArray[np.float32]]:
        """Return the vectors of some entries, of those that are still there."""
        sql = (
            f"SELECT entry, vector FROM {vectors_table(space, modality)}"
            " WHERE entry IN (SELECT value FROM json_each(?))"
        )
        found = self.rows(sql, (json.dumps(list(entries)),))
        return {entry: np.frombuffer(vector, FLOAT32) for entry, vector in found}

    def item_vectors(self, space: int, item: int) -> dict[str, NDArray[np.float32]]:
        """Return modality -> (d,) vector of an item."""
        sql = (
            "SELECT name, modality, entry FROM entries JOIN modalities USING (modality)"
            " WHERE item = ? ORDER BY modality"
        )
        return {
            name: vector
            for name, modality, entry in self.rows(sql, (item,))
            for vector in self.vectors_of(space, modality, [entry]).values()
        }

    def has_vectors(self, space: int, modality: int) -> bool:
        """Tell whether the table of a modality in a space has been made."""
        name = vectors_table(space, modality)
        return bool(self.rows("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,)))

    def count_vectors(self, space: int, modality: int) -> int:
        """Return how many vectors a modality has in a space."""
        if not self.has_vectors(space, modality):
            return 0
        return int(self.rows(f"SELECT count(*) FROM {vectors_table(space, modality)}")[0][0])

    @property
    def last_entry(self) -> int:
        """The highest number that an entry ever had."""
        return int(self.fact("next_entry")) - 1

    @property
    def last_removal(self) -> int:
        """The highest number that a removal ever had."""
        found = self.rows("SELECT seq FROM sqlite_sequence WHERE name = 'removed'")
        return int(found[0][0]) if found else 0

    def removed(self, modality: int, *, after: int) -> NDArray[np.int64]:
        """Return the entries of a modality that were removed.

        Args:
            modality: its number.
            after: only removals above this number.
        """
        sql = "SELECT entry FROM removed WHERE number > ? AND modality = ? ORDER BY entry"
        return np.array([row[0] for row in self.rows(sql, (after, modality))], dtype=np.int64)

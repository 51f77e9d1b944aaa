"""Database of an index: the connection to SQLite, transactions, snapshots, checksums.

Every change is one transaction that raises the generation by one, so that readers notice it.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Self

from commonspace.errors import DataError, StoreError
from commonspace.retrieval.schema import (
    connect,
    create_tables,
    describe_error,
    table_checksum,
)

__all__ = ["Database", "row_checksum"]


class Database:
    """An open SQLite database whose changes have generations.

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
    def create(cls, path: Path, *, fingerprint: str, dimension: int) -> Self:
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
    def open(cls, path: Path) -> Self:
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
                raise self.damaged("its tables", str(exc)) from exc
            if actual != self.meta("checksum"):
                raise self.damaged("its tables", "another checksum")

    @property
    def generation(self) -> int:
        """Number of changes so far."""
        return int(self.meta("generation"))

    def damaged(self, what: str, found: str) -> StoreError:
        """Return the error of damaged content."""
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

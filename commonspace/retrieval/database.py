"""Database of an index: the connection to SQLite, transactions, snapshots, checksums.

Every change is one transaction that raises the generation by one, so that readers notice it.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, Self

from commonspace.errors import CommonspaceError, DataError, StoreError
from commonspace.retrieval.log_file import check_log, log_path
from commonspace.retrieval.page_sums import PageSums
from commonspace.retrieval.schema import (
    TIMEOUT,
    connect,
    create_tables,
    describe_error,
    table_checksum,
)

__all__ = ["Database", "row_checksum"]

_LOG_BYTES = 2**24
"""Size of the write-ahead log from which its pages are copied into the database."""


class Database:
    """An open SQLite database whose changes have generations.

    It can be shared between threads: each method holds a lock while it uses SQLite. SQLite makes no
    checkpoints of its own, so that the checksums of pages are renewed before each of them.

    Args:
        path: the database.
        connection: to it.
        read_only: whether the folder cannot be written to.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self.notes: list[str] = []
        """What was found at opening."""
        self.damage = ""
        """A damaged row that was found at opening: queries over all rows are refused."""
        self._pages = PageSums(path)
        self._log_limit = _LOG_BYTES
        self._file = _identity(path)
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
        note = check_log(path)
        store = cls(path, *connect(path))
        store.notes += [note] if note else []
        try:
            store.check_tables()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close the connection; closing twice has no effect."""
        with self._lock:
            if not self.read_only and self._log_size():  # the last one to close empties the log
                with suppress(CommonspaceError):  # closed already, another writer, a full disk
                    self.renew_page_sums(wait=False)
            self._connection.close()

    def __del__(self) -> None:
        """Close it, with checksums of its pages."""
        with suppress(Exception):
            self.close()

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
                if self._log_size() > self._log_limit:
                    self._empty_log()
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

    def renew_page_sums(self, *, wait: bool = True, repair: bool = False) -> None:
        """Bring the checksums of the pages up to date.

        Args:
            wait: for another writer, who would otherwise do it.
            repair: whether damaged checksums are computed again; else they stay, to be reported.

        Raises:
            StoreError: If another writer is at work.
            OutputError: If they cannot be written.
        """
        with self._lock:
            if not wait:
                self.rows("PRAGMA busy_timeout = 0")
            self.rows("BEGIN IMMEDIATE")  # nobody writes meanwhile
            try:
                self._pages.renew(self.generation, repair=repair)
            finally:
                self._roll_back()

    def changed_pages(self) -> list[int]:
        """Return the numbers, from 1, of the pages that differ from their checksums.

        A page may differ though every row is intact: in bytes that no row uses. Without checksums
        of the current generation, as while another process writes, there is nothing to compare.
        """
        return self._pages.find_changed(lambda: self.generation)

    def find_page_problem(self) -> str:
        """Return what is wrong with the pages of the file, under the lock of writers; "" if fine.

        Missing checksums are computed.
        """
        problem = self._pages.find_problem()
        if not self.read_only:
            self.renew_page_sums(repair=True)
        pages = self.changed_pages()
        if not pages:
            return problem
        listed = ", ".join(map(str, pages[:5])) + (", …" if len(pages) > 5 else "")
        return f"{len(pages)} pages of {self.path} differ from their checksums: {listed}"

    def rewrite(self) -> None:
        """Write all rows into new pages, under the lock of writers."""
        with self._lock:
            self.rows("VACUUM")
            with self.transaction():  # a new generation
                pass
            self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            self._pages.write_all(self.generation)

    def _log_size(self) -> int:
        """Return the bytes of the log; 0 if the folder has been replaced, as by a snapshot."""
        try:
            return log_path(self.path).stat().st_size if _identity(self.path) == self._file else 0
        except OSError:
            return 0

    def _empty_log(self) -> None:
        """Copy the pages of the log into the database; readers may delay a part of it."""
        with suppress(CommonspaceError):  # the change is stored, and the log keeps it
            self.renew_page_sums()
            self.rows("PRAGMA busy_timeout = 0")
            self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
            self.rows(f"PRAGMA busy_timeout = {round(1000 * TIMEOUT)}")
        self._log_limit = self._log_size() + _LOG_BYTES

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

    def scan(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query over all items, whose checksums are not checked one by one.

        Raises:
            StoreError: If a damaged row was found when the store was opened.
        """
        if self.damage:
            raise self.damaged("a query over all items could be wrong", self.damage)
        return self.rows(sql, parameters)

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


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


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

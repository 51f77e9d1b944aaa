"""SQLite schema of an index, connections to it, and its errors.

    meta        key -> value: format, generation, current space, photo folders, checksum, ...
    spaces      the spaces that vectors belong to: one, and a second one during a migration
    modalities  name -> number
    fields      name -> position in the list of values of each item, and type
    items       ids of the user, with split, labels and field values
    entries     one modality of one item; entries are immutable: new content gets a new number
    sources     what an entry was embedded from: features, texts, a photo
    removed     removed entries, in order, so that open readers can follow
    segments    the file of the main segment of each modality and space, with its SHA-256
    vectors_S_M the vectors of modality M in space S
    keywords    the words of items, for full-text search; derived from items and sources

Every row of items, entries, sources and vectors has a CRC-32; the small tables share one in meta.
"""

import json
import sqlite3
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from commonspace.errors import OutputError, StoreError

__all__ = [
    "FLOAT32",
    "KEYWORDS",
    "PAGE_SIZE",
    "TIMEOUT",
    "connect",
    "create_tables",
    "describe_error",
    "table_checksum",
]

FORMAT = 2

FLOAT32 = np.dtype("<f4")
"""Number format of the stored vectors."""

KEYWORDS = "CREATE VIRTUAL TABLE keywords USING fts5(words, tokenize = 'ascii')"
"""The table of the words of items, see ``commonspace.retrieval.keywords``."""

PAGE_SIZE = 16384
"""Bytes of a database page: holds three vectors of 1024 float32."""

TIMEOUT = 30.0
"""Seconds to wait for the lock of SQLite itself; writers queue for the lock file before."""

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE spaces (
    space INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    dimension INTEGER NOT NULL,
    format TEXT NOT NULL
) STRICT;
CREATE TABLE modalities (modality INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE fields (
    field INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL
) STRICT;
CREATE TABLE items (
    item INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    split TEXT NOT NULL,
    labels TEXT NOT NULL,
    fields TEXT NOT NULL,
    entries INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE entries (
    entry INTEGER PRIMARY KEY,
    item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    modality INTEGER NOT NULL REFERENCES modalities,
    digest BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (item, modality)
) STRICT;
CREATE TABLE sources (
    entry INTEGER PRIMARY KEY REFERENCES entries ON DELETE CASCADE,
    format TEXT NOT NULL,
    raw ANY,
    features BLOB,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE removed (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entry INTEGER NOT NULL,
    modality INTEGER NOT NULL
) STRICT;
CREATE TABLE segments (
    space INTEGER NOT NULL,
    modality INTEGER NOT NULL REFERENCES modalities,
    file TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    keys_sha256 TEXT NOT NULL,
    kind TEXT NOT NULL,
    last_entry INTEGER NOT NULL,
    last_removal INTEGER NOT NULL,
    settings TEXT NOT NULL,
    PRIMARY KEY (space, modality)
) STRICT;
"""

_SMALL_TABLES = (
    "SELECT key, value FROM meta WHERE key <> 'checksum' ORDER BY key",
    "SELECT * FROM spaces ORDER BY space",
    "SELECT * FROM modalities ORDER BY modality",
    "SELECT * FROM fields ORDER BY field",
    "SELECT * FROM segments ORDER BY space, modality",
    "SELECT count(*), total(number), total(entry), total(modality) FROM removed",
)


def connect(path: Path, *, create: bool = False) -> tuple[sqlite3.Connection, bool]:
    """Open the database of an index; read-only if the folder cannot be written to.

    Args:
        path: the file.
        create: make a new database; the file must not exist.

    Returns:
        The connection, and whether it is read-only.

    Raises:
        StoreError: If the database is missing, damaged, or of another version.
        OutputError: If it cannot be created.
    """
    try:
        return _connect(path, "mode=rwc" if create else "mode=rw", create=create), False
    except sqlite3.Error as exc:
        log = path.with_name(f"{path.name}-wal")
        pending = log.exists() and log.stat().st_size > 0
        if create or not path.exists() or pending:
            raise describe_error(path, exc) from exc
        try:  # a folder that cannot be written to: nothing else can change it
            return _connect(path, "mode=ro&immutable=1", create=False), True
        except sqlite3.Error:
            raise describe_error(path, exc) from exc


def _connect(path: Path, mode: str, *, create: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        timeout=TIMEOUT,
        isolation_level=None,
        check_same_thread=False,  # the store locks around every use
    )
    try:
        if create:
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        if "immutable" not in mode:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # commits survive a power failure
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # see Database
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        if not create:
            _check_format(path, dict(connection.execute("SELECT key, value FROM meta")))
    except BaseException:
        connection.close()
        raise
    return connection


def _check_format(path: Path, meta: Mapping[str, object]) -> None:
    if meta.get("format") != FORMAT:
        raise StoreError(
            f"{path} has another version",
            expected=f"format {FORMAT}",
            found=f"format {meta.get('format')!r}",
            advice="open it with the version of commonspace that wrote it, or rebuild the index",
        )


def create_tables(connection: sqlite3.Connection, fingerprint: str, dimension: int) -> None:
    """Create the tables of an empty index, inside a transaction of the caller.

    Args:
        connection: to the database.
        fingerprint: of the first space.
        dimension: d, the length of its vectors.
    """
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(KEYWORDS)
    meta = {
        "format": FORMAT,
        "store": uuid.uuid4().hex,
        "generation": 0,
        "keywords": 0,
        "next_item": 1,
        "next_entry": 1,
        "space": 1,
    }
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    connection.execute("INSERT INTO spaces VALUES (1, ?, ?, 'float32')", (fingerprint, dimension))


def table_checksum(connection: sqlite3.Connection) -> int:
    """Return the CRC-32 of the small tables."""
    rows = [connection.execute(statement).fetchall() for statement in _SMALL_TABLES]
    return zlib.crc32(json.dumps(rows).encode("ascii"))


def describe_error(path: Path, exc: sqlite3.Error) -> OutputError | StoreError:
    """Return the error of this package for an error of SQLite."""
    name = getattr(exc, "sqlite_errorname", "") or ""
    if isinstance(exc, sqlite3.ProgrammingError) and "closed" in str(exc):
        return StoreError(
            f"{path} has been closed",
            expected="an open index",
            found="one after close(), or after the end of its with block",
            advice="open it again: Index.open(path)",
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return OutputError(
            f"{path} is read-only",
            expected="a folder that you may write to, to change an index",
            found=f"{exc} ({name})",
            advice="allow writing, or copy the folder to another place and change the copy;"
            " nothing was changed",
        )
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return OutputError(
            f"{path} could not be written",
            expected="a disk with enough space, and permission to write",
            found=f"{exc} ({name})",
            advice="free disk space and continue: with update where index or add stopped, otherwise"
            " with the same command; acknowledged changes are kept",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"{path} is locked by another program",
            expected="one writer at a time",
            found=f"{exc} ({name})",
            advice="wait until it has finished and try again; nothing was changed",
        )
    if name.startswith("SQLITE_CANTOPEN"):
        return StoreError(
            f"{path} cannot be opened",
            expected="the database of an index, closed properly if the folder is read-only",
            found="no such file" if not path.exists() else str(exc),
            advice="check the path and the permissions; create an index with: commonspace index RUN"
            " DATA --out INDEX",
        )
    return StoreError(
        f"{path} is damaged, or not an index of this version",
        expected="the database that commonspace index wrote",
        found=f"{exc} ({name or type(exc).__name__})",
        advice="restore the folder from a backup, or build the index again",
    )

"""The tables of an index in SQLite, and how a connection to them is opened.

    meta        one fact a row: format, generation, space, ...
    spaces      the spaces that vectors belong to: one, and a second while migrating
    modalities  name -> number
    fields      name -> place in the list of values that each item carries
    items       the user's ids, with split, labels and fields
    entries     one modality of one item; an entry never changes: what is new gets a new number
    sources     what an entry was embedded from, kept to embed it again: features, texts, a picture
    removed     the entries that are gone, in order, so that open readers can follow
    shelves     which derived file belongs to a modality in a space, with its checksum
    vectors_S_M the vectors of modality M in space S

It opens, and turns what SQLite says into errors of this package. It knows no item.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commonspace.errors import OutputError, StoreError

__all__ = ["FORMAT", "connect", "create_tables", "saying", "vectors_table"]

FORMAT = 1

_PAGE = 16384
"""Bytes of a page: three vectors of 1024 float32 to a page, where pages of 4096 would hold none."""

_BUSY = 30.0
"""Seconds to wait for SQLite's own lock; writers have waited for each other before that."""

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE spaces (
    space INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    dimension INTEGER NOT NULL,
    form TEXT NOT NULL
) STRICT;
CREATE TABLE modalities (modality INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE fields (field INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE items (
    item INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    split TEXT NOT NULL,
    labels TEXT NOT NULL,
    fields TEXT NOT NULL
) STRICT;
CREATE TABLE entries (
    entry INTEGER PRIMARY KEY,
    item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE,
    modality INTEGER NOT NULL REFERENCES modalities,
    digest BLOB NOT NULL,
    UNIQUE (item, modality)
) STRICT;
CREATE TABLE sources (
    entry INTEGER PRIMARY KEY REFERENCES entries ON DELETE CASCADE,
    form TEXT NOT NULL,
    raw ANY,
    features BLOB
) STRICT;
CREATE TABLE removed (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entry INTEGER NOT NULL,
    modality INTEGER NOT NULL
) STRICT;
CREATE TABLE shelves (
    space INTEGER NOT NULL,
    modality INTEGER NOT NULL REFERENCES modalities,
    file TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    keys_sha256 TEXT NOT NULL,
    kind TEXT NOT NULL,
    upto INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    settings TEXT NOT NULL,
    PRIMARY KEY (space, modality)
) STRICT;
"""


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the database of an index.

    Args:
        path: the file.
        create: make a new one; the file must not be there.

    Raises:
        StoreError: there is none, or it is damaged.
        OutputError: it cannot be made.
    """
    with saying(path):
        mode = "rwc" if create else "rw"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY,
            isolation_level=None,
            check_same_thread=False,  # whoever shares it between threads locks around it
        )
        try:
            if create:
                connection.execute(f"PRAGMA page_size = {_PAGE}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # a commit outlives a power cut
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
        except BaseException:
            connection.close()
            raise
        return connection


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty index, inside the transaction of the caller."""
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)


def vectors_table(space: int, modality: int) -> str:
    """Return the name of the table that holds the vectors of a modality in a space.

    Example:
        >>> vectors_table(1, 2)
        'vectors_1_2'
    """
    return f"vectors_{int(space)}_{int(modality)}"


@contextmanager
def saying(path: Path) -> Iterator[None]:
    """Turn what SQLite raises inside the block into an error that names the file.

    Raises:
        OutputError: the disk is full, or the file may not be written.
        StoreError: the file is missing, damaged, locked, or no index.
    """
    try:
        yield
    except sqlite3.Error as exc:
        raise _meant(path, exc) from exc


def _meant(path: Path, exc: sqlite3.Error) -> OutputError | StoreError:
    name = getattr(exc, "sqlite_errorname", "") or ""
    if isinstance(exc, sqlite3.ProgrammingError) and "closed" in str(exc):
        return StoreError(
            f"{path} has been closed",
            expected="an open index",
            found="one after close(), or after the end of its with block",
            advice="open it again: Index.open(path)",
        )
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_PERM")):
        return OutputError(
            f"{path} could not be written",
            expected="a disk with enough room, and permission to write",
            found=f"{exc} ({name})",
            advice="free some room, then go on: with update where index or add stopped midway, else"
            " with the same command; what was acknowledged is kept",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"another program holds {path}",
            expected="one writer at a time",
            found=f"{exc} ({name})",
            advice="wait for its end and try again; nothing was changed",
        )
    if name.startswith("SQLITE_CANTOPEN"):
        return StoreError(
            f"{path} cannot be opened",
            expected="the database of an index, in a folder that can be written to",
            found="no such file" if not path.exists() else str(exc),
            advice="check the path; make an index with: commonspace index RUN DATA --out INDEX",
        )
    return StoreError(
        f"{path} is damaged, or no index of this version",
        expected="the database that commonspace index wrote",
        found=f"{exc} ({name or type(exc).__name__})",
        advice="restore the folder from a copy, or make the index again",
    )

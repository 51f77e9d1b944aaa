"""Keyword index: which items hold all words of a query, by the full-text search of SQLite (FTS5).

It covers the texts of the items and their fields of strings, is written in the same transaction as
the items, and can be rebuilt from them. Text is split into words here, so that FTS5 never reads the
syntax of a user: letters and digits, without case and accents. Scripts that are written without
spaces (Chinese, Japanese) become pairs of neighboring characters.
"""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from commonspace.errors import OutputError, SettingError, StoreError
from commonspace.retrieval.schema import KEYWORDS
from commonspace.retrieval.store import Store

__all__ = [
    "MAX_MATCHES",
    "KeywordMatches",
    "delete_keywords",
    "find_keyword_problem",
    "items_with_words",
    "match_keywords",
    "prepare_keywords",
    "rebuild_keywords",
    "write_keywords",
]

MAX_MATCHES = 10
"""Most items that may hold all words of a query. Words of more items are no name of any of them,
and the vectors rank better."""

BATCH = 5000
"""Items that are read at a time."""

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(f"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[^\\W_])+")
_FIRST_UNSPACED = re.compile(f"[{_UNSPACED}]")
_COMMA = re.compile("[,;，、；]")
_ACCENTS = re.compile("[\u0300-\u036f]")

_NUMBERS = "(SELECT value FROM json_each(?))"


def write_keywords(connection: sqlite3.Connection, items: Iterable[int]) -> None:
    """Write the words of items that are stored already, inside the same transaction.

    Args:
        connection: inside a transaction.
        items: numbers of the items.
    """
    if not _is_current(connection.execute):
        return  # written by an older version: it is rebuilt as a whole
    numbers = list(items)
    delete_keywords(connection, numbers)
    rows = _read_words(connection.execute, numbers)
    connection.executemany("INSERT INTO keywords (rowid, words) VALUES (?, ?)", rows)


def delete_keywords(connection: sqlite3.Connection, items: Iterable[int]) -> None:
    """Delete the words of items, inside a transaction of the caller."""
    if _is_current(connection.execute):
        numbers = (json.dumps(list(items)),)
        connection.execute(f"DELETE FROM keywords WHERE rowid IN {_NUMBERS}", numbers)


def rebuild_keywords(store: Store) -> None:
    """Build the keyword index of all items, under the lock of writers."""
    with store.transaction() as connection:
        _drop(connection)
        connection.execute(KEYWORDS)
        connection.execute(
            "INSERT OR REPLACE INTO meta"
            " SELECT 'keywords', value FROM meta WHERE key = 'generation'"
        )
        for numbers in _batches(store):
            write_keywords(connection, numbers)


def prepare_keywords(
    store: Store, write_lock: Callable[[], AbstractContextManager[None]]
) -> tuple[str, ...]:
    """Build the keyword index if an older version has written the store.

    Args:
        store: the store.
        write_lock: takes the lock of writers without waiting, or raises a StoreError.

    Returns:
        Notes for the user: that there is no keyword search yet.
    """
    if _is_current(store.rows):
        return ()
    try:
        if not store.read_only:
            with write_lock():
                rebuild_keywords(store)
            return ()
    except (OutputError, StoreError):
        pass  # another process is writing, or the disk is full
    return (
        "no keyword search: an older version wrote the index; open it once while nobody writes,"
        " with permission to write",
    )


class KeywordMatches(NamedTuple):
    """What the words of a query are in an index."""

    items: list[int]
    """Numbers of the items that the words name, in the order of BM25; at most ``MAX_MATCHES``."""
    are_known: bool
    """Whether an item holds all words, wherever they are."""


def match_keywords(store: Store, text: str) -> KeywordMatches:
    """Return the items that the words of a query name.

    These are the items that hold all words, if they are at most ``MAX_MATCHES``. Words that occur
    far from each other in a text name it only if one of them has a digit, or occurs in at most
    ``MAX_MATCHES`` items: else "blue watch for men" would name a blue watch for women.

    Args:
        store: the store, inside ``store.reading()``.
        text: words of a user.

    Raises:
        StoreError: If the keyword index is damaged.
    """
    terms = [*_query_terms(text)]
    if not terms or not _is_current(store.rows):
        return KeywordMatches([], are_known=False)
    words = dict.fromkeys(terms)
    is_start = any(term.endswith("*") for term in terms[:-1])  # only a last one may be a start
    all_words, phrase = " ".join(words), (" " if is_start else " + ").join(terms)
    limit = f"LIMIT {MAX_MATCHES + 1}"
    found = _matching(store, all_words, limit)
    if not found:
        return KeywordMatches([], are_known=False)
    if len(found) > MAX_MATCHES:
        return KeywordMatches([], are_known=True)
    if not any(
        _has_digit(one) or len(_matching(store, one, limit)) <= MAX_MATCHES for one in words
    ):
        all_words = phrase
    return KeywordMatches(_matching(store, all_words, "ORDER BY rank, rowid"), are_known=True)


def _has_digit(term: str) -> bool:
    return any(sign.isdigit() for sign in term)


def items_with_words(store: Store, text: str) -> list[int]:
    """Return the numbers of all items that hold all words of one of the parts of a text, ascending.

    Args:
        store: the store.
        text: parts with commas between them.

    Raises:
        SettingError: If the text has no word.
        StoreError: If there is no keyword index, or it is damaged.
    """
    parts = [
        " ".join(dict.fromkeys(terms))
        for one in _COMMA.split(text)
        if (terms := [*_query_terms(one)])
    ]
    if not parts:
        raise SettingError(
            "`without` has no word",
            expected="words with letters or digits",
            found=ascii(text)[:60],
            advice="leave it out",
        )
    if not _is_current(store.rows):
        raise StoreError(
            "the index has no keyword search yet",
            expected="an index of this version",
            found="one that an older version has written",
            advice="commonspace verify INDEX builds it",
        )
    found = {item for part in parts for item in _matching(store, part, "ORDER BY rowid")}
    return sorted(found)


def find_keyword_problem(store: Store) -> str:
    """Return how the keyword index differs from the items; "" if it does not."""
    if not _is_current(store.rows):
        return "the keyword index is missing"
    try:
        for numbers in _batches(store):
            sql = f"SELECT rowid, words FROM keywords WHERE rowid IN {_NUMBERS} ORDER BY rowid"
            if store.rows(sql, (json.dumps(numbers),)) != [*_read_words(store.rows, numbers)]:
                return "the keyword index differs from the items"
        if store.rows("SELECT count(*) FROM keywords")[0][0] != len(store):
            return "the keyword index has words of items that do not exist"
        if not store.read_only:
            store.rows("INSERT INTO keywords (keywords) VALUES ('integrity-check')")
    except StoreError as exc:
        return f"the keyword index is damaged ({exc.found})"
    return ""


def _drop(connection: sqlite3.Connection) -> None:
    """Delete the table of FTS5, which DROP TABLE refuses where its content is damaged."""
    try:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'keywords'")
    finally:
        connection.execute("PRAGMA writable_schema = RESET")
    for part in ("data", "idx", "content", "docsize", "config"):
        connection.execute(f"DROP TABLE IF EXISTS keywords_{part}")


def _matching(store: Store, query: str, order: str) -> list[int]:
    """Return the numbers of the items that match a query of FTS5."""
    sql = f"SELECT rowid FROM keywords WHERE keywords MATCH ? {order}"
    try:
        return [row[0] for row in store.scan(sql, (query,))]
    except StoreError as exc:
        raise StoreError(
            "the keyword index is damaged",
            expected="the full-text table of the items",
            found=exc.found,
            advice="commonspace verify INDEX rebuilds it; --no-keywords searches without it",
        ) from exc


def _batches(store: Store) -> Iterator[list[int]]:
    """Yield the numbers of all items, in batches."""
    last, sql = 0, f"SELECT item FROM items WHERE item > ? ORDER BY item LIMIT {BATCH}"
    while rows := store.rows(sql, (last,)):
        yield [row[0] for row in rows]
        last = rows[-1][0]


def _is_current(execute: Callable[[str], Any]) -> bool:
    """Return whether the keyword index has followed every change of the store."""
    rows = [*execute("SELECT value FROM meta WHERE key IN ('keywords', 'generation')")]
    return len(rows) == 2 and rows[0] == rows[1]


def _read_words(execute: Callable[..., Any], items: list[int]) -> Iterator[tuple[int, str]]:
    """Yield number and words of items, by number; those without a word, too."""
    numbers = (json.dumps(items),)
    texts: dict[int, list[str]] = {}
    sql = (
        "SELECT item, raw FROM entries JOIN sources USING (entry)"
        f" WHERE format = 'texts' AND item IN {_NUMBERS} ORDER BY entry"
    )
    for item, raw in execute(sql, numbers):
        texts.setdefault(item, []).extend(json.loads(raw))
    sql = f"SELECT item, fields FROM items WHERE item IN {_NUMBERS} ORDER BY item"
    for item, fields in execute(sql, numbers):
        strings = [*texts.get(item, ()), *_strings(json.loads(fields))]
        yield item, " ".join(term for text in strings for term in _item_terms(text))


def _strings(values: list[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from _strings(value)


def _item_terms(text: str) -> Iterator[str]:
    """Yield the terms of a text of an item.

    Example:
        >>> [*_item_terms("Café PLO-166")], [*_item_terms("红风筝")]
        (['cafe', 'plo', '166'], ['红风', '风筝', '筝'])
    """
    for word in _split(text):
        if _FIRST_UNSPACED.match(word):
            yield from (word[at : at + 2] for at in range(len(word)))
        else:
            yield word


def _query_terms(text: str) -> Iterator[str]:
    """Yield the terms of a query in the syntax of FTS5: strings, all of which must occur.

    A single character of Chinese is the start of a pair, or the last one of a text.

    Example:
        >>> [*_query_terms("PLO-166 OR")], [*_query_terms("红风筝")], [*_query_terms("风")]
        (['"plo"', '"166"', '"or"'], ['"红风"', '"风筝"'], ['"风"*'])
    """
    for word in _split(text):
        if not _FIRST_UNSPACED.match(word):
            yield f'"{word}"'
        elif len(word) == 1:
            yield f'"{word}"*'
        else:
            yield from (f'"{word[at : at + 2]}"' for at in range(len(word) - 1))


def _split(text: str) -> list[str]:
    """Return the words of a text: runs of letters and digits without case and accents."""
    if text.isascii():
        return _WORD.findall(text.lower())
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return _WORD.findall(unicodedata.normalize("NFC", plain).casefold())

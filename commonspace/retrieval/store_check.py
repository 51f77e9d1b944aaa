"""Checks of the store: pages against their checksums, and every row against its own."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from commonspace.errors import StoreError
from commonspace.retrieval.database import row_checksum
from commonspace.retrieval.store import Store, vectors_table

__all__ = ["check_at_opening", "find_row_problems"]

OPENED_BYTES = 2**28
"""Size of a store up to which all pages are checked when it is opened: a fifth of a second."""

BATCH = 10_000


def check_at_opening(store: Store) -> list[str]:
    """Check the pages of a store that is not too large, and return notes.

    If a row is damaged, queries over all rows (filters, facets, groups) are refused from now on.
    Rows that are read one by one are checked in any case.
    """
    if store.path.stat().st_size > OPENED_BYTES or not store.changed_pages():
        return []
    problems = find_row_problems(store)
    if problems:
        store.damage = problems[0]
        return [f"{store.path} is damaged: {problems[0]}"]
    return [f"{store.path} is damaged where it has no content: commonspace verify INDEX repairs it"]


def find_row_problems(store: Store) -> list[str]:
    """Return what is wrong with the rows of a store; [] if nothing is."""
    problems = []
    try:
        for problem in _check_rows(store):
            problems.append(problem)
    except StoreError as exc:
        problems.append(f"{exc.problem}: {exc.found}")
    return problems


def _check_rows(store: Store) -> Iterator[str]:
    for (message,) in store.rows("PRAGMA integrity_check"):
        if message != "ok":
            yield f"the database is damaged: {message}"
    for table, row, *_ in store.rows("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} refers to a missing row"
    bare = store.rows(
        "SELECT id FROM items WHERE item NOT IN (SELECT item FROM entries) ORDER BY item"
    )
    if bare:
        yield f"{len(bare)} items have no modality, such as {bare[0][0]!r}"
    lost = store.rows("SELECT count(*) FROM entries WHERE entry NOT IN (SELECT entry FROM sources)")
    if lost[0][0]:
        yield f"{lost[0][0]} entries have no source"
    damaged = [row[1] for row in _all_rows(store, "items") if row[-1] != row_checksum(*row[:-1])]
    if damaged:
        yield f"{len(damaged)} items are damaged, such as {damaged[0]!r}"
    for table in ("entries", "sources"):
        count = sum(row[-1] != row_checksum(*row[:-1]) for row in _all_rows(store, table))
        if count:
            yield f"{count} {table} are damaged"
    short = store.rows(
        "SELECT id FROM items WHERE entries <>"
        " (SELECT count(*) FROM entries WHERE entries.item = items.item)"
    )
    if short:
        yield f"{len(short)} items lack a modality, such as {short[0][0]!r}"
    for name, number in store.modalities.items():
        yield from _vector_problems(store, name, number)


def _all_rows(store: Store, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield all rows of a table whose first column is its key, in batches."""
    key = "item" if table == "items" else "entry"
    last = 0
    while rows := store.rows(
        f"SELECT * FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {BATCH}", (last,)
    ):
        yield from rows
        last = rows[-1][0]


def _vector_problems(store: Store, name: str, modality: int) -> Iterator[str]:
    table = vectors_table(store.space, modality)
    if not store.has_vectors(store.space, modality):
        yield f"the vectors of {name!r} are missing"
        return
    missing = store.rows(
        "SELECT count(*) FROM entries WHERE modality = ?"
        f" AND entry NOT IN (SELECT entry FROM {table})",
        (modality,),
    )
    if missing[0][0]:
        yield f"{missing[0][0]} entries of {name!r} have no vector"
    strange = store.rows(
        f"SELECT count(*) FROM {table} AS v LEFT JOIN entries AS e USING (entry)"
        " WHERE e.item IS NOT v.item OR e.modality IS NOT ?",
        (modality,),
    )
    if strange[0][0]:
        yield f"{strange[0][0]} vectors of {name!r} belong to no entry"
    try:
        for batch in store.vector_batches(store.space, modality):
            finite = np.isfinite(batch.values).all(axis=1)
            if not finite.all():
                yield f"{int((~finite).sum())} vectors of {name!r} are not finite"
    except StoreError as exc:
        yield f"{exc.problem}: {exc.found}"

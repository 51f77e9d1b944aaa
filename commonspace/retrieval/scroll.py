"""List of items in pages, in the order in which they were written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commonspace.errors import SettingError
from commonspace.retrieval.filter import compile_filter
from commonspace.retrieval.items import Item
from commonspace.retrieval.store import Store

__all__ = ["ItemPage", "list_items"]

MAX_LIMIT = 10_000


@dataclass(frozen=True)
class ItemPage:
    """Some items, and where the next ones begin."""

    items: tuple[Item, ...]
    cursor: str | None
    """What returns the next page; None at the end."""


def list_items(
    store: Store,
    resolve: Callable[[str], Path],
    *,
    where: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> ItemPage:
    """Return a page of items.

    Each item that is not changed meanwhile is listed once. One that is replaced or added during the
    listing comes at its end.

    Args:
        store: of the index.
        resolve: stored path of a photo -> its path.
        where: a filter, as for a search.
        limit: maximum number of items.
        cursor: that of the page before; None for the first page.

    Raises:
        SettingError: If the filter, the limit or the cursor is invalid.
    """
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        raise SettingError(
            f"`limit` must be a whole number from 1 to {MAX_LIMIT:,}",
            found=repr(limit)[:40],
            advice="leave it out for 100",
        )
    if cursor is not None and not (
        isinstance(cursor, str) and cursor.isascii() and cursor.isdigit() and len(cursor) < 19
    ):
        raise SettingError(
            "the cursor is invalid",
            expected="the cursor of the page before, unchanged",
            found=repr(cursor)[:40],
            advice="leave it out to start with the first item",
        )
    with store.reading():
        test, parameters = "", list[Any]()
        if where is not None:
            accepted = compile_filter(where, store.fields)
            test, parameters = f" AND ({accepted.sql})", list(accepted.parameters)
        sql = f"SELECT item FROM items WHERE item > ?{test} ORDER BY item LIMIT ?"
        rows = store.scan(sql, [int(cursor or -1), *parameters, limit + 1])
        numbers = [number for (number,) in rows[:limit]]
        found = store.items(numbers, resolve)
    items = tuple(found[number] for number in numbers)
    return ItemPage(items, str(numbers[-1]) if len(rows) > limit else None)

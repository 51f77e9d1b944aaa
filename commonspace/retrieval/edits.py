"""Edits of stored items: removal, and new labels."""

from collections.abc import Iterable, Mapping, Sequence

from commonspace.errors import DataError
from commonspace.retrieval.changes import delete_items, update_items
from commonspace.retrieval.sources import NewItem
from commonspace.retrieval.store import Store
from commonspace.retrieval.writing import Change

__all__ = ["remove_items", "replace_labels"]


def remove_items(store: Store, ids: Sequence[str]) -> Change:
    """Remove items: all of them, or none if an id is unknown.

    Args:
        store: of the index, under the lock of writers.
        ids: of existing items.

    Raises:
        DataError: If an id is unknown; nothing is removed.
    """
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise DataError(
            "the ids are not a list",
            expected="ids of existing items, as strings",
            found=repr(ids)[:60],
            advice=f"write [{str(ids)[:40]!r}]; nothing was removed",
        )
    numbers = _numbers(store, list(dict.fromkeys(ids)))
    with store.transaction() as connection:
        delete_items(connection, numbers.values())
    return Change(removed=len(numbers))


def replace_labels(store: Store, labels: Mapping[str, Sequence[str]]) -> Change:
    """Replace the classes of items; everything else of them stays.

    Args:
        store: of the index, under the lock of writers.
        labels: id -> all classes of the item.

    Raises:
        DataError: If an id is unknown; nothing is changed.
    """
    if not isinstance(labels, Mapping):
        raise DataError(
            "the labels are not a mapping",
            expected="id -> classes, such as {'a.jpg': ['kite']}",
            found=f"{type(labels).__name__}: {labels!r:.60}",
            advice="write a dict; nothing was changed",
        )
    numbers = _numbers(store, [*labels])
    stored = store.items(numbers.values())
    changed = {
        number: NewItem(item.id, item.split, tuple(labels[item.id]), item.fields)
        for number, item in stored.items()
        if item.labels != tuple(labels[item.id])
    }
    if changed:
        with store.transaction() as connection:
            update_items(connection, changed)
    return Change(described=len(changed), unchanged=len(numbers) - len(changed))


def _numbers(store: Store, ids: Sequence[str]) -> dict[str, int]:
    """Return id -> number of existing items.

    Raises:
        DataError: If an id is unknown.
    """
    numbers = store.item_numbers(ids)
    unknown = [id for id in ids if id not in numbers]
    if unknown:
        raise DataError(
            f"the index has no item {unknown[0]!r}",
            expected="ids of existing items, as strings",
            found=", ".join(map(repr, unknown[:5])) + (", …" if len(unknown) > 5 else ""),
            advice="check the spelling; nothing was changed",
        )
    return numbers

"""Groups: items with equal values of a field, of which a search lists the best."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import SettingError
from commonspace.retrieval.segments import Hits
from commonspace.retrieval.store import Store

__all__ = [
    "Groups",
    "best_of_groups",
    "check_field",
    "has_few_groups",
    "read_groups",
    "with_members",
]


class Groups(NamedTuple):
    """The groups of some items."""

    items: NDArray[np.int64]
    """(n,), numbers of the items, ascending."""
    codes: NDArray[np.int64]
    """(n,), equal for items of one group; an item without a value is a group of its own."""

    @property
    def number(self) -> int:
        """Number of groups."""
        return len(np.unique(self.codes))

    def of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the codes of items, of any shape; -1 for an item that is not among them."""
        if not len(self.items):
            return np.full(items.shape, -1, dtype=np.int64)
        places = np.searchsorted(self.items, items).clip(max=len(self.items) - 1)
        return np.where(self.items[places] == items, self.codes[places], -1)

    def members(self, item: int) -> list[int]:
        """Return the other items of the group of an item, by age."""
        code = self.of(np.array(item))
        return [one for one in self.items[self.codes == code].tolist() if one != item]


def check_field(name: str, option: str, fields: dict[str, int]) -> None:
    """Check that some item has a field.

    Raises:
        SettingError: If none has.
    """
    if name not in fields:
        raise SettingError(
            f"`{option}` names a field that no item has",
            expected=" or ".join(map(repr, fields)) or "no field: the items have none",
            found=repr(name)[:80],
            advice="check its spelling",
        )


def read_groups(
    store: Store,
    field: int,
    allowed: NDArray[np.int64] | None,
    modality: int | None,
) -> Groups:
    """Return the groups of the items of a search.

    Args:
        store: inside ``store.reading()``.
        field: position of the field.
        allowed: numbers of the items that a filter accepts; None for all.
        modality: only items that have it; None for all.
    """
    sql = "SELECT item, json_extract(fields, ?) FROM items"
    if modality is not None:
        sql += f" WHERE item IN (SELECT item FROM entries WHERE modality = {int(modality)})"
    codes: dict[object, int] = {}
    items, groups = list[int](), list[int]()
    for item, value in store.scan(f"{sql} ORDER BY item", (f"$[{field}]",)):
        items.append(item)
        groups.append(codes.setdefault(("none", item) if value is None else value, len(codes)))
    known = Groups(np.array(items, dtype=np.int64), np.array(groups, dtype=np.int64))
    if allowed is None:
        return known
    kept = np.isin(known.items, allowed, assume_unique=True)
    return Groups(known.items[kept], known.codes[kept])


def has_few_groups(hits: Hits, groups: Groups, own: NDArray[np.int64], wanted: int) -> bool:
    """Return whether hits have less groups than wanted, where there are more.

    Args:
        hits: of q queries.
        groups: of all items that may be results.
        own: (q, n), items that the queries name, whose groups are no results; -1 for none.
        wanted: number of groups.
    """
    for codes, named in zip(groups.of(hits.items), groups.of(own), strict=True):
        excluded = set(named[named >= 0].tolist())
        found = set(codes[codes >= 0].tolist()) - excluded
        if len(found) < min(wanted, groups.number - len(excluded)):
            return True
    return False


def best_of_groups(hits: Hits, groups: Groups, own: NDArray[np.int64]) -> Hits:
    """Return hits with the first one of each group in each row; the others move up.

    Args:
        hits: of q queries.
        groups: of all items that may be results.
        own: (q, n), items that the queries name, whose groups are left out; -1 for none.
    """
    lost = np.ones(hits.items.shape, dtype=bool)
    for row, (codes, named) in enumerate(zip(groups.of(hits.items), groups.of(own), strict=True)):
        first = np.unique(codes, return_index=True)[1]
        lost[row, first] = np.isin(codes[first], named[named >= 0])
    return hits.drop(lost & (hits.items >= 0))


def with_members(
    behind: list[dict[int, list[int]]], hits: Hits, groups: Groups | None
) -> list[dict[int, list[int]]]:
    """Return item -> items behind it, for each row of hits: first the others of its group.

    Args:
        behind: item -> items behind it for another reason, for each row; empty for none.
        hits: of q queries.
        groups: None for no groups.
    """
    if groups is None:
        return behind
    return [
        {
            item: [*groups.members(item), *(behind[row].get(item, ()) if behind else ())]
            for item in items
            if item >= 0
        }
        for row, items in enumerate(hits.items.tolist())
    ]

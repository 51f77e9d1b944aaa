"""Store: items, fields, sources and vectors in SQLite; all other files are derived from it."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.retrieval.database import Database, row_checksum
from commonspace.retrieval.items import Item
from commonspace.retrieval.schema import (
    FLOAT32,
)

__all__ = ["Store", "Vectors", "vectors_table"]

_BATCH = 2**23
"""Bytes of vectors that are read at a time."""


@dataclass(frozen=True)
class Vectors:
    """Vectors of one modality, in the order of their entries."""

    entries: NDArray[np.int64]
    """(n,), ascending."""
    items: NDArray[np.int64]
    """(n,), the number of the item of each."""
    values: NDArray[np.float32]
    """(n, d)."""


class Store(Database):
    """The open database of an index: its items, and their vectors in one or several spaces."""

    @property
    def space(self) -> int:
        """Number of the current space."""
        return int(self.meta("space"))

    @property
    def spaces(self) -> list[int]:
        """Numbers of all spaces: the current one, and those of unfinished migrations."""
        return [row[0] for row in self.rows("SELECT space FROM spaces ORDER BY space")]

    def describe_space(self, space: int) -> tuple[str, int]:
        """Return fingerprint and dimension of a space."""
        rows = self.rows("SELECT fingerprint, dimension FROM spaces WHERE space = ?", (space,))
        return str(rows[0][0]), int(rows[0][1])

    @property
    def modalities(self) -> dict[str, int]:
        """Name -> number of each modality that an item ever had."""
        return dict(self.rows("SELECT name, modality FROM modalities ORDER BY modality"))

    @property
    def fields(self) -> dict[str, int]:
        """Name -> position of each field that an item ever had."""
        return dict(self.rows("SELECT name, field FROM fields ORDER BY field"))

    @property
    def field_types(self) -> dict[str, str]:
        """Name -> "number", "string", "boolean" or "mixed" of each field; "" if still unknown."""
        return dict(self.rows("SELECT name, type FROM fields ORDER BY field"))

    @property
    def last_entry(self) -> int:
        """Highest number that an entry ever had."""
        return int(self.meta("next_entry")) - 1

    @property
    def last_removal(self) -> int:
        """Highest number that a removal ever had."""
        rows = self.rows("SELECT seq FROM sqlite_sequence WHERE name = 'removed'")
        return int(rows[0][0]) if rows else 0

    def removed_entries(self, modality: int, *, after: int) -> NDArray[np.int64]:
        """Return the entries of a modality whose removal has a higher number than ``after``."""
        sql = "SELECT entry FROM removed WHERE number > ? AND modality = ? ORDER BY entry"
        return np.array([row[0] for row in self.rows(sql, (after, modality))], dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of items."""
        return int(self.rows("SELECT count(*) FROM items")[0][0])

    def item_numbers(self, ids: Iterable[str]) -> dict[str, int]:
        """Return id -> number, of the ids that exist."""
        sql = "SELECT * FROM items WHERE id IN (SELECT value FROM json_each(?))"
        numbers = {}
        for item, id, *rest, checksum in self.rows(sql, (json.dumps(list(ids)),)):
            if checksum != row_checksum(item, id, *rest):
                raise self.damaged(f"the item {item}", "another checksum")
            numbers[id] = item
        return numbers

    def items(
        self, numbers: Iterable[int], photo_path: Callable[[str], Path] = Path
    ) -> dict[int, Item]:
        """Return number -> item, of the items that exist.

        Args:
            numbers: of the items.
            photo_path: returns the file of a stored photo path.

        Raises:
            StoreError: If a row is damaged.
        """
        parameters = (json.dumps(list(numbers)),)
        names = list(self.fields)
        sources: dict[int, dict[str, Any]] = {}
        modalities: dict[int, list[str]] = {}
        sql = (
            "SELECT item, name, entry, modality, digest, e.checksum, format,"
            " CASE format WHEN 'pixels' THEN NULL ELSE raw END,"
            " CASE format WHEN '' THEN NULL ELSE features END, s.checksum"
            " FROM entries AS e JOIN modalities USING (modality) JOIN sources AS s USING (entry)"
            " WHERE item IN (SELECT value FROM json_each(?)) ORDER BY modality"
        )
        for item, name, entry, modality, digest, checksum, format, raw, blob, own in self.rows(
            sql, parameters
        ):
            shown = format in ("texts", "photo")
            if checksum != row_checksum(entry, item, modality, digest) or (
                shown and own != row_checksum(entry, format, raw, blob)
            ):
                raise self.damaged(f"the entry {entry}", "another checksum")
            modalities.setdefault(item, []).append(name)
            sources.setdefault(item, {})[format] = raw
        sql = "SELECT * FROM items WHERE item IN (SELECT value FROM json_each(?))"
        items = {}
        for item, id, split, labels, fields, count, checksum in self.rows(sql, parameters):
            known = modalities.get(item, [])
            damaged = checksum != row_checksum(item, id, split, labels, fields, count)
            if damaged or len(known) != count:
                raise self.damaged(f"the item {item}", "another checksum")
            own_sources = sources.get(item, {})
            photo = photo_path(own_sources["photo"]) if "photo" in own_sources else None
            values = zip(names, json.loads(fields), strict=False)
            items[item] = Item(
                id=id,
                split=split,
                labels=tuple(json.loads(labels)),
                fields={name: value for name, value in values if value is not None},
                texts=tuple(json.loads(own_sources.get("texts", "[]"))),
                photo=None if photo is None else str(photo),
                has_picture="pixels" in own_sources or (photo is not None and photo.is_file()),
                modalities=tuple(known),
            )
        return items

    def entries_of(self, numbers: Iterable[int]) -> list[tuple[int, int, int]]:
        """Return item, modality and entry of each entry of items that exist."""
        sql = (
            "SELECT item, modality, entry FROM entries"
            " WHERE item IN (SELECT value FROM json_each(?))"
        )
        return self.rows(sql, (json.dumps(list(numbers)),))

    def vectors(self, space: int, modality: int, *, after: int = 0, last: int = 0) -> Vectors:
        """Return the vectors of a modality; see ``vector_batches``."""
        batches = list(self.vector_batches(space, modality, after=after, last=last))
        if len(batches) == 1:
            return batches[0]
        none = np.empty(0, dtype=np.int64)
        rows = np.empty((0, self.describe_space(space)[1]), dtype=np.float32)
        return Vectors(
            np.concatenate([none, *(batch.entries for batch in batches)]),
            np.concatenate([none, *(batch.items for batch in batches)]),
            np.concatenate([rows, *(batch.values for batch in batches)]),
        )

    def vector_batches(
        self, space: int, modality: int, *, after: int = 0, last: int = 0
    ) -> Iterator[Vectors]:
        """Read the vectors of a modality in batches, in the order of their entries.

        Args:
            space: number of the space.
            modality: number of the modality.
            after: only entries above this number.
            last: only entries up to this number; 0 for all.

        Raises:
            StoreError: If a vector is damaged.
        """
        if not self.has_vectors(space, modality):
            return
        dimension = self.describe_space(space)[1]
        sql = (
            f"SELECT * FROM {vectors_table(space, modality)}"
            " WHERE entry > ? AND entry <= ? ORDER BY entry LIMIT ?"
        )
        size = max(1, _BATCH // (dimension * FLOAT32.itemsize))
        last = last or 2**62
        while rows := self.rows(sql, (after, last, size)):
            yield self._checked_vectors(rows, dimension)
            after = rows[-1][0]

    def vectors_of(
        self, space: int, modality: int, entries: Iterable[int]
    ) -> dict[int, NDArray[np.float32]]:
        """Return entry -> (d,) vector, of the entries that exist."""
        sql = (
            f"SELECT * FROM {vectors_table(space, modality)}"
            " WHERE entry IN (SELECT value FROM json_each(?))"
        )
        rows = self.rows(sql, (json.dumps(list(entries)),))
        if not rows:
            return {}
        vectors = self._checked_vectors(rows, self.describe_space(space)[1])
        return dict(zip(vectors.entries.tolist(), vectors.values, strict=True))

    def item_vectors(self, space: int, item: int) -> dict[str, NDArray[np.float32]]:
        """Return modality -> (d,) vector of an item."""
        sql = (
            "SELECT name, modality, entry FROM entries JOIN modalities USING (modality)"
            " WHERE item = ? ORDER BY modality"
        )
        vectors = {}
        for name, modality, entry in self.rows(sql, (item,)):
            rows = self.rows(
                f"SELECT * FROM {vectors_table(space, modality)} WHERE entry = ?", (entry,)
            )
            found = self._checked_vectors(rows, self.describe_space(space)[1]) if rows else None
            if found is None or found.items[0] != item:
                raise self.damaged(f"the vectors of item {item}", "none, or those of another item")
            vectors[name] = found.values[0]
        return vectors

    def has_vectors(self, space: int, modality: int) -> bool:
        """Return whether the table of a modality in a space exists."""
        name = vectors_table(space, modality)
        return bool(self.rows("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,)))

    def count_vectors(self, space: int, modality: int) -> int:
        """Return the number of vectors of a modality in a space."""
        if not self.has_vectors(space, modality):
            return 0
        return int(self.rows(f"SELECT count(*) FROM {vectors_table(space, modality)}")[0][0])

    def _checked_vectors(
        self, rows: Sequence[tuple[int, int, bytes, int]], dimension: int
    ) -> Vectors:
        entries, items, blobs, _ = zip(*rows, strict=True)
        length = dimension * FLOAT32.itemsize
        for entry, item, blob, checksum in rows:
            if row_checksum(entry, item, blob) != checksum or len(blob) != length:
                raise self.damaged(f"the vector of entry {entry}", "another checksum")
        values = np.frombuffer(b"".join(blobs), FLOAT32).reshape(len(blobs), dimension)
        return Vectors(
            np.array(entries, dtype=np.int64),
            np.array(items, dtype=np.int64),
            values.astype(np.float32, copy=False),
        )


def vectors_table(space: int, modality: int) -> str:
    """Return the name of the table with the vectors of a modality in a space.

    Example:
        >>> vectors_table(1, 2)
        'vectors_1_2'
    """
    return f"vectors_{int(space)}_{int(modality)}"

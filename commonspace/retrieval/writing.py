"""Putting samples of a data set into a store: checked first, embedded in portions, each kept whole.

After a kill the store holds the portions that were acknowledged and nothing of the others; the
same samples put again are found unchanged by their digest and are not embedded twice. It knows no
search.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data import Column, Dataset, Features
from commonspace.errors import DataError, SettingError
from commonspace.retrieval.catalogue import digests_of, numbers_of, read_items
from commonspace.retrieval.changes import describe_items, put_items
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.records import FLOAT32, Entry, NewItem, Source
from commonspace.retrieval.sources import sources_of
from commonspace.retrieval.store import Store
from commonspace.retrieval.where import BUILT_IN_FIELDS

__all__ = ["Change", "Progress", "put"]

Progress = Callable[[int, int], None]
"""Hears (items that are in the store for good, items in all) after each portion."""

PORTION_BYTES = 2**25
RAW_PORTION = 512
LARGEST_PORTION = 10_000


@dataclass(frozen=True)
class Change:
    """What a call changed."""

    added: int = 0
    replaced: int = 0
    described: int = 0
    """Items whose fields, labels or split alone changed."""
    unchanged: int = 0
    removed: int = 0
    notes: tuple[str, ...] = ()
    """What a person should know, in sentences."""


def put(
    store: Store, embedder: Embedder, data: Dataset, *, replace: bool, progress: Progress | None
) -> Change:
    """Put the samples of a data set into a store, while holding the lock of writers.

    Args:
        store: where to.
        embedder: of the space that the store is bound to.
        data: its ids become the ids of the items.
        replace: whether items that are there are replaced, or refused.
        progress: hears of each portion that is kept.

    Raises:
        SettingError: data and space have no modality in common.
        DataError: an id is taken, a field cannot be kept, or a sample cannot be embedded. What
            can be seen beforehand is seen before anything is written.
    """
    modalities = _shared(embedder, data)
    rows = _rows_with_some(data, modalities)
    _check_ids(data)
    fields = _checked_fields(data)
    if not replace:
        _check_new(store, data, rows)
    count = dict.fromkeys(("added", "replaced", "described", "unchanged"), 0)
    done = 0
    for portion in _portions(data, modalities, rows):
        batch = _Batch(store, embedder, data, modalities, fields, portion)
        try:
            found = batch.put()
        except DataError as exc:
            raise _with_progress(exc, done, len(rows)) from exc
        for key, number in found.items():
            count[key] += number
        done += len(portion)
        if progress is not None:
            progress(done, len(rows))
    left_out = len(data) - len(rows)
    notes = (f"left out {left_out} samples without a modality of the space",) * bool(left_out)
    return Change(**count, notes=notes)


@dataclass(frozen=True)
class _Batch:
    """Some rows of a data set, on their way into a store in one transaction."""

    store: Store
    embedder: Embedder
    data: Dataset
    modalities: Sequence[str]
    fields: Mapping[str, Sequence[Any]]
    rows: NDArray[np.intp]

    def put(self) -> dict[str, int]:
        ids = [self.data.ids[row] for row in self.rows]
        known = numbers_of(self.store, ids)
        sources = self._sources()
        old = digests_of(self.store, known.values())
        same = {
            row: known[self.data.ids[row]]
            for row in self.rows.tolist()
            if self.data.ids[row] in known
            and old.get(known[self.data.ids[row]])
            == {name: found[row].digest for name, found in sources.items() if row in found}
        }
        described = self._described_anew(same)
        fresh = np.array([row for row in self.rows.tolist() if row not in same], dtype=np.intp)
        items = self._items(fresh, sources)
        with self.store.changing() as connection:
            if len(items):
                put_items(connection, self.store.space, items)
            describe_items(connection, described)
        return {
            "added": len(ids) - len(known),
            "replaced": len(known) - len(same),
            "described": len(described),
            "unchanged": len(same) - len(described),
        }

    def _sources(self) -> dict[str, dict[int, Source]]:
        found = {}
        for name in self.modalities:
            column = self.data.columns[name]
            there = self.rows[column.present[self.rows]]
            kept = sources_of(column.take(there), None)
            found[name] = dict(zip(there.tolist(), kept, strict=True))
        return found

    def _described_anew(self, same: Mapping[int, int]) -> dict[int, NewItem]:
        kept = read_items(self.store, same.values(), self.store.fields)
        changed = {}
        for row, number in same.items():
            item, before = self._item(row, {}), kept[number]
            fields = {name: value for name, value in item.fields.items() if value is not None}
            if (item.split, item.labels, fields) != (before.split, before.labels, before.fields):
                changed[number] = item
        return changed

    def _items(
        self, rows: NDArray[np.intp], sources: Mapping[str, Mapping[int, Source]]
    ) -> list[NewItem]:
        entries: dict[int, dict[str, Entry]] = {row: {} for row in rows.tolist()}
        for name in self.modalities:
            there = rows[self.data.columns[name].present[rows]]
            if not len(there):
                continue
            made = self.embedder.prepared(self.data, name, there)
            vectors = self.embedder.embed(name, made.read).astype(FLOAT32, copy=False)
            extracted = made.read if made.read is not made.raw else None
            for place, row in enumerate(there.tolist()):
                source = _with_features(sources[name][row], extracted, place)
                entries[row][name] = Entry(source, vectors[place].tobytes())
        return [self._item(row, found) for row, found in entries.items()]

    def _item(self, row: int, entries: Mapping[str, Entry]) -> NewItem:
        data = self.data
        return NewItem(
            data.ids[row],
            str(data.splits[row]),
            tuple(data.class_names[place] for place in np.flatnonzero(data.labels[row])),
            {name: values[row] for name, values in self.fields.items()},
            entries,
        )


def _with_features(source: Source, extracted: Column | None, place: int) -> Source:
    if extracted is None:
        return source
    assert isinstance(extracted, Features)
    blob = extracted.values[place].astype(FLOAT32, copy=False).tobytes()
    return Source(source.form, source.raw, blob, source.digest)


def _shared(embedder: Embedder, data: Dataset) -> list[str]:
    known = embedder.space.modalities
    shared = [name for name in known if name in data.columns]
    if not shared:
        raise SettingError(
            f"the space of the index and {data.name!r} have no modality in common",
            expected=" or ".join(map(repr, known)),
            found=", ".join(map(repr, data.modalities)),
            advice="rename the columns of the data",
        )
    return shared


def _rows_with_some(data: Dataset, modalities: Sequence[str]) -> NDArray[np.intp]:
    present = np.column_stack([data.columns[name].present for name in modalities])
    return np.flatnonzero(present.any(axis=1))


def _check_ids(data: Dataset) -> None:
    strange = next((name for name in data.ids if "\0" in name), None)
    if strange is not None:
        raise DataError(
            f"an id of {data.name!r} cannot be kept",
            expected="ids without the character NUL",
            found=repr(strange)[:60],
            advice="rename the sample; nothing was written",
        )


def _check_new(store: Store, data: Dataset, rows: NDArray[np.intp]) -> None:
    taken = numbers_of(store, [data.ids[row] for row in rows])
    if taken:
        raise DataError(
            f"{len(taken)} of the {len(rows)} samples of {data.name!r} are in the index already",
            expected="ids that are new",
            found=", ".join(map(repr, list(taken)[:5])) + (", …" if len(taken) > 5 else ""),
            advice="update the index with this data, which adds what is new and replaces what"
            " changed; nothing was written",
        )


def _checked_fields(data: Dataset) -> dict[str, list[Any]]:
    """Return the fields with values fit for JSON."""
    for name in data.fields:
        if name in BUILT_IN_FIELDS:
            raise DataError(
                f"a field of {data.name!r} has a name that every item has already",
                expected=f"a name other than {', '.join(BUILT_IN_FIELDS)}",
                found=repr(name),
                advice="rename the field",
            )
    return {
        name: [_plain(value, data, name, row) for row, value in enumerate(values)]
        for name, values in data.fields.items()
    }


def _plain(value: Any, data: Dataset, name: str, row: int) -> Any:  # noqa: ANN401 - any value
    """Return a value fit for JSON: NaN is no value, and a date is its ISO spelling."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and not math.isinf(value):
        return None if math.isnan(value) else value
    if isinstance(value, np.generic):
        return _plain(value.item(), data, name, row)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(one, data, name, row) for one in value]
    raise DataError(
        f"the field {name!r} of {data.name!r} holds what an index cannot keep",
        expected="numbers, strings, true, false, nothing, or lists of them",
        found=f"{value!r:.60} in sample {data.ids[row]!r}",
        advice="change or drop the field; nothing was written",
    )


def _portions(
    data: Dataset, modalities: Sequence[str], rows: NDArray[np.intp]
) -> list[NDArray[np.intp]]:
    columns = [data.columns[name] for name in modalities]
    size = LARGEST_PORTION
    if any(not isinstance(column, Features) for column in columns):
        size = RAW_PORTION
    width = sum(column.size for column in columns if isinstance(column, Features))
    if width:
        size = min(size, max(1, PORTION_BYTES // (width * FLOAT32.itemsize)))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _with_progress(exc: DataError, done: int, count: int) -> DataError:
    """Return the same error, with what is in the index for good."""
    advice = exc.advice
    if done:
        advice += (
            f"; {done} of {count} samples are in the index: go on with update once it is mended"
        )
    return type(exc)(exc.problem, expected=exc.expected, found=exc.found, advice=advice)

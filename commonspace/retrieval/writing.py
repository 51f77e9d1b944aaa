"""Adding and updating items: samples are checked, embedded in batches, and written batch by batch.

After a kill the store contains the acknowledged batches and nothing of the others. Unchanged
samples are recognized by the digest of their content and are not embedded again.
"""

import json
import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.atomic import replace_file
from commonspace.callbacks import Callbacks
from commonspace.data import Column, Dataset, Features, Images
from commonspace.errors import DataError, SettingError
from commonspace.retrieval.changes import (
    insert_items,
    set_field_types,
    set_meta,
    update_items,
    update_photo_paths,
)
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.filter import BUILT_IN_FIELDS
from commonspace.retrieval.items import Item
from commonspace.retrieval.schema import FLOAT32
from commonspace.retrieval.sources import COPIES, NewItem, PhotoFolders, Source, to_sources
from commonspace.retrieval.store import Store

__all__ = ["FIELD_TYPES", "Change", "Writer"]

BATCH_BYTES = 2**25
RAW_BATCH = 512
MAX_BATCH = 10_000

FIELD_TYPES = ("number", "string", "boolean", "mixed")
"""Types that a field can have."""


@dataclass(frozen=True)
class Change:
    """Number of items that a call changed."""

    added: int = 0
    replaced: int = 0
    described: int = 0
    """Items of which only fields, labels or split changed."""
    unchanged: int = 0
    moved: int = 0
    """Items, of those unchanged or described, whose photo has another path."""
    removed: int = 0
    notes: tuple[str, ...] = ()
    """Sentences for the user."""


@dataclass
class Writer:
    """Writes the samples of a data set into a store, under the lock of writers.

    Args:
        store: the store.
        embedder: the current space with its encoders.
        data: the samples; their ids become the ids of the items.
        photos: the photo folders of the index.
        folder: the folder that the photos of the data must be in; None: any common folder.
        copy: whether photos are copied into the index.
    """

    store: Store
    embedder: Embedder
    data: Dataset
    photos: PhotoFolders
    folder: Path | None = None
    copy: bool = False
    notes: list[str] = field(default_factory=list)

    def write(self, callbacks: Callbacks, *, update: bool) -> Change:
        """Write the samples.

        Args:
            callbacks: receive the progress: samples that are stored.
            update: whether existing items are replaced, or an error.

        Raises:
            SettingError: If data and space have no modality in common.
            DataError: If an id exists, a field has a value of another type, or a sample cannot be
                embedded. Whatever can be checked is checked before anything is written.
        """
        modalities = self._common_modalities()
        present = np.column_stack([self.data.columns[name].present for name in modalities])
        rows = np.flatnonzero(present.any(axis=1))
        self._check_ids()
        self._check_texts(modalities)
        fields = self._fields()
        types = self._field_types(fields, rows)
        if not update:
            self._check_new(rows)
        self._include_photos(modalities, rows)
        counts: Counter[str] = Counter()
        done = 0
        with callbacks.task("indexing items", total=len(rows)):
            for batch in self._batches(modalities, rows):
                try:
                    counts += self._write_batch(modalities, fields, types, batch)
                except DataError as exc:
                    raise _with_progress(exc, done, len(rows)) from exc
                types = {}
                done += len(batch)
                callbacks.on_advance(len(batch))
        left_out = len(self.data) - len(rows)
        if left_out:
            self.notes.append(f"left out {left_out} samples without a modality of the space")
        return Change(**counts, notes=tuple(self.notes))

    def _write_batch(
        self,
        modalities: Sequence[str],
        fields: Mapping[str, Sequence[Any]],
        types: Mapping[str, str],
        rows: NDArray[np.intp],
    ) -> Counter[str]:
        ids = {row: self.data.ids[row] for row in rows.tolist()}
        numbers = self.store.item_numbers(ids.values())
        sources = self._sources(modalities, rows)
        digests = self._stored_digests(numbers.values())
        same = {
            row: numbers[id]
            for row, id in ids.items()
            if id in numbers
            and digests.get(numbers[id])
            == {name: found[row].digest for name, found in sources.items() if row in found}
        }
        described, moved = self._differences(same, fields, sources)
        new = np.array([row for row in ids if row not in same], dtype=np.intp)
        items = self._embed(modalities, fields, new, sources)
        if items or described or moved or types:
            with self.store.transaction() as connection:
                set_field_types(connection, types)
                if items:
                    insert_items(connection, self.store.space, items)
                update_items(connection, described)
                update_photo_paths(connection, moved)
        return Counter(
            added=len(ids) - len(numbers),
            replaced=len(numbers) - len(same),
            described=len(described),
            unchanged=len(same) - len(described),
            moved=len(moved),
        )

    def _sources(
        self, modalities: Sequence[str], rows: NDArray[np.intp]
    ) -> dict[str, dict[int, Source]]:
        found = {}
        for name in modalities:
            column = self.data.columns[name]
            present = rows[column.present[rows]]
            sources = to_sources(column.take(present), self.photos)
            if self.copy and isinstance(column, Images):
                sources = [
                    self._copied(source, column.items[row])
                    for row, source in zip(present.tolist(), sources, strict=True)
                ]
            found[name] = dict(zip(present.tolist(), sources, strict=True))
        return found

    def _copied(self, source: Source, item: Path | NDArray[np.uint8] | None) -> Source:
        """Return the source of a photo after copying it into the index."""
        if source.format != "photo":
            return source
        assert isinstance(item, Path)
        folder = self.photos.index / COPIES
        folder.mkdir(exist_ok=True)
        target = folder / f"{source.digest.hex()}{item.suffix.lower()}"
        if not target.exists():
            with replace_file(target) as draft:
                shutil.copyfile(item, draft)
        return replace(source, raw=self.photos.shorten(target))

    def _stored_digests(self, items: Iterable[int]) -> dict[int, dict[str, bytes]]:
        sql = (
            "SELECT item, name, digest FROM entries JOIN modalities USING (modality)"
            " WHERE item IN (SELECT value FROM json_each(?))"
        )
        digests: dict[int, dict[str, bytes]] = {}
        for item, name, digest in self.store.rows(sql, (json.dumps(list(items)),)):
            digests.setdefault(item, {})[name] = digest
        return digests

    def _differences(
        self,
        same: Mapping[int, int],
        fields: Mapping[str, Sequence[Any]],
        sources: Mapping[str, Mapping[int, Source]],
    ) -> tuple[dict[int, NewItem], dict[int, str]]:
        """Return items with another description, and stored photo paths that have changed."""
        stored: dict[int, Item] = self.store.items(same.values())
        described: dict[int, NewItem] = {}
        moved: dict[int, str] = {}
        for row, number in same.items():
            item, before = self._new_item(row, fields, {}), stored[number]
            values = {name: value for name, value in item.fields.items() if value is not None}
            if (item.split, item.labels, values) != (before.split, before.labels, before.fields):
                described[number] = item
            for found in sources.values():
                source = found.get(row)
                if source and source.format == "photo" and source.raw != before.photo:
                    moved[number] = str(source.raw)
        return described, moved

    def _embed(
        self,
        modalities: Sequence[str],
        fields: Mapping[str, Sequence[Any]],
        rows: NDArray[np.intp],
        sources: Mapping[str, Mapping[int, Source]],
    ) -> list[NewItem]:
        entries: dict[int, dict[str, tuple[Source, bytes]]] = {row: {} for row in rows.tolist()}
        for name in modalities:
            present = rows[self.data.columns[name].present[rows]]
            if not len(present):
                continue
            raw, column = self.embedder.prepare(self.data, name, present)
            vectors = self.embedder.embed(name, column).astype(FLOAT32, copy=False)
            features = None if column is raw else column
            for place, row in enumerate(present.tolist()):
                source = _with_features(sources[name][row], features, place)
                entries[row][name] = (source, vectors[place].tobytes())
        return [self._new_item(row, fields, found) for row, found in entries.items()]

    def _new_item(
        self,
        row: int,
        fields: Mapping[str, Sequence[Any]],
        entries: Mapping[str, tuple[Source, bytes]],
    ) -> NewItem:
        data = self.data
        return NewItem(
            data.ids[row],
            str(data.splits[row]),
            tuple(data.class_names[place] for place in np.flatnonzero(data.labels[row])),
            {name: values[row] for name, values in fields.items()},
            entries,
        )

    def _common_modalities(self) -> list[str]:
        known = self.embedder.space.modalities
        common = [name for name in known if name in self.data.columns]
        if not common:
            raise SettingError(
                f"the space of the index and {self.data.name!r} have no modality in common",
                expected=" or ".join(map(repr, known)),
                found=", ".join(map(repr, self.data.modalities)),
                advice="rename the columns of the data",
            )
        return common

    def _check_ids(self) -> None:
        strange = next((id for id in self.data.ids if "\0" in id), None)
        if strange is not None:
            raise DataError(
                f"an id of {self.data.name!r} cannot be stored",
                expected="ids without the character NUL",
                found=repr(strange)[:60],
                advice="rename the sample; nothing was written",
            )
        for id in self.data.ids:
            if not _is_utf8(id):
                raise _not_utf8("the id", id, id)

    def _check_texts(self, modalities: Sequence[str]) -> None:
        for name in modalities:
            column = self.data.columns[name]
            for id, texts in zip(self.data.ids, getattr(column, "items", ()), strict=False):
                for text in texts if isinstance(texts, tuple) else ():
                    if not _is_utf8(text):
                        raise _not_utf8("a text", id, text)

    def _check_new(self, rows: NDArray[np.intp]) -> None:
        existing = self.store.item_numbers([self.data.ids[row] for row in rows])
        if existing:
            raise DataError(
                f"{len(existing)} of the {len(rows)} samples of {self.data.name!r} are in the index"
                " already",
                expected="ids that are new",
                found=_shorten(list(existing)),
                advice="use update, which inserts new items and replaces changed ones; nothing was"
                " written",
            )

    def _fields(self) -> dict[str, list[Any]]:
        """Return the fields as JSON values."""
        for name in self.data.fields:
            if not _is_utf8(name):
                raise _not_utf8("a field name", self.data.ids[0], name)
            if name in BUILT_IN_FIELDS:
                raise DataError(
                    f"a field of {self.data.name!r} has the name of a built-in field",
                    expected=f"a name other than {', '.join(BUILT_IN_FIELDS)}",
                    found=repr(name),
                    advice="rename the field",
                )
        return {
            name: [_json_value(value, self.data, name, row) for row, value in enumerate(values)]
            for name, values in self.data.fields.items()
        }

    def _field_types(
        self, fields: Mapping[str, Sequence[Any]], rows: NDArray[np.intp]
    ) -> dict[str, str]:
        """Return the types of fields that have none yet; raise an error for values of another type.

        The type of a field is that of the values of the first data set that has it.
        """
        known, new = self.store.field_types, {}
        for name, values in fields.items():
            examples: dict[str, int] = {}
            for row in rows.tolist():
                for value in values[row] if isinstance(values[row], list) else [values[row]]:
                    if value is not None:
                        examples.setdefault(_field_type(value), row)
            declared = known.get(name, "")
            if declared == "mixed" or not examples:
                continue
            if declared:
                _check_type(name, declared, values, examples, self.data)
            elif len(examples) == 1:
                (new[name],) = examples
            else:
                new[name] = "mixed"
                kinds = " and ".join(
                    f"a {kind} in {self.data.ids[row]!r}" for kind, row in examples.items()
                )
                self.notes.append(f"the field {name!r} has values of several types: {kinds}")
        return new

    def _include_photos(self, modalities: Sequence[str], rows: NDArray[np.intp]) -> None:
        """Add the folder of the photos to the index."""
        files = [
            item
            for name in modalities
            for column in [self.data.columns[name]]
            if isinstance(column, Images)
            for item in column.take(rows[column.present[rows]]).items
            if isinstance(item, Path)
        ]
        if not files:
            return
        photos = self.photos.include(files, self.folder)
        if self.copy:
            photos = photos.include([photos.index.resolve() / COPIES / "x"], None)
        if photos is not self.photos:
            with self.store.transaction() as connection:
                set_meta(connection, "photo_folders", json.dumps(photos.folders))
            self.photos = photos

    def _batches(self, modalities: Sequence[str], rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        columns = [self.data.columns[name] for name in modalities]
        size = MAX_BATCH
        if any(not isinstance(column, Features) for column in columns):
            size = RAW_BATCH
        width = sum(column.size for column in columns if isinstance(column, Features))
        if width:
            size = min(size, max(1, BATCH_BYTES // (width * FLOAT32.itemsize)))
        return [rows[start : start + size] for start in range(0, len(rows), size)]


def _field_type(value: object) -> str:
    """Return the type of a field value: "number", "string" or "boolean"."""
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"


def _check_type(
    name: str,
    declared: str,
    values: Sequence[Any],
    examples: Mapping[str, int],
    data: Dataset,
) -> None:
    for kind, row in examples.items():
        if kind != declared:
            raise DataError(
                f"the field {name!r} is a {declared}, and {data.ids[row]!r} has a {kind}",
                expected=f"a {declared}, a list of them, or no value",
                found=f"{values[row]!r:.60} in sample {data.ids[row]!r}",
                advice="correct or remove the value; nothing was written",
            )


def _with_features(source: Source, features: Column | None, place: int) -> Source:
    if features is None:
        return source
    assert isinstance(features, Features)
    blob = features.values[place].astype(FLOAT32, copy=False).tobytes()
    return replace(source, features=blob)


def _json_value(value: Any, data: Dataset, name: str, row: int) -> Any:  # noqa: ANN401 - any value
    """Return a JSON value: NaN becomes None, and a date its ISO form."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if value.isascii() or _is_utf8(value):
            return value
    elif isinstance(value, float) and not math.isinf(value):
        return None if math.isnan(value) else value
    elif isinstance(value, np.generic):
        return _json_value(value.item(), data, name, row)
    elif isinstance(value, date):
        return value.isoformat()
    elif isinstance(value, list | tuple):
        return [_json_value(one, data, name, row) for one in value]
    raise DataError(
        f"the field {name!r} of {data.name!r} has a value that an index cannot store",
        expected="numbers, strings in UTF-8, booleans, nothing, or lists of them",
        found=f"{value!a:.60} in sample {data.ids[row]!a}",
        advice="change or remove the field; nothing was written",
    )


def _not_utf8(what: str, id: str, text: str) -> DataError:
    return DataError(
        f"{what} of sample {ascii(id)[:60]} cannot be stored",
        expected="text that can be encoded as UTF-8",
        found=ascii(text)[:60],
        advice="repair the text; nothing was written",
    )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_progress(exc: DataError, done: int, count: int) -> DataError:
    """Return the same error, with the number of samples that are stored."""
    if done:
        exc = type(exc)(
            exc.problem,
            expected=exc.expected,
            found=exc.found,
            advice=f"{exc.advice}; {done} of {count} samples are in the index: continue with"
            " update once it is repaired",
        )
    return exc


def _shorten(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")

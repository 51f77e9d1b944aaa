"""Adding and updating items: samples are embedded in batches, and written batch by batch.

After a kill the store contains the acknowledged batches and nothing of the others. Unchanged
samples are recognized by the digest of their content and are not embedded again.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.atomic import ensure_folder, replace_file
from commonspace.callbacks import Callbacks
from commonspace.data import Column, Dataset, Features, Images
from commonspace.errors import DataError
from commonspace.retrieval.changes import (
    insert_items,
    set_field_types,
    set_meta,
    update_items,
    update_photo_paths,
)
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.items import Item
from commonspace.retrieval.samples import (
    check_ids,
    check_texts,
    common_modalities,
    infer_field_types,
    json_fields,
)
from commonspace.retrieval.schema import FLOAT32
from commonspace.retrieval.sources import (
    COPIES,
    NewItem,
    PhotoFolders,
    Source,
    is_damaged_copy,
    to_sources,
)
from commonspace.retrieval.store import Store

__all__ = ["Change", "Writer", "remove_unused_copies"]

BATCH_BYTES = 2**25
RAW_BATCH = 512
MAX_BATCH = 10_000


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
        modalities = common_modalities(self.data, self.embedder.space)
        present = np.column_stack([self.data.columns[name].present for name in modalities])
        rows = np.flatnonzero(present.any(axis=1))
        check_ids(self.data)
        check_texts(self.data, modalities)
        fields = json_fields(self.data)
        types, notes = infer_field_types(self.data, fields, rows, self.store.field_types)
        self.notes += notes
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
        ensure_folder(folder)
        target = folder / f"{source.digest.hex()}{item.suffix.lower()}"
        if not target.exists() or is_damaged_copy(self.photos.index, target.resolve()):
            with replace_file(target, overwrite=True) as draft:
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


def remove_unused_copies(store: Store, photos: PhotoFolders) -> int:
    """Delete the copied photos that no item has any more, and what a kill left; return how many.

    Args:
        store: the store, under the lock of writers.
        photos: the photo folders of the index.
    """
    folder = photos.index / COPIES
    stored = photos.shorten(folder / "x")
    if stored is None or not folder.is_dir():
        return 0
    number = stored.partition(":")[0]
    sql = "SELECT DISTINCT raw FROM sources WHERE format = 'photo' AND raw GLOB ?"
    used = {photos.resolve(str(raw)).name for (raw,) in store.rows(sql, (f"{number}:*",))}
    unused = [file for file in folder.iterdir() if file.name not in used]
    for file in unused:
        file.unlink(missing_ok=True)
    return len(unused)


def _with_features(source: Source, features: Column | None, place: int) -> Source:
    if features is None:
        return source
    assert isinstance(features, Features)
    blob = features.values[place].astype(FLOAT32, copy=False).tobytes()
    return replace(source, features=blob)


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

"""Index: a folder of items that words, photos, vectors and other items search.

    INDEX/
      store.sqlite    items, fields, sources and vectors; everything else is derived from it
      store.pages     checksums of the pages of that file
      spaces/1/       a copy of the space that the vectors belong to
      segments/       search structures; rebuilt when missing or damaged
      photos/         copies of photos, if requested
      lock            held by a writer

Every change is durable when its call returns, and every process that has the index open finds it at
once. An index can be shared between threads.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from commonspace.atomic import as_path
from commonspace.callbacks import Callback, Callbacks
from commonspace.data import Dataset
from commonspace.engines import Engine
from commonspace.retrieval.changes import set_meta
from commonspace.retrieval.edits import remove_items, replace_labels
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.folder import (
    check_space,
    new_index,
    open_store,
    other_space,
    resolve_kind,
)
from commonspace.retrieval.keywords import prepare_keywords
from commonspace.retrieval.lock import WAIT
from commonspace.retrieval.migrate import migrate
from commonspace.retrieval.reader import IndexReader
from commonspace.retrieval.roles import check_roles, write_roles
from commonspace.retrieval.samples import check_data, check_field_types
from commonspace.retrieval.store_check import check_at_opening
from commonspace.retrieval.verify import Verification, verify
from commonspace.retrieval.writing import Change, Writer, remove_unused_copies
from commonspace.space import CommonSpace

__all__ = ["Index"]


class Index(IndexReader):
    """An open index, made by ``Index.create`` or ``Index.open``.

    Args:
        path: its folder.
        store: its store.
        encoders: encoders to use in place of those that the store names.
        device: device of the space.
        wait: seconds that a writer waits for another one to finish.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import commonspace as cs
        >>> from commonspace.methods import RawFeatures
        >>> data = cs.Dataset(
        ...     name="shop",
        ...     ids=("hat", "sock"),
        ...     columns={
        ...         "image": cs.Features([[1, 0], [0, 1]]),
        ...         "text": cs.Features([[1, 0], [1, 1]]),
        ...     },
        ...     labels=np.eye(2, dtype=bool),
        ...     class_names=("hats", "socks"),
        ...     splits=np.array(["train", "train"]),
        ...     fields={"price": [20, 5]},
        ... )
        >>> space = RawFeatures().fit(data, data)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Index.create(f"{folder}/shop", space, data) as index:
        ...         first = index.search(vector=[0.0, 1.0], k=1, where="price < 10")[0]
        >>> first.id, first.modality, round(first.score, 3), dict(first.fields)
        ('sock', 'image', 1.0, {'price': 5})
    """

    @classmethod
    def create(
        cls,
        path: str | Path,
        space: CommonSpace,
        dataset: Dataset | None = None,
        *,
        kind: str = "exact",
        compress: int | None = None,
        encoders: Mapping[str, str] | None = None,
        field_types: Mapping[str, str] | None = None,
        roles: Mapping[str, str] | None = None,
        photos: str | Path | None = None,
        copy_photos: bool = False,
        callbacks: Sequence[Callback] = (),
        engine: Engine | None = None,
    ) -> "Index":
        """Create an index, and add a data set to it.

        The empty index is created first; then samples are written in batches. After a kill,
        ``update`` with the same data continues; after an error before the first batch, nothing is
        left.

        Args:
            path: a new or empty folder.
            space: embeds the items; the index contains a copy of it.
            dataset: its samples become items with the same ids; None for an empty index.
            kind: "exact" compares a query with every vector; "hnsw" and "ivf" are faster and
                approximate (``verify`` measures the recall); "auto" chooses by the number of
                vectors, and compresses more than 20 million to 64 bytes each; "milvus:URI" searches
                in a Milvus server, or in a file of Milvus Lite.
            compress: maximum number of bytes of a searched vector, such as 64: float16, one byte
                for each number, or product quantization. The best candidates are ranked again by
                the exact vectors of the store. None: float32.
            encoders: for a space of features: modality -> the encoder that extracted them, as for
                ``commonspace extract``, such as "st:FOLDER". Needed to index and search raw items.
            field_types: field -> "number", "string", "boolean" or "mixed" (default: the type of
                the values in the first data set). Values of another type are an error.
            roles: "title", "price", "link" or "group" -> the field that is it (default: guessed
                from the names of the fields).
            photos: the folder that all photos must be in (default: their common folder).
            copy_photos: copy the photos into the index.
            callbacks: receive the progress: items that are stored.
            engine: builds parts of "ivf" and of compressed "exact" indexes in other processes, such
                as ``LocalProcesses(4)``, or inserts parts into a server of Milvus; None: threads of
                this process. The index is the same.

        Raises:
            OutputError: If the folder is not empty, or cannot be written.
            DataError: If a sample cannot be embedded or stored.
            SettingError: If data and space have no modality in common, or an option is invalid.
            StoreError: If the Milvus server cannot be reached.
        """
        folder, specs, types = as_path(path), dict(encoders or {}), dict(field_types or {})
        check_space(space)
        kind = resolve_kind(kind, compress)
        check_field_types(types)
        if dataset is not None:
            check_roles(roles or {}, [*dataset.fields])
        embedder = Embedder(space, specs)
        for modality in specs:
            embedder.encoder(modality)  # an encoder that does not fit is an error before the work
        meta: dict[str, str | int] = {
            "kind": kind,
            "compress": compress or 0,
            "encoders": json.dumps(specs),
        }
        with new_index(folder, space, meta, types) as store:
            index = cls(folder, store)
            index._space.use(embedder)
            index._vectors.engine = engine
        try:
            if dataset is not None:
                change = index._put(dataset, callbacks, photos, copy_photos, update=False)
                index._vectors.notes += change.notes
            if roles:
                index.set_roles(roles)
        except BaseException:
            empty = len(index) == 0
            index.close()
            if empty:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        return index

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        space: CommonSpace | None = None,
        encoders: Mapping[str, str] | None = None,
        photos: str | Path | None = None,
        device: str = "cpu",
        wait: float = WAIT,
    ) -> Self:
        """Open an index; searching it needs no permission to write.

        Args:
            path: its folder.
            space: the space, if it is loaded already; None: load the copy in the folder when it is
                first needed.
            encoders: encoders to use in place of those that the index was created with.
            photos: the new folder of the photos, if they have been moved; it is stored.
            device: device of the space.
            wait: seconds that a change waits for another writer to finish.

        Raises:
            StoreError: If there is no index, it is damaged, or the space is another one.
        """
        folder = as_path(path)
        store = open_store(folder)
        try:
            index = cls(folder, store, encoders=encoders, device=device, wait=wait)
            if space is not None:
                if space.fingerprint != index.fingerprint:
                    raise other_space("the given space", index.fingerprint, space.fingerprint)
                index._space.use(Embedder(space, index.encoders))
            index._vectors.notes += [*store.notes, *check_at_opening(store)]
            index._vectors.state()
            index._vectors.notes += prepare_keywords(store, lambda: index._lock.hold(wait=0))
            if photos is not None:
                index.move_photos(photos)
        except BaseException:
            store.close()
            raise
        return index

    def add(
        self,
        dataset: Dataset,
        *,
        photos: str | Path | None = None,
        copy_photos: bool = False,
        callbacks: Sequence[Callback] = (),
    ) -> Change:
        """Add the samples of a data set; their ids must be new.

        Args:
            dataset: raw items or features, as the space reads them.
            photos: the folder that all photos must be in (default: their common folder).
            copy_photos: copy the photos into the index.
            callbacks: receive the progress: samples that are stored.

        Raises:
            DataError: If an id exists, or a sample cannot be embedded or stored.
            SettingError: If data and space have no modality in common.
            StoreError: If another writer is at work.
            OutputError: If the disk is full; acknowledged batches are kept.
        """
        return self._put(dataset, callbacks, photos, copy_photos, update=False)

    def update(
        self,
        dataset: Dataset,
        *,
        photos: str | Path | None = None,
        copy_photos: bool = False,
        callbacks: Sequence[Callback] = (),
    ) -> Change:
        """Insert new items, replace changed ones, and skip unchanged ones; photos may have moved.

        Args:
            dataset: raw items or features, as the space reads them.
            photos: the folder that all photos must be in (default: their common folder).
            copy_photos: copy the photos into the index.
            callbacks: receive the progress: samples that are stored.

        Raises:
            DataError: If a sample cannot be embedded or stored.
            SettingError: If data and space have no modality in common.
            StoreError: If another writer is at work.
            OutputError: If the disk is full; acknowledged batches are kept.
        """
        return self._put(dataset, callbacks, photos, copy_photos, update=True)

    def remove(self, ids: Sequence[str]) -> Change:
        """Remove items: all of them, or none if an id is unknown.

        Args:
            ids: of existing items.

        Raises:
            DataError: If an id is unknown; nothing is removed.
            StoreError: If another writer is at work.
        """
        with self._lock.hold():
            change = remove_items(self._store, ids)
            remove_unused_copies(self._store, self._photos())
            self._vectors.compact()
        return change

    def set_labels(self, labels: Mapping[str, Sequence[str]]) -> Change:
        """Replace the classes of items; everything else of them stays.

        Args:
            labels: id -> all classes of the item.

        Raises:
            DataError: If an id is unknown; nothing is changed.
            StoreError: If another writer is at work.
        """
        with self._lock.hold():
            return replace_labels(self._store, labels)

    def move_photos(self, folder: str | Path) -> None:
        """Store the new path of the photo folder, after the photos have been moved.

        Args:
            folder: the new path.

        Raises:
            SettingError: If several photo folders may have moved.
            StoreError: If another writer is at work.
        """
        sql = "SELECT DISTINCT substr(raw, 1, instr(raw, ':') - 1) FROM sources WHERE format = ?"
        with self._lock.hold():
            used = {int(number) for (number,) in self._store.rows(sql, ("photo",))}
            photos = self._photos().replace(as_path(folder), used)
            with self._store.transaction() as connection:
                set_meta(connection, "photo_folders", json.dumps(photos.folders))

    def set_roles(self, roles: Mapping[str, str]) -> None:
        """Store which field is the title, the price, the link or the group of an item.

        Args:
            roles: role -> field; the other roles stay.

        Raises:
            SettingError: If a role or a field is unknown.
            StoreError: If another writer is at work.
        """
        with self._lock.hold():
            write_roles(self._store, roles)

    def migrate(
        self,
        space: CommonSpace,
        *,
        encoders: Mapping[str, str] | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> int:
        """Move the index to another space: every item is embedded again from its stored source.

        Searches use the former space until all new vectors exist. After a kill, the same call
        continues.

        Args:
            space: the new space.
            encoders: modality -> encoder of its features; None: those of the index.
            callbacks: receive the progress: vectors that are stored.

        Returns:
            Number of new vectors; 0 if the index uses this space already.

        Raises:
            SettingError: If the space lacks a modality of the items.
            StoreError: If what the space reads is not stored, or another writer is at work.
            DataError: If a photo is missing or cannot be read.
        """
        check_space(space)
        with self._lock.hold():
            specs = None if encoders is None else dict(encoders)
            new, count = migrate(
                self._vectors,
                self._space.embedder()[1],
                space,
                specs,
                self._photos(),
                Callbacks(callbacks),
            )
            if new is not None:
                self._space.use(new)
        return count

    def verify(self) -> Verification:
        """Check the store, the copy of the space, the photos and the segments; measure the recall.

        Damaged segments and keywords are rebuilt, and copied photos that no item has are deleted.

        Raises:
            StoreError: If the store cannot be read, or another writer is at work.
        """
        with self._lock.hold():
            return verify(self._vectors, self._photos())

    def _put(
        self,
        dataset: Dataset,
        callbacks: Sequence[Callback],
        photos: str | Path | None,
        copy_photos: bool,
        *,
        update: bool,
    ) -> Change:
        check_data(dataset)
        with self._lock.hold():
            embedder = self._space.embedder()[1]
            folder = None if photos is None else as_path(photos)
            writer = Writer(
                self._store, embedder, dataset, self._photos(), folder, copy=copy_photos
            )
            change = writer.write(Callbacks(callbacks), update=update)
            if update:
                remove_unused_copies(self._store, self._photos())
            self._vectors.compact()
        return change

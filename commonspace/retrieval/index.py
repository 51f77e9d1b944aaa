"""Index: a folder of items that words, photos, vectors and other items search.

    INDEX/
      store.sqlite    items, fields, sources and vectors; everything else is derived from it
      spaces/1/       a copy of the space that the vectors belong to
      segments/       search structures; rebuilt when missing or damaged
      photos/         copies of photos, if requested
      lock            held by a writer

Every change is durable when its call returns, and every process that has the index open finds it at
once. An index can be shared between threads.
"""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.callbacks import Callback, Callbacks
from commonspace.data import Dataset
from commonspace.encoders import names_code
from commonspace.errors import DataError, StoreError
from commonspace.retrieval.audit import AuditSettings, Finding, audit
from commonspace.retrieval.browse import (
    AllVectors,
    Summary,
    all_vectors,
    count_facets,
    count_items,
    describe_contents,
    read_summary,
)
from commonspace.retrieval.changes import delete_items, set_meta
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.filter_hints import filter_hints
from commonspace.retrieval.folder import (
    LOCK,
    as_path,
    check_space,
    load_space,
    new_index,
    open_store,
    other_space,
    resolve_kind,
)
from commonspace.retrieval.items import Item, Query, SearchResults
from commonspace.retrieval.keywords import prepare_keywords
from commonspace.retrieval.lock import WAIT, WriterLock
from commonspace.retrieval.migrate import migrate
from commonspace.retrieval.samples import check_data, check_field_types
from commonspace.retrieval.search import Searcher
from commonspace.retrieval.sources import PhotoFolders, to_pixels
from commonspace.retrieval.store import Store
from commonspace.retrieval.vector_index import VectorIndex
from commonspace.retrieval.verify import Verification, verify
from commonspace.retrieval.writing import Change, Writer, remove_unused_copies
from commonspace.space import CommonSpace

__all__ = ["Index"]


class Index:
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

    def __init__(
        self,
        path: Path,
        store: Store,
        *,
        encoders: Mapping[str, str] | None = None,
        device: str = "cpu",
        wait: float = WAIT,
    ) -> None:
        self.path = path
        self._store = store
        self._lock = WriterLock(path / LOCK, read_only=store.read_only, wait=wait)
        self._vectors = VectorIndex(store, path, lambda: self._lock.hold(wait=0))
        self._searcher = Searcher(store, self._vectors, self._embedder, self._photos)
        self._encoders = dict(encoders or {})
        self._device = device
        self._embedders: dict[int, Embedder] = {}
        self._loading = threading.Lock()

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
        photos: str | Path | None = None,
        copy_photos: bool = False,
        callbacks: Sequence[Callback] = (),
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
                vectors; "milvus:URI" searches in a Milvus server, or in a file of Milvus Lite.
            compress: maximum number of bytes of a searched vector, such as 64: float16, one byte
                for each number, or product quantization. The best candidates are ranked again by
                the exact vectors of the store. None: float32.
            encoders: for a space of features: modality -> the encoder that extracted them, as for
                ``commonspace extract``, such as "st:FOLDER". Needed to index and search raw items.
            field_types: field -> "number", "string", "boolean" or "mixed" (default: the type of
                the values in the first data set). Values of another type are an error.
            photos: the folder that all photos must be in (default: their common folder).
            copy_photos: copy the photos into the index.
            callbacks: receive the progress: items that are stored.

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
            index._embedders = {store.space: embedder}
        try:
            if dataset is not None:
                change = index._put(dataset, callbacks, photos, copy_photos, update=False)
                index._vectors.notes += change.notes
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
                index._embedders = {store.space: Embedder(space, index.encoders)}
            index._vectors.state()
            index._vectors.notes += prepare_keywords(store, lambda: index._lock.hold(wait=0))
            if photos is not None:
                index.move_photos(photos)
        except BaseException:
            store.close()
            raise
        return index

    def close(self) -> None:
        """Close the store; closing twice has no effect."""
        self._store.close()

    def __enter__(self) -> Self:
        """Return the index, which is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the index."""
        self.close()

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._store)

    def __repr__(self) -> str:
        """Return one line: path, items, modalities."""
        modalities = " + ".join(self._store.modalities)
        return f"{type(self).__name__}({str(self.path)!r}, {len(self)} items, {modalities})"

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about files that were rebuilt, or could not be written."""
        return tuple(self._vectors.notes)

    @property
    def space(self) -> CommonSpace:
        """The space of the vectors, loaded when it is first needed.

        Raises:
            StoreError: If the copy in the folder is missing or damaged.
        """
        return self._embedder()[1].space

    @property
    def encoders(self) -> dict[str, str]:
        """Modality -> name of the encoder of its features."""
        stored: dict[str, str] = json.loads(self._store.meta("encoders") or "{}")
        harmless = {name: spec for name, spec in stored.items() if not names_code(spec)}
        return harmless | self._encoders  # a class in a Python file must be named by the caller

    @property
    def generation(self) -> int:
        """Number of changes so far; results stay the same as long as it does."""
        return self._store.generation

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the space."""
        return self._store.describe_space(self._store.space)[0]

    def reads(self, kind: str) -> bool:
        """Return whether queries can be "texts", or "images", beside vectors and items.

        Args:
            kind: "texts" or "images".

        Raises:
            StoreError: If the copy of the space in the folder is missing or damaged.
            DataError: If an encoder is not the one that extracted the features of the space.
        """
        return self._embedder()[1].reads(kind)

    def search(
        self,
        text: str | None = None,
        image: str | Path | NDArray[np.uint8] | None = None,
        vector: ArrayLike | None = None,
        id: str | None = None,
        *,
        k: int = 10,
        offset: int = 0,
        modality: str | None = None,
        query_modality: str | None = None,
        where: str | None = None,
        instance_weight: float | None = None,
        min_relevance: float | None = None,
        keywords: bool = True,
    ) -> SearchResults:
        """Return the items that match a query best, best first; equal scores by age.

        Args:
            text: words to search for.
            image: an image file, or an (h, w, 3) uint8 array.
            vector: (d,), a vector of the space, as ``CommonSpace.embed`` returns it.
            id: an item of the index: "more like this". The item itself is not among the results.
                With several of text, image, vector and id, the query vector is the mean of their
                vectors, each scaled to unit length.
            k: maximum number of results.
            offset: number of results to skip, for paging.
            modality: search only the vectors of this modality (default: all; an item is ranked by
                its best vector).
            query_modality: with ``id``, use only this modality of the item (default: the mean of
                all).
            where: a filter on the fields, such as 'price < 50'; see
                ``commonspace.retrieval.filter``.
            instance_weight: 0 ranks by class, 1 by exact item; only for spaces with an instance
                block (default: ``space.default_instance_weight``, chosen on validation).
            min_relevance: drop results, of the k, whose relevance is lower.
            keywords: whether items that hold all words of a query of text alone come first, if
                they are at most 10.

        Raises:
            SettingError: If the query is empty, or an option is invalid.
            DataError: If the image or the vector cannot be used.
        """
        query = Query(
            text,
            image,
            vector,
            id,
            k=k,
            offset=offset,
            modality=modality,
            query_modality=query_modality,
            where=where,
            instance_weight=instance_weight,
            min_relevance=min_relevance,
            keywords=keywords,
        )
        return self.search_many([query])[0]

    def search_many(self, queries: Sequence[Query]) -> list[SearchResults]:
        """Return the results of many queries; all texts are embedded in one pass, and all images.

        Args:
            queries: q queries, each with its own options.

        Raises:
            SettingError: If an option is invalid.
            DataError: If an image or a vector cannot be used.
        """
        return self._searcher.search(queries)

    def embed(
        self,
        text: str | None = None,
        image: str | Path | NDArray[np.uint8] | None = None,
    ) -> NDArray[np.float32]:
        """Return the (d,) query vector of a text or an image; of both, their mean.

        ``search(vector=...)`` with it returns what ``search`` with text and image does, except
        for keywords.

        Args:
            text: words.
            image: an image file, or an (h, w, 3) uint8 array.

        Raises:
            SettingError: If both are missing, or the space does not support them.
            DataError: If the image cannot be used.
        """
        return self._searcher.embed(Query(text, image))

    def item(self, id: str) -> Item | None:
        """Return an item; None if the id is unknown.

        Args:
            id: of the item.
        """
        with self._store.reading():
            numbers = self._store.item_numbers([id])
            items = self._store.items(numbers.values(), self._photos().resolve)
        return next(iter(items.values()), None)

    def vectors(self, id: str) -> dict[str, NDArray[np.float32]]:
        """Return modality -> (d,) vector of an item; empty if the id is unknown.

        Args:
            id: of the item.
        """
        with self._store.reading():
            number = self._store.item_numbers([id]).get(id)
            return {} if number is None else self._store.item_vectors(self._store.space, number)

    def picture(self, id: str) -> NDArray[np.uint8] | Path | None:
        """Return the picture of an item: (h, w, 3) pixels, or its file; None if it has none.

        Args:
            id: of the item.

        Raises:
            StoreError: If the file is outside the photo folder, as a symbolic link may be.
        """
        sql = (
            "SELECT format, raw FROM items JOIN entries USING (item) JOIN sources USING (entry)"
            " WHERE id = ? AND format IN ('photo', 'pixels') ORDER BY modality LIMIT 1"
        )
        for format, raw in self._store.rows(sql, (id,)):
            return self._photos().check_inside(raw) if format == "photo" else to_pixels(raw)
        return None

    def count(self, where: str | None = None, modality: str | None = None) -> int:
        """Return the number of items.

        Args:
            where: a filter as for ``search``; None for all.
            modality: only items that have it; None for all.

        Raises:
            SettingError: If the filter is invalid.
        """
        return count_items(self._store, where, modality)

    def facets(self, where: str | None = None) -> dict[str, Counter[Any]]:
        """Return field -> value -> number of items that a filter accepts.

        The classes are counted under "label".

        Args:
            where: a filter as for ``search``; None for all.

        Raises:
            SettingError: If the filter is invalid.
        """
        return count_facets(self._store, where)

    def filter_hints(self, where: str) -> list[str]:
        """Return sentences on values of a filter that no item has: what may have been meant.

        Args:
            where: a filter as for ``search``, which no item passes.

        Raises:
            SettingError: If the filter is invalid.
        """
        return filter_hints(where, self.facets())

    def summary(self) -> Summary:
        """Return what users can filter by: modalities, classes, and the values of fields."""
        return read_summary(self._store, self._vectors.state())

    def all_vectors(self) -> AllVectors:
        """Return every vector, with the id, the classes and the modality that it belongs to."""
        return all_vectors(self._store)

    def info(self) -> dict[str, Any]:
        """Return items, fields, space, kind of search and sizes, as JSON values."""
        return {
            **describe_contents(self._store, self._vectors.state(), self.path),
            "photo_folders": [*map(str, self._photos().paths)],
            "encoders": self.encoders,
            "kind": self._vectors.kind,
            "compress": self._vectors.compress,
        }

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
        if isinstance(ids, str):
            raise DataError(
                "the ids are not a list",
                expected="ids of existing items, as strings",
                found=repr(ids),
                advice=f"write [{ids!r}]; nothing was removed",
            )
        wanted = list(dict.fromkeys(ids))
        with self._lock.hold():
            numbers = self._store.item_numbers(wanted)
            unknown = [id for id in wanted if id not in numbers]
            if unknown:
                raise DataError(
                    f"the index has no item {unknown[0]!r}",
                    expected="ids of existing items, as strings",
                    found=", ".join(map(repr, unknown[:5])) + (", …" if len(unknown) > 5 else ""),
                    advice="check the spelling; nothing was removed",
                )
            with self._store.transaction() as connection:
                delete_items(connection, numbers.values())
            remove_unused_copies(self._store, self._photos())
            self._vectors.compact()
        return Change(removed=len(numbers))

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
                self._embedder()[1],
                space,
                specs,
                self._photos(),
                Callbacks(callbacks),
            )
            if new is not None:
                self._embedders = {self._store.space: new}
        return count

    def verify(self) -> Verification:
        """Check the store, the copy of the space, the photos and the segments; measure the recall.

        Damaged segments and keywords are rebuilt, and copied photos that no item has are deleted.

        Raises:
            StoreError: If the store cannot be read, or another writer is at work.
        """
        with self._lock.hold():
            return verify(self._vectors, self._photos())

    def audit(self, settings: AuditSettings | None = None) -> list[Finding]:
        """Return probable errors in the catalog, by kind, the most suspicious first.

        Args:
            settings: thresholds; None uses the defaults.
        """
        return audit(self._store, self._vectors.state(), self.space, settings)

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
            embedder = self._embedder()[1]
            folder = None if photos is None else as_path(photos)
            writer = Writer(
                self._store, embedder, dataset, self._photos(), folder, copy=copy_photos
            )
            change = writer.write(Callbacks(callbacks), update=update)
            if update:
                remove_unused_copies(self._store, self._photos())
            self._vectors.compact()
        return change

    def _photos(self) -> PhotoFolders:
        folders = json.loads(self._store.meta("photo_folders") or "[]")
        return PhotoFolders(self.path, tuple(folders))

    def _embedder(self) -> tuple[int, Embedder]:
        """Return the number of the current space, and the space with its encoders.

        Raises:
            StoreError: If the copy in the folder is missing, damaged, or another space.
        """
        with self._loading:
            while True:
                number = self._vectors.state().space
                if number in self._embedders:
                    return number, self._embedders[number]
                try:
                    space = load_space(self.path, number, self.fingerprint, self._device)
                except StoreError:
                    if self._store.space == number:
                        raise
                    continue  # another process has just moved the index to another space
                self._embedders = {number: Embedder(space, self.encoders)}

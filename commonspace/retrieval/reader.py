"""Reading of an index: search, items, contents."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.retrieval.audit import AuditSettings, Finding, audit
from commonspace.retrieval.browse import (
    AllVectors,
    Summary,
    all_vectors,
    count_facets,
    count_groups,
    count_items,
    describe_contents,
    read_picture,
    read_summary,
    variants_of,
)
from commonspace.retrieval.filter_hints import filter_hints
from commonspace.retrieval.folder import LOCK, space_encoders
from commonspace.retrieval.index_space import IndexSpace
from commonspace.retrieval.items import Item, Query, SearchResults
from commonspace.retrieval.lock import WAIT, WriterLock
from commonspace.retrieval.roles import read_roles
from commonspace.retrieval.scroll import ItemPage, list_items
from commonspace.retrieval.search import Searcher
from commonspace.retrieval.sources import PhotoFolders
from commonspace.retrieval.store import Store
from commonspace.retrieval.vector_index import VectorIndex
from commonspace.space import CommonSpace

__all__ = ["IndexReader"]


class IndexReader:
    """An open index, of which everything can be read without permission to write.

    Args:
        path: its folder.
        store: its store.
        encoders: encoders to use in place of those that the store names.
        device: device of the space.
        wait: seconds that a writer waits for another one to finish.
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
        self._space = IndexSpace(
            path, store, lambda: self._vectors.state().space, encoders or {}, device
        )
        self._searcher = Searcher(store, self._vectors, self._space.embedder, self._photos)

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
        return self._space.embedder()[1].space

    @property
    def encoders(self) -> dict[str, str]:
        """Modality -> name of the encoder of its features."""
        return self._space.encoders

    @property
    def roles(self) -> dict[str, str]:
        """Role ("title", "price", "link" or "group") -> field: given, or guessed from its name."""
        return read_roles(self._store)

    @property
    def generation(self) -> int:
        """Number of changes so far; results stay the same as long as it does."""
        return self._store.generation

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the space."""
        return self._space.fingerprint

    def reads(self, kind: str) -> bool:
        """Return whether queries can be "texts", or "images", beside vectors and items.

        Args:
            kind: "texts" or "images".

        Raises:
            StoreError: If the copy of the space in the folder is missing or damaged.
            DataError: If an encoder is not the one that extracted the features of the space.
        """
        return self._space.embedder()[1].reads(kind)

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
        text_weight: float | None = None,
        without: str | None = None,
        less_like: str | Sequence[str] | None = None,
        less_like_vector: ArrayLike | None = None,
        diversity: float = 0.0,
        max_similarity: float | None = None,
        group_by: str | None = None,
        sort: str | None = None,
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
            text_weight: of a query of text and something else, the weight of the text, 0 to 1
                (default: ``space.default_text_weight``, chosen on validation).
            without: words to avoid: items that hold all of them are left out; with commas between
                them, items that hold all words of one of the parts.
            less_like: id, or ids, of items to be unlike. They are no results; half of the score
                that their mean gives an item is subtracted from its score.
            less_like_vector: (d,), a vector to be unlike, as ``embed`` returns it for a photo.
            diversity: from 0 (by score) to 1: prefers results that are unlike those before them,
                among the 200 best.
            max_similarity: from 0 to 1: of results that are at least so similar, the best is
                listed, with the others in its ``similar``, among the 200 best. 0.95 is for
                near-duplicates.
            group_by: a field: of the items with equal values, such as the photos of one product,
                the best is listed, with the others in its ``similar``; ``total`` counts groups.
            sort: a field that orders the 200 best results, "-price" for descending order. Without
                ``min_relevance``, those of a relevance of at least 0.5, if it is known.

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
            text_weight=text_weight,
            without=without,
            less_like=less_like,
            less_like_vector=less_like_vector,
            diversity=diversity,
            max_similarity=max_similarity,
            group_by=group_by,
            sort=sort,
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

    def scroll(
        self, where: str | None = None, *, limit: int = 100, cursor: str | None = None
    ) -> ItemPage:
        """Return a page of items, in the order in which they were written.

        Args:
            where: a filter as for ``search``; None for all.
            limit: maximum number of items, at most 10,000.
            cursor: that of the page before; None for the first page.

        Raises:
            SettingError: If an argument is invalid.
        """
        photos = self._photos()
        return list_items(self._store, photos.resolve, where=where, limit=limit, cursor=cursor)

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
            StoreError: If the file is outside the photo folder, as a symbolic link may be, or if it
                is a damaged copy.
        """
        return read_picture(self._store, self._photos(), id)

    def count(self, where: str | None = None, modality: str | None = None) -> int:
        """Return the number of items.

        Args:
            where: a filter as for ``search``; None for all.
            modality: only items that have it; None for all.

        Raises:
            SettingError: If the filter is invalid.
        """
        return count_items(self._store, where, modality)

    def facets(
        self,
        where: str | None = None,
        *,
        without: str | None = None,
        group_by: str | None = None,
    ) -> dict[str, Counter[Any]]:
        """Return field -> value -> number of items that a filter accepts.

        The classes are counted under "label".

        Args:
            where: a filter as for ``search``; None for all.
            without: words to avoid, as for ``search``.
            group_by: field whose equal values count as one item, as for ``search``.

        Raises:
            SettingError: If the filter is invalid, or no item has the field.
        """
        return count_facets(self._store, where, group_by, without)

    def count_groups(self) -> int:
        """Return the number of items, those of one group counted once."""
        field = self.roles.get("group")
        return len(self) if field is None else count_groups(self._store, field)

    def variants(self, id: str) -> list[str]:
        """Return the ids of the other items of the group of an item, by age.

        They have the same value of the field whose role is "group".

        Args:
            id: of the item; an unknown one has none.
        """
        field = self.roles.get("group")
        return [] if field is None else variants_of(self._store, id, field)

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
            "encoders": space_encoders(self.path, self._store.space) | self.encoders,
            "roles": self.roles,
            "kind": self._vectors.kind,
            "compress": self._vectors.compress,
        }

    def audit(self, settings: AuditSettings | None = None) -> list[Finding]:
        """Return probable errors in the catalog, by kind, the most suspicious first.

        Args:
            settings: thresholds; None uses the defaults.
        """
        return audit(self._store, self._vectors.state(), self.space, settings)

    def _photos(self) -> PhotoFolders:
        folders = json.loads(self._store.meta("photo_folders") or "[]")
        return PhotoFolders(self.path, tuple(folders))

"""An index as it is asked: opened, searched, described. ``Index`` adds what changes it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import StoreError
from commonspace.retrieval.browse import (
    AllVectors,
    Facts,
    all_vectors,
    count_facets,
    count_items,
    facts_of,
    read_item,
    read_picture,
    read_vectors,
)
from commonspace.retrieval.folder import STORE
from commonspace.retrieval.items import Item, SearchResults
from commonspace.retrieval.lock import WAIT
from commonspace.retrieval.opened import Opened
from commonspace.retrieval.query import Query
from commonspace.retrieval.search import Searcher
from commonspace.retrieval.store import Store
from commonspace.space import CommonSpace

__all__ = ["Reader"]


class Reader:
    """What can be asked of an open index.

    Args:
        opened: its parts.
    """

    def __init__(self, opened: Opened) -> None:
        """Keep the parts; ``create`` and ``open`` bring them together."""
        self._opened = opened
        self._searcher = Searcher(opened.store, opened.shelves, opened.bound)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        space: CommonSpace | None = None,
        encoders: Mapping[str, str] | None = None,
        device: str = "cpu",
        wait: float = WAIT,
    ) -> Self:
        """Open an index.

        Args:
            path: its folder.
            space: the space, where it is loaded already; None loads the copy in the folder when
                it is first needed.
            encoders: other places for encoders than those that the index was made with.
            device: where the space computes.
            wait: seconds that a change waits for another writer to end.

        Raises:
            StoreError: there is no index, it is damaged, or the space is another one.
        """
        place = Path(path)
        if not (place / STORE).exists():
            raise StoreError(
                f"{place} holds no index",
                expected=f"a folder with {STORE}, as commonspace index writes it",
                found=_seen(place),
                advice="check the path, or make one: commonspace index RUN DATA --out INDEX",
            )
        store = Store.open(place / STORE)
        try:
            opened = Opened(place, store, encoders=encoders, device=device, wait=wait)
            if space is not None:
                opened.accept(space)
            opened.shelves.fresh()
        except BaseException:
            store.close()
            raise
        return cls(opened)

    def close(self) -> None:
        """Close the store; closing twice does nothing."""
        self._opened.store.close()

    def __enter__(self) -> Self:
        """Return the index, to be closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the index."""
        self.close()

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._opened.path

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of what became of derived files, in sentences."""
        return tuple(self._opened.shelves.notes)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._opened.store)

    def __repr__(self) -> str:
        """Return one line: path, items, modalities."""
        modalities = " + ".join(self._opened.store.modalities)
        return f"{type(self).__name__}({str(self.path)!r}, {len(self)} items, {modalities})"

    @property
    def space(self) -> CommonSpace:
        """The space that the vectors belong to, loaded when it is first asked for.

        Raises:
            StoreError: the copy in the folder is missing or damaged.
        """
        return self._opened.embedder().space

    def reads(self, kind: str) -> bool:
        """Tell whether queries may be "texts", or "images", beside vectors.

        Raises:
            StoreError: the copy of the space in the folder is missing or damaged.
            DataError: an encoder is not the one that made the features of the space.
        """
        return self._opened.embedder().reads(kind)

    @property
    def generation(self) -> int:
        """How many changes there have been: as long as it is the same, so is every answer."""
        return self._opened.store.generation

    @property
    def fingerprint(self) -> str:
        """That of the space."""
        return self._opened.fingerprint

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
                ``commonspace.retrieval.where``.
            instance_weight: 0 ranks by class, 1 by exact item; only for spaces with an instance
                block (default: the weight that the space was trained with).
            min_relevance: drop results, of the k, whose relevance is lower.

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

    def item(self, id: str) -> Item | None:
        """Return an item; None if the id is unknown."""
        return read_item(self._opened, id)

    def vectors(self, id: str) -> dict[str, NDArray[np.float32]]:
        """Return modality -> (d,) vector of an item; empty if the id is unknown."""
        return read_vectors(self._opened, id)

    def picture(self, id: str) -> NDArray[np.uint8] | Path | None:
        """Return the picture of an item: (h, w, 3) pixels, or its file; None if it has none."""
        return read_picture(self._opened, id)

    def count(self, where: str | None = None, modality: str | None = None) -> int:
        """Return how many items there are, of those that a condition holds for.

        Args:
            where: a condition as in ``search``; None for all.
            modality: only items that have it; None for all.

        Raises:
            SettingError: the condition cannot be understood.
        """
        return count_items(self._opened, where, modality)

    def facets(self, where: str | None = None) -> dict[str, Counter[Any]]:
        """Return field -> value -> number of items that a condition accepts.

        The classes are counted under "label".

        Args:
            where: a condition as in ``search``; None for all.

        Raises:
            SettingError: If the condition is invalid.
        """
        return count_facets(self._opened, where)

    def embed(
        self,
        text: str | None = None,
        image: str | Path | NDArray[np.uint8] | None = None,
    ) -> NDArray[np.float32]:
        """Return the (d,) query vector of a text or an image; of both, their mean.

        ``search(vector=...)`` with it returns what ``search`` with text and image does.

        Raises:
            SettingError: If both are missing, or the space does not support them.
            DataError: If the image cannot be used.
        """
        return self._searcher.embed(Query(text, image))

    def facts(self) -> Facts:
        """Return what a person can filter by: modalities, classes, and the values of fields."""
        return facts_of(self._opened)

    def all_vectors(self) -> AllVectors:
        """Return every vector, with the id, the classes and the modality that it belongs to."""
        return all_vectors(self._opened)

    def info(self) -> dict[str, Any]:
        """Return what the index holds: items, fields, space, kind, sizes; fit for JSON."""
        store, state = self._opened.store, self._opened.shelves.fresh()
        sizes = {
            name: sum(file.stat().st_size for file in self.path.glob(pattern) if file.is_file())
            for name, pattern in (
                ("store", "store.sqlite*"),
                ("shelves", "shelves/*"),
                ("space", "spaces/*/*"),
            )
        }
        fingerprint, dimension = store.space_facts(state.space)
        return {
            "items": len(store),
            "vectors": {name: len(state.shelves[at]) for name, at in state.modalities.items()},
            "dimension": dimension,
            "classes": store.rows(
                "SELECT count(DISTINCT value) FROM items, json_each(items.labels)"
            )[0][0],
            "fields": list(state.fields),
            "fingerprint": fingerprint,
            "encoders": self._opened.encoders,
            "kind": self._opened.shelves.choice,
            "generation": state.generation,
            "bytes": sizes,
        }


def _seen(place: Path) -> str:
    if not place.exists():
        return "no such folder"
    return "a folder without one" if place.is_dir() else "a file"

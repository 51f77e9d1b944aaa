"""An index: items that words, pictures and vectors find, in a folder that loses nothing.

    INDEX/
      store.sqlite    items, fields, sources, vectors: the truth
      spaces/1/       a copy of the space that the vectors belong to
      shelves/        what FAISS made of the vectors; made anew when missing or damaged
      lock            held by the one that writes

The copy of the space makes the folder whole in itself: a run that is trained again or thrown away
does not touch what was indexed with it, and vectors of two spaces never meet. Each call that
changes something is kept when it returns, and found at once by every process that has the index
open. An index may be shared between threads.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.data import Dataset
from commonspace.errors import DataError, StoreError
from commonspace.retrieval.audit import AuditSettings, Finding, audit
from commonspace.retrieval.catalogue import numbers_of
from commonspace.retrieval.changes import remove_items
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.folder import STORE, check_choice, new_index
from commonspace.retrieval.lock import WAIT
from commonspace.retrieval.migrate import migrate
from commonspace.retrieval.opened import Opened
from commonspace.retrieval.query import Found, Query, checked_vectors, vector_of
from commonspace.retrieval.searching import Search, Searcher
from commonspace.retrieval.store import Store
from commonspace.retrieval.verify import Verification, verify
from commonspace.retrieval.writing import Change, Progress, put
from commonspace.space import CommonSpace

__all__ = ["Index"]


class Index:
    """An open index. ``Index.create`` and ``Index.open`` make one; ``close`` ends it.

    Args:
        opened: its parts, as those two bring them together.

    Example:
        >>> import tempfile
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
        ...     split=np.array(["train", "train"]),
        ...     fields={"price": [20, 5]},
        ... )
        >>> space = RawFeatures().fit(data, data)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Index.create(f"{folder}/shop", space, data) as index:
        ...         first = index.search(vector=[0.0, 1.0], k=1, where="price < 10")[0]
        >>> first.id, first.modality, round(first.score, 3), dict(first.fields)
        ('sock', 'image', 1.0, {'price': 5})
    """

    def __init__(self, opened: Opened) -> None:
        """Keep the parts; ``create`` and ``open`` bring them together."""
        self._opened = opened
        self._searcher = Searcher(opened.store, opened.shelves)

    @classmethod
    def create(
        cls,
        path: str | Path,
        space: CommonSpace,
        dataset: Dataset | None = None,
        *,
        kind: str = "exact",
        encoders: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> "Index":
        """Make an index, and put a data set into it.

        The empty index is made first, whole; then the samples follow in portions. After a kill
        ``update`` with the same data goes on.

        Args:
            path: a folder that is not there yet, or empty.
            space: what embeds; a copy of it is kept in the folder.
            dataset: its samples become items by their ids; None for an empty index.
            kind: "exact" compares a query with every vector; "hnsw" and "ivf" are faster and may
                miss some (``verify`` measures how many); "auto" chooses by the number of vectors.
            encoders: for a space of features: modality -> the encoder that made them, as
                ``commonspace extract`` has it, such as "st:FOLDER". With it raw items can be put
                in, and words and pictures asked.
            progress: hears (samples that are kept, samples in all).

        Raises:
            OutputError: the place is taken, or cannot be written.
            DataError: a sample cannot be embedded or kept.
            SettingError: data and space have no modality in common, or there is no such kind.
        """
        check_choice(kind)
        place, chosen = Path(path), dict(encoders or {})
        embedder = Embedder(space, chosen)
        for modality in chosen:
            embedder.encoder(modality)  # one that does not fit is refused before the work
        with new_index(place, space, choice=kind, encoders=chosen) as store:
            index = cls(Opened(place, store))
            index._opened.adopt(embedder)
        try:
            if dataset is not None:
                index.add(dataset, progress=progress)
        except BaseException:
            index.close()
            raise
        return index

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        space: CommonSpace | None = None,
        encoders: Mapping[str, str] | None = None,
        device: str = "cpu",
        wait: float = WAIT,
    ) -> "Index":
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
                found="no such folder" if not place.exists() else "none",
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
        return f"Index({str(self.path)!r}, {len(self)} items, {modalities})"

    @property
    def space(self) -> CommonSpace:
        """The space that the vectors belong to, loaded when it is first asked for.

        Raises:
            StoreError: the copy in the folder is missing or damaged.
        """
        return self._opened.embedder().space

    @property
    def fingerprint(self) -> str:
        """That of the space."""
        return self._opened.fingerprint

    def search(
        self,
        *,
        text: str | None = None,
        image: str | Path | NDArray[np.uint8] | None = None,
        vector: ArrayLike | None = None,
        k: int = 10,
        modality: str | None = None,
        where: str | None = None,
        granularity: float | None = None,
        min_relevance: float | None = None,
    ) -> list[Found]:
        """Return the items that fit a query best, the best first; equal scores by age.

        Args:
            text: words.
            image: an image file, or an (h, w, 3) uint8 array.
            vector: (d,), a vector of the space. Of several of the three, the mean is taken, each
                scaled to unit length.
            k: how many; all, where there are fewer.
            modality: find items by this modality alone; None: by whichever fits best.
            where: only items that a condition on their fields holds for: 'price < 50'; see
                ``commonspace.retrieval.where``.
            granularity: from 0, "the same kind", to 1, "this very thing", for spaces that know it.
            min_relevance: leave out, of the k, what is less probably relevant.

        Raises:
            SettingError: nothing is asked, or an option cannot work.
            DataError: the picture or vector cannot be used.
        """
        query = Query(text, image, vector)
        search = Search(k, modality, where, granularity, min_relevance)
        return self.search_many([query], search)[0]

    def search_many(
        self, queries: Sequence[Query] | NDArray[np.float32], search: Search | None = None
    ) -> list[list[Found]]:
        """Return what each of many queries finds, as ``search`` does, in one pass.

        Args:
            queries: q queries, or (q, d) vectors of the space.
            search: how to search; None takes the defaults.

        Raises:
            SettingError: a query asks nothing, or an option cannot work.
            DataError: a picture or vector cannot be used.
        """
        embedder = self._opened.embedder()
        if isinstance(queries, np.ndarray):
            vectors = checked_vectors(queries, embedder)
        else:
            rows = [vector_of(query, embedder) for query in queries]
            size = embedder.space.dimension
            vectors = np.ascontiguousarray(np.reshape(rows, (len(rows), size)), dtype=np.float32)
        return self._searcher.find(embedder.space, vectors, search or Search())

    def add(self, dataset: Dataset, *, progress: Progress | None = None) -> Change:
        """Put the samples of a data set into the index; their ids must be new.

        Args:
            dataset: raw items or features, as the space reads them.
            progress: hears (samples that are kept, samples in all).

        Raises:
            DataError: an id is taken, or a sample cannot be embedded or kept.
            SettingError: data and space have no modality in common.
            StoreError: another writer is at work.
            OutputError: the disk is full; what was acknowledged is kept.
        """
        return self._put(dataset, replace=False, progress=progress)

    def update(self, dataset: Dataset, *, progress: Progress | None = None) -> Change:
        """Put samples in: new ids are added, changed ones replaced, equal ones left as they are.

        Args:
            dataset: raw items or features, as the space reads them.
            progress: hears (samples that are kept, samples in all).

        Raises:
            DataError: a sample cannot be embedded or kept.
            SettingError: data and space have no modality in common.
            StoreError: another writer is at work.
            OutputError: the disk is full; what was acknowledged is kept.
        """
        return self._put(dataset, replace=True, progress=progress)

    def remove(self, ids: Sequence[str]) -> Change:
        """Take items out, all of those named or none.

        Args:
            ids: of items that are there.

        Raises:
            DataError: an id is not there; nothing is removed.
            StoreError: another writer is at work.
        """
        if isinstance(ids, str):
            raise DataError(
                "the ids are not a list",
                expected="ids of items that are there, as strings",
                found=repr(ids),
                advice=f"write [{ids!r}]; nothing was removed",
            )
        wanted = list(dict.fromkeys(ids))
        with self._opened.alone():
            known = numbers_of(self._opened.store, wanted)
            absent = [name for name in wanted if name not in known]
            if absent:
                raise DataError(
                    f"the index holds no item {absent[0]!r}",
                    expected="ids of items that are there, as strings",
                    found=", ".join(map(repr, absent[:5])) + (", …" if len(absent) > 5 else ""),
                    advice="check the spelling; nothing was removed",
                )
            with self._opened.store.changing() as connection:
                remove_items(connection, known.values())
            self._opened.shelves.tidy()
        return Change(removed=len(known))

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

    def migrate(
        self,
        space: CommonSpace,
        *,
        encoders: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Move the index to another space: everything is embedded anew from what was kept of it.

        The old space answers until all vectors of the new one are there. After a kill, the same
        call goes on.

        Args:
            space: where to.
            encoders: modality -> encoder of its features; None: those that the index has.
            progress: hears (vectors that are kept, vectors in all).

        Returns:
            How many vectors were made; 0 where the index is bound to this space already.

        Raises:
            SettingError: the space lacks a modality that items have.
            StoreError: what the space reads was not kept; another writer is at work.
            DataError: a picture is gone, or cannot be read.
        """
        with self._opened.alone():
            return migrate(self._opened, space, encoders, progress)

    def verify(self) -> Verification:
        """Look the index over: the store, the copy of the space, derived files, and their cost.

        Derived files that do not agree with the store are made anew.

        Raises:
            StoreError: the store cannot be read; another writer is at work.
        """
        with self._opened.alone():
            return verify(self._opened)

    def audit(self, settings: AuditSettings | None = None) -> list[Finding]:
        """Return what is likely wrong in the catalogue, kind by kind, the most suspicious first.

        Args:
            settings: from where on something is a finding; None takes the defaults.
        """
        return audit(self._opened, settings)

    def _put(self, dataset: Dataset, *, replace: bool, progress: Progress | None) -> Change:
        opened = self._opened
        with opened.alone():
            change = put(
                opened.store, opened.embedder(), dataset, replace=replace, progress=progress
            )
            opened.shelves.tidy()
        return change

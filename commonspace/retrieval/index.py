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

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from commonspace.data import Dataset
from commonspace.errors import DataError
from commonspace.retrieval.audit import AuditSettings, Finding, audit
from commonspace.retrieval.catalogue import numbers_of
from commonspace.retrieval.changes import remove_items
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.folder import checked_choice, new_index
from commonspace.retrieval.migrate import migrate
from commonspace.retrieval.opened import Opened
from commonspace.retrieval.reader import Reader
from commonspace.retrieval.verify import Verification, verify
from commonspace.retrieval.writing import Change, Progress, put
from commonspace.space import CommonSpace

__all__ = ["Index"]


class Index(Reader):
    """An open index. ``Index.create`` and ``Index.open`` make one; ``close`` ends it.

    Args:
        opened: its parts, as those two bring them together.

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
        encoders: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> "Index":
        """Make an index, and put a data set into it.

        The empty index is made first, whole; then the samples follow in portions. After a kill
        ``update`` with the same data goes on; after an error with nothing kept, nothing is left.

        Args:
            path: a folder that is not there yet, or empty.
            space: what embeds; a copy of it is kept in the folder.
            dataset: its samples become items by their ids; None for an empty index.
            kind: "exact" compares a query with every vector; "hnsw" and "ivf" are faster and may
                miss some (``verify`` measures how many); "auto" chooses by the number of vectors;
                "milvus:URI" lets a server, or a file of Milvus Lite, compare with every vector.
            encoders: for a space of features: modality -> the encoder that made them, as
                ``commonspace extract`` has it, such as "st:FOLDER". With it raw items can be put
                in, and words and pictures asked.
            progress: hears (samples that are kept, samples in all).

        Raises:
            OutputError: the place is taken, or cannot be written.
            DataError: a sample cannot be embedded or kept.
            SettingError: data and space have no modality in common, or there is no such kind.
            StoreError: the Milvus that is named cannot be reached.
        """
        choice = checked_choice(kind)
        place, chosen = Path(path), dict(encoders or {})
        embedder = Embedder(space, chosen)
        for modality in chosen:
            embedder.encoder(modality)  # one that does not fit is refused before the work
        with new_index(place, space, choice=choice, encoders=chosen) as store:
            index = cls(Opened(place, store))
            index._opened.adopt(embedder)
        try:
            if dataset is not None:
                change = index.add(dataset, progress=progress)
                index._opened.shelves.notes += change.notes
        except BaseException:
            nothing = len(index) == 0
            index.close()
            if nothing:
                shutil.rmtree(place, ignore_errors=True)
            raise
        return index

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

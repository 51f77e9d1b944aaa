"""All shelves of an open index, following the store: read, mended, and made anew when due.

It knows no items and no spaces beyond their numbers.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

import numpy as np

from commonspace.errors import OutputError, StoreError
from commonspace.retrieval.milvus import PREFIX
from commonspace.retrieval.shelf import Base, Shelf
from commonspace.retrieval.shelf_files import built, kept, read, recorded
from commonspace.retrieval.store import Store

__all__ = ["Shelves", "State"]

SMALLEST = 2000
"""Changes that are never worth a base of their own: they are compared one by one."""

SHARE = 0.2
"""A base is made anew when more than this share of it came or went."""


@dataclass(frozen=True)
class State:
    """The shelves at one moment."""

    generation: int
    space: int
    shelves: dict[int, Shelf]
    """By the number of the modality."""
    modalities: dict[str, int]
    """Name -> number."""
    fields: dict[str, int]
    """Name -> place in the list of an item's values."""


class Shelves:
    """The shelves of an open index.

    Args:
        store: the truth.
        folder: of the index.
        alone: takes the lock of writers without waiting, or raises a StoreError.
    """

    def __init__(
        self, store: Store, folder: Path, alone: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Know nothing yet: the first ``fresh`` reads."""
        self.store = store
        self.folder = folder
        self.notes: list[str] = []
        self._alone = alone
        self._lock = RLock()
        self._state = State(-1, -1, {}, {}, {})

    def fresh(self) -> State:
        """Return the shelves as the store is now."""
        if self._state.generation == self.store.generation:
            return self._state
        with self._lock:
            while True:
                space, modalities = self.store.space, sorted(self.store.modalities.values())
                bases = {number: self._base(space, number) for number in modalities}
                with self.store.reading():
                    if self.store.space == space and all(
                        bases[number].file == self._file(space, number)
                        for number in self.store.modalities.values()
                        if number in bases
                    ):
                        self._state = self._following(space, bases)
                        return self._state

    def tidy(self) -> None:
        """Make the bases anew that are due, while holding the lock of writers.

        What cannot be written is noted: the store is whole, and the newer entries are compared
        one by one as before.
        """
        for number, shelf in self.fresh().shelves.items():
            if shelf.changes > max(SMALLEST, SHARE * len(shelf.base.entries)):
                self.remake(number)
        self.fresh()

    def remake(self, modality: int) -> None:
        """Make the base of a modality anew from the store, while holding the lock of writers."""
        space = self.store.space
        try:
            base = built(self.store, space, modality, self.choice)
            kept(self.store, self.folder, base, space, modality)
        except (OutputError, StoreError) as exc:
            self.notes.append(f"{exc.problem} ({exc.found}): search is slower until it can be")

    @property
    def choice(self) -> str:
        """Which kind of index is wanted: "exact", "hnsw", "ivf", or "auto"."""
        return str(self.store.fact("kind") or "exact")

    def _following(self, space: int, bases: dict[int, Base]) -> State:
        known = self._state.shelves if self._state.space == space else {}
        shelves = {}
        for number, base in bases.items():
            before = known.get(number)
            shelves[number] = (
                before.following(self.store)
                if before is not None and before.base is base
                else Shelf.on(base, self.store, space, number)
            )
        names = self.store.modalities, self.store.fields
        return State(self.store.generation, space, shelves, *names)

    def _file(self, space: int, modality: int) -> str:
        record = recorded(self.store, space, modality)
        return "" if record is None else record.file

    def _base(self, space: int, modality: int) -> Base:
        """Return the base that the store names: the one at hand, the one on disk, or a new one."""
        before = self._state.shelves.get(modality)
        record = recorded(self.store, space, modality)
        file = "" if record is None else record.file
        if before is not None and before.space == space and before.base.file == file:
            return before.base
        if record is None:
            none = np.empty(0, dtype=np.int64)
            return Base(None, none, none, 0, 0, "")
        try:
            return read(self.folder, record)
        except StoreError as exc:
            if (
                recorded(self.store, space, modality) != record
            ):  # another process has just made it anew
                return self._base(space, modality)
            return self._mended(space, modality, exc)

    def _mended(self, space: int, modality: int, damage: StoreError) -> Base:
        """Make a base in place of a damaged one; keep it where nobody else is writing."""
        note = f"{damage.problem}: made anew from the store"
        file = self._file(space, modality)
        try:
            with self._alone():
                base = built(self.store, space, modality, self.choice, file=file)
                base = kept(self.store, self.folder, base, space, modality)
        except (OutputError, StoreError):
            if self.choice.startswith(PREFIX):  # what Milvus held may be more than memory holds
                raise
            base = built(self.store, space, modality, self.choice, file=file)
            note += ", in memory alone"
        self.notes.append(note)
        return base

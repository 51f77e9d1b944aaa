"""What an open index is made of: store, shelves, space and the lock of writers, brought together.

It knows neither queries nor samples; ``Index`` is its face.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from commonspace.errors import StoreError
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.folder import LOCK, load_copy, other_space
from commonspace.retrieval.lock import WAIT, writing
from commonspace.retrieval.shelves import Shelves
from commonspace.retrieval.store import Store
from commonspace.space import CommonSpace

__all__ = ["Opened"]


class Opened:
    """The parts of an open index.

    Args:
        path: its folder.
        store: its store.
        encoders: other places for encoders than those that the store names.
        device: where the space computes.
        wait: seconds that a writer waits for another one to end.
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
        """Bring the parts together."""
        self.wait = wait
        self.path = path
        self.store = store
        self.shelves = Shelves(store, path, lambda: self.alone(wait=0))
        self._encoders = dict(encoders or {})
        self._device = device
        self._embedders: dict[int, Embedder] = {}
        self._loading = threading.Lock()
        self._turn = threading.RLock()
        self._depth = 0

    @contextmanager
    def alone(self, *, wait: float | None = None) -> Iterator[None]:
        """Be the one writer, of all threads and processes, for the block.

        Args:
            wait: seconds to wait for another one to end; None: as the index was opened.

        Raises:
            StoreError: another one did not end in time.
        """
        wait = self.wait if wait is None else wait
        if not self._turn.acquire(timeout=wait):
            raise StoreError(
                f"another writer is at work on {self.path}",
                expected="one writer at a time; any number of readers",
                found="another thread of this process",
                advice="wait for its end and try again; nothing was changed",
            )
        self._depth += 1
        try:
            if self._depth > 1:  # this very thread holds the lock already
                yield
            else:
                with writing(self.path / LOCK, str(self.path), wait=wait):
                    yield
        finally:
            self._depth -= 1
            self._turn.release()

    def embedder(self) -> Embedder:
        """Return the space that answers now, with its encoders; see ``bound``."""
        return self.bound()[1]

    def bound(self) -> tuple[int, Embedder]:
        """Return the number of the space that answers now, and the space with its encoders.

        It is loaded when it is first needed.

        Raises:
            StoreError: the copy in the folder is missing, damaged, or another space.
        """
        with self._loading:
            while True:
                number = self.shelves.fresh().space
                if number in self._embedders:
                    return number, self._embedders[number]
                try:
                    space = load_copy(self.path, number, self.fingerprint, self._device)
                except StoreError:
                    if self.store.space == number:
                        raise
                    continue  # another process has just moved the index to another space
                self._embedders = {number: self._with_encoders(space)}

    def accept(self, space: CommonSpace) -> None:
        """Take a space that is loaded already in place of the copy in the folder.

        Raises:
            StoreError: the vectors belong to another one.
        """
        if space.fingerprint != self.fingerprint:
            raise other_space("the space given", self.fingerprint, space.fingerprint)
        self.adopt(self._with_encoders(space))

    def adopt(self, embedder: Embedder) -> None:
        """Take a space with its encoders, of which it is known that the vectors belong to it."""
        self._embedders = {self.store.space: embedder}

    @property
    def fingerprint(self) -> str:
        """Of the space that answers now."""
        return self.store.space_facts(self.store.space)[0]

    @property
    def encoders(self) -> dict[str, str]:
        """Modality -> text form of the encoder of its features."""
        made_with: dict[str, str] = json.loads(self.store.fact("encoders") or "{}")
        return made_with | self._encoders

    def _with_encoders(self, space: CommonSpace) -> Embedder:
        return Embedder(space, self.encoders)

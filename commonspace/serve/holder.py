"""The index that answers, and how another one takes its place without a dropped request.

Changes inside the folder are seen by the index itself. A folder that was put in the place of
another (or a link that points elsewhere now) is opened beside the old one; who began with the old
one ends with it, and then it is closed. It knows no HTTP.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commonspace.errors import CommonspaceError
from commonspace.retrieval import Index

__all__ = ["Holder"]

LOG = logging.getLogger("commonspace.serve")
STORE = "store.sqlite"
LOOK = 1.0
"""Seconds between two looks at the folder."""


class Holder:
    """Holds an open index, and follows its folder.

    Args:
        path: the folder of the index.
        device: where the space computes.
        look: seconds between two looks at the folder.

    Raises:
        StoreError: there is no index, or its space cannot be loaded.
    """

    def __init__(self, path: Path, device: str = "cpu", look: float = LOOK) -> None:
        """Open the index, with its space: the first query shall not wait for it."""
        self.path = path
        self.device = device
        self.problem = ""
        self._look = look
        self._lock = threading.Lock()
        self._users: dict[int, int] = {}
        self._identity = self._identify()
        self._index = self._open()
        self._looked = time.monotonic()

    @contextmanager
    def lease(self) -> Iterator[Index]:
        """Lend the index for the block; it is not closed before the block has ended."""
        self._follow()
        with self._lock:
            index = self._index
            self._users[id(index)] = self._users.get(id(index), 0) + 1
        try:
            yield index
        finally:
            with self._lock:
                self._users[id(index)] -= 1
                if not self._users[id(index)]:
                    del self._users[id(index)]
                    if index is not self._index:
                        index.close()

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def _follow(self) -> None:
        """Open what stands in the folder now, where that is another index than the one at hand."""
        with self._lock:
            if time.monotonic() - self._looked < self._look:
                return
            self._looked = time.monotonic()
        identity = self._identify()
        if identity in (None, self._identity):  # a folder that is just being replaced has none
            return
        try:
            index = self._open()
        except CommonspaceError as exc:
            self.problem = "another index stands in the folder, and cannot be opened"
            LOG.error("%s: the former index goes on: %s", self.path, exc)
            return
        with self._lock:
            former, self._index = self._index, index
            self._identity, self.problem = identity, ""
            if not self._users.get(id(former)):
                former.close()
        LOG.info("%s holds another index now: %d items", self.path, len(index))

    def _open(self) -> Index:
        index = Index.open(self.path, device=self.device)
        try:
            assert index.space is not None  # loaded now
        except BaseException:
            index.close()
            raise
        return index

    def _identify(self) -> tuple[int, int] | None:
        try:
            found = (self.path / STORE).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

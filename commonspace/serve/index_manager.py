"""The open index of the service, and its replacement without a dropped request.

The index itself follows changes inside its folder. When the folder is replaced by another one (or
a link now points elsewhere), the new index is opened beside the old one. Requests that started
with the old one finish with it; then it is closed.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commonspace.errors import CommonspaceError
from commonspace.retrieval import Index

__all__ = ["IndexManager"]

LOG = logging.getLogger("commonspace.serve")
STORE = "store.sqlite"
CHECK_SECONDS = 1.0
"""Interval at which the folder is checked."""


class IndexManager:
    """Holds an open index and follows its folder.

    Args:
        path: folder of the index.
        device: where the space computes.
        check_seconds: interval at which the folder is checked.

    Raises:
        StoreError: There is no index, or its space cannot be loaded.
    """

    def __init__(
        self, path: Path, device: str = "cpu", check_seconds: float = CHECK_SECONDS
    ) -> None:
        self.path = path
        self.device = device
        self.problem = ""
        self._check_seconds = check_seconds
        self._lock = threading.Lock()
        self._users: dict[int, int] = {}
        self._identity = self._identify()
        self._index = self._open()
        self._checked = time.monotonic()

    @contextmanager
    def lease(self) -> Iterator[Index]:
        """Return the index for the block; it stays open until the block ends."""
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

    def follow(self) -> None:
        """Open the index that the folder contains now at once, if it is another one."""
        self._checked = -self._check_seconds
        self._follow()

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def _follow(self) -> None:
        """Open the index that the folder contains now, if it is another one."""
        with self._lock:
            if time.monotonic() - self._checked < self._check_seconds:
                return
            self._checked = time.monotonic()
        identity = self._identify()
        if identity in (None, self._identity):  # None: the folder is being replaced
            return
        try:
            index = self._open()
        except CommonspaceError as exc:
            self.problem = "the folder contains another index, which cannot be opened"
            LOG.error("%s: still serving the previous index: %s", self.path, exc)
            return
        with self._lock:
            previous, self._index = self._index, index
            self._identity, self.problem = identity, ""
            if not self._users.get(id(previous)):
                previous.close()
        LOG.info("%s contains another index now: %d items", self.path, len(index))

    def _open(self) -> Index:
        index = Index.open(self.path, device=self.device)
        try:
            assert index.space is not None  # loads it, so that the first query does not wait
        except BaseException:
            index.close()
            raise
        return index

    def _identify(self) -> tuple[int, int] | None:
        try:
            status = (self.path / STORE).stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

"""Lock of writers: a lock on a file, released by the operating system when its holder exits.

Readers never take it.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from commonspace.errors import OutputError, StoreError

__all__ = ["WAIT", "WriterLock", "write_lock"]

WAIT = 10.0
"""Seconds that a writer waits for another one to finish."""

_PAUSE = 0.05


class WriterLock:
    """Lock of the writers of one index, over all threads and processes; a holder can nest it.

    Args:
        path: the file to lock.
        read_only: whether nobody can write, so that only threads wait for one another.
        wait: seconds to wait for another writer to finish.
    """

    def __init__(self, path: Path, *, read_only: bool, wait: float = WAIT) -> None:
        self._path, self._read_only, self._wait = path, read_only, wait
        self._turn = threading.RLock()
        self._depth = 0

    @contextmanager
    def hold(self, *, wait: float | None = None) -> Iterator[None]:
        """Hold the lock in the block.

        Args:
            wait: seconds to wait for another writer; None: as set for the index.

        Raises:
            StoreError: If another writer did not finish in time.
            OutputError: If the file cannot be created.
        """
        wait = self._wait if wait is None else wait
        what = str(self._path.parent)
        if not self._turn.acquire(timeout=wait):
            raise _occupied(what, "another thread of this process")
        self._depth += 1
        try:
            if self._depth > 1 or self._read_only:
                yield
            else:
                with write_lock(self._path, what, wait=wait):
                    yield
        finally:
            self._depth -= 1
            self._turn.release()


@contextmanager
def write_lock(path: Path, what: str, *, wait: float = WAIT) -> Iterator[None]:
    """Hold the lock of a file until the block, or this process, ends.

    Args:
        path: the file to lock; it is created if it is missing.
        what: what is locked, for messages.
        wait: seconds to wait for another holder to finish.

    Raises:
        StoreError: If another holder did not finish in time.
        OutputError: If the file cannot be created.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with write_lock(Path(folder) / "lock", "the index"):
        ...         with write_lock(Path(folder) / "lock", "the index", wait=0):
        ...             pass
        Traceback (most recent call last):
            ...
        commonspace.errors.StoreError: another writer is at work on the index
        ...
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as exc:
        raise OutputError(
            f"{what} cannot be written",
            expected="a folder that can be written to",
            found=f"{path}: {exc.strerror}",
            advice="check its permissions; nothing was changed",
        ) from exc
    try:
        _take(handle, what, time.monotonic() + wait)
        with suppress(OSError):  # the process id is only used in messages
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        with suppress(OSError):  # nothing is left in the file
            os.ftruncate(handle, 0)
        os.close(handle)


def _take(handle: int, what: str, until: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as exc:
            if time.monotonic() >= until:
                holder = os.pread(handle, 20, 0).decode(errors="replace").strip()
                raise _occupied(what, f"process {holder or 'unknown'}") from exc
            time.sleep(_PAUSE)
        except OSError:  # some network drives do not support locks: SQLite has its own
            return


def _occupied(what: str, holder: str) -> StoreError:
    return StoreError(
        f"another writer is at work on {what}",
        expected="one writer at a time; any number of readers",
        found=holder,
        advice="wait until it has finished and try again; nothing was changed",
    )

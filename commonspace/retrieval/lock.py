"""Lock of writers: a lock on a file, released by the operating system when its holder exits.

Readers never take it.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from commonspace.errors import OutputError, StoreError

__all__ = ["WAIT", "write_lock"]

WAIT = 10.0
"""Seconds that a writer waits for another one to finish."""

_PAUSE = 0.05


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
        os.close(handle)


def _take(handle: int, what: str, until: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as exc:
            if time.monotonic() >= until:
                holder = os.pread(handle, 20, 0).decode(errors="replace").strip()
                raise StoreError(
                    f"another writer is at work on {what}",
                    expected="one writer at a time; any number of readers",
                    found=f"process {holder or 'unknown'}",
                    advice="wait until it has finished and try again; nothing was changed",
                ) from exc
            time.sleep(_PAUSE)
        except OSError:  # some network drives do not support locks: SQLite has its own
            return

"""One writer at a time: a lock on a file, given back by the system when its holder ends or dies.

It knows nothing of what is written. Readers never take it.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from commonspace.errors import OutputError, StoreError

__all__ = ["WAIT", "writing"]

WAIT = 10.0
"""Seconds that a writer waits for another one to end."""

_PAUSE = 0.05


@contextmanager
def writing(path: Path, what: str, *, wait: float = WAIT) -> Iterator[None]:
    """Hold the lock of a file until the block, or this process, ends.

    Args:
        path: the file that carries the lock; it is made where it is missing.
        what: what is locked, for messages.
        wait: how many seconds to wait for another holder to end.

    Raises:
        StoreError: another holder did not end in time.
        OutputError: the file cannot be made.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with writing(Path(folder) / "lock", "the index"):
        ...         with writing(Path(folder) / "lock", "the index", wait=0):
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
        with suppress(OSError):  # the name of the holder serves messages alone
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
                    advice="wait for its end and try again; nothing was changed",
                ) from exc
            time.sleep(_PAUSE)
        except OSError:  # some network drives know no locks: SQLite's own remains
            return

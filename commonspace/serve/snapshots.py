"""Snapshots of the served index: created, listed, sent, restored and deleted over HTTP."""

import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from commonspace.atomic import ensure_folder
from commonspace.errors import FileFormatError
from commonspace.retrieval.snapshot import restore_snapshot, write_snapshot
from commonspace.serve.errors import RequestError
from commonspace.serve.index_manager import IndexManager
from commonspace.serve.schemas import SnapshotResponse

__all__ = ["Snapshots"]

_NAME = re.compile(r"[A-Za-z0-9][\w.\-]{0,80}\.tar", re.ASCII)


class Snapshots:
    """The snapshots of one index, as files of a folder.

    Args:
        manager: holds the index.
        folder: contains the snapshots; created with the first one. None: they are refused.
    """

    def __init__(self, manager: IndexManager, folder: Path | None) -> None:
        self._manager = manager
        self._folder = folder
        self._lock = threading.Lock()

    def list(self) -> list[SnapshotResponse]:
        """Return all snapshots, the newest first.

        Raises:
            RequestError: 403, the service has no folder for snapshots.
        """
        files = [file for file in self._place().glob("*.tar") if _NAME.fullmatch(file.name)]
        return sorted(map(_describe, files), key=lambda one: one.created, reverse=True)

    def create(self) -> SnapshotResponse:
        """Write a snapshot of the index as it is now.

        Raises:
            RequestError: 403, as for ``list``.
            StoreError: Another process is writing.
            OutputError: The disk is full.
        """
        folder = self._place()
        with self._lock:
            ensure_folder(folder)
            name = (
                f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09}.tar"
            )
            write_snapshot(self._manager.path, folder / name)
            return _describe(folder / name)

    def find(self, name: str) -> Path:
        """Return the file of a snapshot.

        Raises:
            RequestError: 403, as for ``list``; 404, the name is unknown.
        """
        file = self._place() / name
        if not _NAME.fullmatch(name) or not file.is_file():
            raise RequestError(
                404, "unknown snapshot", found=ascii(name)[:80], advice="GET /v1/snapshots"
            )
        return file

    def restore(self, name: str) -> int:
        """Replace the index by a snapshot, and return the number of its items.

        Raises:
            RequestError: 403 and 404, as for ``find``; 409, the file is damaged.
            StoreError: Another process is writing.
        """
        file = self.find(name)
        with self._lock:
            try:
                count = restore_snapshot(file, self._manager.path)
            except FileFormatError as exc:
                raise RequestError(
                    409, "the snapshot is damaged", found=exc.found[:200], advice=exc.advice
                ) from exc
            self._manager.follow()
            return count

    def delete(self, name: str) -> None:
        """Delete a snapshot.

        Raises:
            RequestError: 403 and 404, as for ``find``.
        """
        self.find(name).unlink(missing_ok=True)

    def _place(self) -> Path:
        if self._folder is None:
            raise RequestError(
                403,
                "the service keeps no snapshots",
                code="read_only",
                advice="start it with --snapshots DIR --writable",
            )
        return self._folder


def _describe(file: Path) -> SnapshotResponse:
    status = file.stat()
    created = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
    return SnapshotResponse(name=file.name, bytes=status.st_size, created=created)

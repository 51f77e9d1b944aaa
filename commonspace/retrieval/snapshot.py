"""Snapshots: an index as one file, written and restored while it is searched."""

import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from commonspace.atomic import as_path, replace_file, sync, umask, write_error
from commonspace.errors import CommonspaceError, FileFormatError
from commonspace.retrieval.folder import LOCK, STORE
from commonspace.retrieval.index import Index
from commonspace.retrieval.lock import WAIT, write_lock
from commonspace.retrieval.page_sums import PAGES, PageSums

__all__ = ["restore_snapshot", "write_snapshot"]

PARTS = ("spaces", "segments", "photos", "map.json")
"""Files and folders of an index beside its store."""


def write_snapshot(path: str | Path, file: str | Path) -> None:
    """Write an index into a tar file; it can be searched meanwhile, and writers wait.

    Photos that are not copied into the index stay where they are: the snapshot has their paths.

    Args:
        path: folder of the index.
        file: a new file.

    Raises:
        StoreError: If there is no index, or another writer is at work.
        OutputError: If the file exists, or cannot be written.
    """
    folder, target = as_path(path), as_path(file)
    Index.open(folder).close()  # builds what an older version did not write
    with (
        write_lock(folder / LOCK, str(folder), wait=WAIT),
        replace_file(target) as draft,
        tempfile.TemporaryDirectory(dir=target.parent) as aside,
    ):
        try:
            copy = Path(aside) / STORE
            _copy_store(folder / STORE, copy)
            with tarfile.open(draft, "w") as archive:
                archive.add(copy, STORE)
                archive.add(copy.with_name(PAGES), PAGES)
                for part in PARTS:
                    if (folder / part).exists():
                        archive.add(folder / part, part)
        except OSError as exc:
            raise write_error(target, exc) from exc


def restore_snapshot(file: str | Path, path: str | Path) -> int:
    """Replace an index by its snapshot, or create it; return the number of its items.

    The snapshot is extracted beside the index and checked. Then the two folders are exchanged by
    renaming, so that readers see the former index or the restored one. Other processes that write
    to the index must open it again; a service does so.

    Args:
        file: written by ``write_snapshot``.
        path: folder of the index.

    Raises:
        FileFormatError: If the file is no snapshot of an index.
        StoreError: If another writer is at work; nothing is changed.
        OutputError: If the folder cannot be written.
    """
    source, folder = as_path(file), as_path(path).absolute()
    if folder.is_symlink():  # the link stays, and names the restored folder
        folder = folder.resolve()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".new"))
    except OSError as exc:
        raise write_error(folder, exc) from exc
    former = draft.with_suffix(".old")
    try:
        draft.chmod(0o777 & ~umask())
        count = _extract(source, draft)
        if not folder.exists():
            _rename(draft, folder)
            return count
        with write_lock(folder / LOCK, str(folder), wait=WAIT):
            _rename(folder, former)
            try:
                _rename(draft, folder)
            except BaseException:
                _rename(former, folder)
                raise
        return count
    finally:
        for leftover in (draft, former):
            shutil.rmtree(leftover, ignore_errors=True)


def _copy_store(store: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(store)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
        copy.execute(
            "PRAGMA journal_mode = WAL"
        )  # as it will be opened; one file once it is closed
        generation = copy.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0]
    PageSums(target).write_all(int(generation))


def _extract(source: Path, draft: Path) -> int:
    """Extract a snapshot into an empty folder, check it, and return the number of its items."""
    try:
        with tarfile.open(source, "r:") as archive:
            archive.extractall(draft, filter="data")  # no links out, no devices, no absolute paths
        with Index.open(draft) as index:
            assert index.space is not None  # loads it
            pages = index._store.changed_pages()
            if pages:
                raise ValueError(f"{len(pages)} pages of {STORE} differ from their checksums")
            return len(index)
    except (OSError, tarfile.TarError, ValueError, CommonspaceError) as exc:
        raise FileFormatError(
            f"{source} is not a snapshot of an index",
            expected="a file that a snapshot wrote, unchanged",
            found=getattr(exc, "problem", None) or str(exc) or type(exc).__name__,
            advice="choose another snapshot; the index was not changed",
        ) from exc


def _rename(source: Path, target: Path) -> None:
    try:
        source.rename(target)
        sync(target.parent)
    except OSError as exc:
        raise write_error(target, exc) from exc

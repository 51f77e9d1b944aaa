"""Atomic writes: a crash, a full disk or a kill leaves the old file or folder, or the new one."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commonspace.errors import OutputError, SettingError

__all__ = [
    "as_path",
    "check_absent",
    "ensure_folder",
    "make_folder",
    "replace_file",
    "sync",
    "umask",
    "write_error",
    "write_folder",
]


@contextmanager
def replace_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a file under a temporary name and move it to ``target`` if the block succeeds.

    At any time ``target`` holds either all of the old content or all of the new. The temporary file
    is removed if the block fails.

    Args:
        target: File to write, in an existing folder.
        overwrite: Whether an existing file may be replaced.

    Yields:
        Path of an empty file in the same folder, to be written by the block.

    Raises:
        OutputError: If ``target`` exists, or cannot be written (disk full, no permission).

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replace_file(Path(folder) / "note.txt") as draft:
        ...         _ = draft.write_text("hello")
        ...     (Path(folder) / "note.txt").read_text()
        'hello'
    """
    if not overwrite:
        check_absent(target)
    try:
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix
        )
        os.close(handle)
    except OSError as exc:
        raise write_error(target, exc) from exc
    draft = Path(name)
    try:
        yield draft
        sync(draft)
        draft.chmod(0o666 & ~umask())  # mkstemp makes it private
        draft.replace(target)
        sync(target.parent)
    except OSError as exc:
        raise write_error(target, exc) from exc
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def write_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name and move it to ``folder`` if the block succeeds.

    At any time ``folder`` is as before or complete. After a kill that cannot be caught, the
    temporary folder, whose name starts with a dot, remains beside it.

    Args:
        folder: Target; an existing empty folder is accepted.

    Yields:
        Path of an empty folder, to be filled by the block.

    Raises:
        OutputError: If ``folder`` exists and is not empty, or cannot be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     with write_folder(Path(parent) / "report") as draft:
        ...         _ = (draft / "note.txt").write_text("hello")
        ...     [path.name for path in (Path(parent) / "report").iterdir()]
        ['note.txt']
    """
    existed = folder.exists()
    make_folder(folder)
    if not existed:
        folder.rmdir()
    try:
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as exc:
        raise write_error(folder, exc) from exc
    try:
        yield draft
        draft.chmod(0o777 & ~umask())
        draft.replace(folder)  # also replaces an empty folder
        sync(folder.parent)
    except OSError as exc:
        raise write_error(folder, exc) from exc
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def make_folder(folder: Path) -> Path:
    """Create a folder for a result; an existing empty folder is accepted.

    Raises:
        OutputError: If the path exists and is not an empty folder, or cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except FileExistsError as exc:
        raise _exists_error(folder) from exc
    except (OSError, ValueError) as exc:
        raise write_error(folder, exc) from exc
    if occupied:
        raise _exists_error(folder, "a folder with files in it")
    return folder


def ensure_folder(folder: Path) -> None:
    """Create a folder and its parents, unless it is there.

    Raises:
        OutputError: It cannot be created, as under a file or on a read-only disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        raise write_error(folder, exc) from exc


def as_path(path: object) -> Path:
    """Return a path that is given as a string or Path.

    Raises:
        SettingError: If it is neither.
    """
    if not isinstance(path, str | Path):
        raise SettingError(
            "the path has the wrong type",
            expected="the path of a folder, as a string or Path",
            found=repr(path)[:60],
            advice='write it like "shop"',
        )
    return Path(path)


def check_absent(target: Path) -> None:
    """Raise an error if a path exists, before time is spent on its content.

    Raises:
        OutputError: If ``target`` exists.
    """
    if target.exists():
        raise _exists_error(target)


def write_error(target: Path, exc: OSError | ValueError) -> OutputError:
    """Return the error for a path that the operating system did not let us write."""
    if isinstance(exc, ValueError) or exc.errno == errno.ENAMETOOLONG:
        return OutputError(
            f"{str(target)[:60]!r} is no name of a file or folder",
            expected="a name of at most 255 bytes without NUL",
            found=getattr(exc, "strerror", None) or str(exc),
            advice="choose another path; nothing was changed",
        )
    if exc.errno in (errno.ENOTDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS):
        file = next((part for part in target.parents if part.is_file()), None)
        return OutputError(
            f"{target} could not be written",
            expected="a path in folders" if file else "a folder that you may write to",
            found=f"{file} is a file" if file else exc.strerror or str(exc),
            advice="choose another path; nothing was changed",
        )
    return OutputError(
        f"{target} could not be written",
        expected="a writable folder with enough free space",
        found=exc.strerror or str(exc),
        advice="free some space or choose another path; the previous content is unchanged",
    )


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk, so that it survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def umask() -> int:
    """Return the permission bits that this process removes from new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _exists_error(target: Path, found: str = "") -> OutputError:
    return OutputError(
        f"{target} already exists",
        expected="a new path",
        found=found or ("a folder" if target.is_dir() else "a file"),
        advice="choose another path, or move it away first; nothing was changed",
    )

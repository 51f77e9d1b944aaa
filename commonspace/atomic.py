"""Writing files so that a crash, a full disk or a kill leaves the old file or the new one.

This module knows nothing of what is written.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commonspace.errors import OutputError

__all__ = ["check_free", "flush", "new_folder", "new_folder_whole", "refused", "replacing", "umask"]


@contextmanager
def replacing(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Lend a fresh path beside ``target``; move it there when the block ends well.

    Whatever happens in between, ``target`` holds either all of the old content or all of the new,
    and nothing half-written stays behind.

    Args:
        target: the file to write, in a folder that exists.
        overwrite: whether a file that is already there may be replaced.

    Yields:
        The path of an empty file in the same folder, to be written by the block.

    Raises:
        OutputError: ``target`` exists, or the operating system refused (disk full, no permission).

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder) / "note.txt") as draft:
        ...         _ = draft.write_text("kept")
        ...     (Path(folder) / "note.txt").read_text()
        'kept'
    """
    if not overwrite:
        check_free(target)
    try:
        handle, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix
        )
        os.close(handle)
    except OSError as exc:
        raise refused(target, exc) from exc
    draft = Path(name)
    try:
        yield draft
        flush(draft)
        draft.chmod(0o666 & ~umask())  # mkstemp makes it private; a result is an ordinary file
        draft.replace(target)
        flush(target.parent)
    except OSError as exc:
        raise refused(target, exc) from exc
    finally:
        draft.unlink(missing_ok=True)


def check_free(target: Path) -> None:
    """Refuse a place that is taken, before time is spent on what would go there.

    Raises:
        OutputError: something is there.
    """
    if target.exists():
        raise _taken(target)


def new_folder(folder: Path) -> Path:
    """Make ``folder`` for a result; an empty one that is already there will do.

    Raises:
        OutputError: something is already there, or the operating system refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except FileExistsError as exc:
        raise _taken(folder) from exc
    except OSError as exc:
        raise refused(folder, exc) from exc
    if taken:
        raise _taken(folder, "a folder with files in it")
    return folder


@contextmanager
def new_folder_whole(folder: Path) -> Iterator[Path]:
    """Lend a fresh folder beside ``folder``; move it there when the block ends well.

    Whatever happens in between, there is nothing at ``folder`` or all that the block wrote. A kill
    that cannot be caught leaves the draft, whose name begins with a dot, beside it.

    Args:
        folder: where the result should be; an empty folder that is already there will do.

    Yields:
        The path of an empty folder in the same place, to be filled by the block.

    Raises:
        OutputError: something is already there, or the operating system refused.

    Example:
        >>> with tempfile.TemporaryDirectory() as place:
        ...     with new_folder_whole(Path(place) / "report") as draft:
        ...         _ = (draft / "note.txt").write_text("kept")
        ...     [path.name for path in (Path(place) / "report").iterdir()]
        ['note.txt']
    """
    was_there = folder.exists()
    new_folder(folder)
    if not was_there:
        folder.rmdir()
    try:
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as exc:
        raise refused(folder, exc) from exc
    try:
        yield draft
        draft.chmod(0o777 & ~umask())
        draft.replace(folder)  # in place of an empty folder, too
        flush(folder.parent)
    except OSError as exc:
        raise refused(folder, exc) from exc
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _taken(target: Path, found: str = "") -> OutputError:
    return OutputError(
        f"{target} is already there",
        expected="a place that is still free",
        found=found or ("a folder" if target.is_dir() else "a file"),
        advice="choose another place, or move it away first; nothing was changed",
    )


def refused(target: Path, exc: OSError) -> OutputError:
    """Return the error that says what the operating system did not let happen."""
    return OutputError(
        f"{target} could not be written",
        expected="a folder that can be written to, with enough room",
        found=exc.strerror or str(exc),
        advice="free some room or choose another place; what was there before is unchanged",
    )


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def umask() -> int:
    """Return the permissions that this process leaves out of new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

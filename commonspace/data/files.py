"""Opening files so that whatever goes wrong inside names the file. Knows no format."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commonspace.errors import CommonspaceError, DataError, FileFormatError

__all__ = ["reading"]


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn any failure of a format library into a :class:`FileFormatError` that names the file.

    Args:
        path: the file that is read inside the block.
        what: what it should be, such as "a .npz file".

    Raises:
        DataError: the file is not there, or may not be read.
        FileFormatError: anything else went wrong inside the block.
    """
    try:
        yield
    except CommonspaceError:
        raise
    except (FileNotFoundError, PermissionError, IsADirectoryError) as exc:
        raise DataError(
            f"{path} cannot be opened",
            expected=what,
            found=exc.strerror or type(exc).__name__,
            advice="check its name and its permissions",
        ) from exc
    except Exception as exc:  # a damaged file makes format libraries raise nearly anything
        detail = (str(exc).splitlines() or [""])[0]
        raise FileFormatError(
            f"{path} is corrupt, cut short, or of another kind",
            expected=what,
            found=f"{type(exc).__name__}: {detail}" if detail else type(exc).__name__,
            advice="copy or download it again, or write it anew",
        ) from exc

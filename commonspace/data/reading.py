"""Reading of damaged sources: errors that name the file, and warnings in place of errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commonspace.errors import CommonspaceError, DataError, FileFormatError

__all__ = ["WarningLog", "reading"]


class WarningLog:
    """Warnings of a reader: strict readers raise errors, partial ones record them.

    Args:
        partial: False raises the first error; True records it, and the reader continues.

    Example:
        >>> warnings = WarningLog(partial=True)
        >>> warnings.report(DataError("a.jpg is missing"), instead="line 3 has no image")
        >>> warnings.sentences
        ['a.jpg is missing: line 3 has no image']
    """

    def __init__(self, *, partial: bool) -> None:
        self.partial = partial
        self.sentences: list[str] = []
        self.errors: list[DataError] = []

    def report(self, error: DataError, *, instead: str) -> None:
        """Raise ``error`` when strict; when partial, record it and what is done instead.

        Args:
            error: what is wrong; its ``__cause__`` is kept.
            instead: what a partial reader does, as the end of a sentence.

        Raises:
            DataError: ``error``, with ``partial=True`` added to its advice.
        """
        if self.partial:
            found = f" ({' '.join(error.found.split())})" if error.found else ""
            self.errors.append(error)
            self.sentences.append(f"{error.problem}{found}: {instead}")
            return
        advice = f"{error.advice}; or load the rest with partial=True ({instead})"
        raise type(error)(
            error.problem, expected=error.expected, found=error.found, advice=advice
        ) from error.__cause__

    def add(self, sentence: str) -> None:
        """Record something unusual that is no error."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn any failure of a format library into a :class:`FileFormatError` that names the file.

    Args:
        path: the file that is read inside the block.
        what: what it should be, such as "a .npz file".

    Raises:
        DataError: the file is missing or not readable.
        FileFormatError: any other failure inside the block.
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
            advice="copy or download it again, or write it again",
        ) from exc

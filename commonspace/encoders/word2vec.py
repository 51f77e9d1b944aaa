"""Word vectors of given words from a file in the word2vec format.

The binary and the text format (Google News) are read, compressed by gzip or not, in one pass and in
pieces of a megabyte. gensim loads all vectors of a file, 3.6 GB for Google News, so it is not used.
"""

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError, FileFormatError

__all__ = ["WordVectors", "read_word2vec"]

CHUNK = 1 << 20
LONGEST_WORD = 4096  # bytes; the longest of Google News has 98
LARGEST = 1 << 16  # numbers in a vector; more is a damaged header


@dataclass(frozen=True)
class WordVectors:
    """Vectors of some words.

    Args:
        words: m words of those that were given.
        vectors: (m, d) float32, in the same order.
        sha256: of the uncompressed file; "" for vectors that come from no file.
    """

    words: tuple[str, ...]
    vectors: NDArray[np.float32]
    sha256: str = ""


def read_word2vec(path: str | Path, words: Iterable[str], size: int | None = None) -> WordVectors:
    """Read the vectors of some words.

    A word that the file lacks takes its first entry that differs only in case ("London" for
    "london"), since texts are tokenized in lower case and Google News is not.

    Args:
        path: the file: a line "count size", then for each word the word, a blank, and ``size``
            little-endian float32 (binary) or numbers (text).
        words: the words to look up.
        size: expected length of a vector; None: any.

    Returns:
        The words in the file, in its order, and their vectors.

    Raises:
        DataError: If there is no such file, or it has none of the words.
        FileFormatError: If it is of another format or size, truncated, longer than its header says,
            or has values that are not finite.
    """
    file = Path(path)
    wanted = frozenset(words)
    exact: dict[str, NDArray[np.float32]] = {}
    folded: dict[str, NDArray[np.float32]] = {}
    source = _Source(file)
    with source:
        for name, vector in _entries(source, size):
            word = name.decode("utf-8", errors="replace")
            if word in wanted:
                found = exact
            elif (word := word.lower()) in wanted and word not in folded:
                found = folded
            else:
                continue
            numbers = _numbers(vector, source)
            if not np.isfinite(numbers).all():
                raise source.error(
                    "finite numbers", f"{numbers[~np.isfinite(numbers)][0]} for {word!r}"
                )
            found.setdefault(word, numbers)
    merged = {**folded, **exact}
    if not merged:
        raise DataError(
            f"{file} has a vector for none of the words of the training texts",
            expected=f"at least one of {len(wanted)} words",
            found="none",
            advice="take vectors of the language of the texts",
        )
    return WordVectors(tuple(merged), np.stack(list(merged.values())), source.digest)


class _Source:
    """A file that is read in pieces, with its hash and the current entry for messages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entry = 0
        self.text = False
        self._digest = sha256()
        self._file: BinaryIO | None = None

    def __enter__(self) -> None:
        try:
            opened = gzip.open(self.path) if self.path.suffix == ".gz" else self.path.open("rb")
        except OSError as exc:
            raise DataError(
                f"there are no word vectors at {self.path}",
                expected="a file in the word2vec format, binary or text",
                found=exc.strerror or str(exc),
                advice="check the path",
            ) from exc
        self._file = cast(BinaryIO, opened)

    def __exit__(self, *_: object) -> None:
        assert self._file is not None
        self._file.close()

    def read(self) -> bytes:
        """Return the next piece; empty at the end."""
        assert self._file is not None
        try:
            piece = self._file.read(CHUNK)
        except (OSError, EOFError) as exc:  # a damaged or shortened .gz
            raise self.error("a whole file", str(exc)) from exc
        self._digest.update(piece)
        return piece

    @property
    def digest(self) -> str:
        """SHA-256 of what was read."""
        return self._digest.hexdigest()

    def error(self, expected: str, found: str) -> FileFormatError:
        """Return the error that names the file and the entry."""
        where = f", word {self.entry}" if self.entry else ""
        return FileFormatError(
            f"the word vectors in {self.path}{where} cannot be read",
            expected=expected,
            found=found,
            advice="download the file again, in the word2vec format",
        )


def _entries(source: _Source, size: int | None) -> Iterator[tuple[bytes, bytes]]:
    """Yield (word, bytes of its vector), and check their number."""
    head, newline, rest = source.read().partition(b"\n")
    count, found = _header(head, bool(newline), source)
    if size is not None and found != size:
        raise source.error(f"vectors of {size} numbers", f"vectors of {found}")
    while len(rest) < LONGEST_WORD + 64 * found and (piece := source.read()):
        rest += piece  # the first entry must be whole to tell text from numbers
    source.text = _is_text(rest, found)
    read = _lines if source.text else _records
    yield from read(source, rest, count, found)


def _records(
    source: _Source, buffer: bytes, count: int, size: int
) -> Iterator[tuple[bytes, bytes]]:
    width, start = 4 * size, 0
    for source.entry in range(1, count + 1):
        blank = buffer.find(b" ", start, start + LONGEST_WORD)
        while blank < 0 or blank + 1 + width > len(buffer):
            if blank < 0 and len(buffer) - start > LONGEST_WORD:
                raise source.error(f"a word, a blank and {size} numbers", "no blank: another size?")
            buffer, start = _more(source, buffer[start:], count), 0
            blank = buffer.find(b" ", start, start + LONGEST_WORD)
        end = blank + 1 + width
        # Some writers end each record in a newline, which then begins the next one.
        yield buffer[start:blank].lstrip(b"\n"), buffer[blank + 1 : end]
        start = end
    _check_end(source, buffer[start:], count)


def _lines(source: _Source, buffer: bytes, count: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    start, longest = 0, LONGEST_WORD + 64 * size
    for source.entry in range(1, count + 1):
        while (end := buffer.find(b"\n", start)) < 0:
            if len(buffer) - start > longest:
                raise source.error(f"a word and {size} numbers in a line", "a longer line")
            unended = source.entry == count and buffer[start:].strip() != b""
            buffer, start = _more(source, buffer[start:], count, b"\n" if unended else b""), 0
        line = buffer[start:end].rstrip()
        if line.count(b" ") != size:
            raise source.error(f"{size} numbers", f"{line.count(b' ')}")
        word, _, numbers = line.partition(b" ")
        yield word, numbers
        start = end + 1
    _check_end(source, buffer[start:], count)


def _more(source: _Source, rest: bytes, count: int, at_end: bytes = b"") -> bytes:
    """Return the rest and the next piece, or ``at_end`` at the end of the file."""
    piece = source.read() or at_end
    if not piece:
        raise source.error(f"{count} words", "the end of the file: it is truncated")
    return rest + piece


def _check_end(source: _Source, rest: bytes, count: int) -> None:
    while rest or (rest := source.read()):
        if rest.strip():
            raise source.error(f"nothing behind {count} words", "more: vectors of another size?")
        rest = b""


def _header(head: bytes, ended: bool, source: _Source) -> tuple[int, int]:
    fields = head.split()
    if ended and len(fields) == 2 and all(field.isdigit() for field in fields):
        count, size = map(int, fields)
        if count and 0 < size <= LARGEST:
            return count, size
    raise source.error(
        "a first line with two numbers: how many words, and their size", repr(head[:60])
    )


def _is_text(beginning: bytes, size: int) -> bool:
    """Return whether the first entry is a line of a word and numbers."""
    numbers = beginning[: LONGEST_WORD + 64 * size].partition(b"\n")[0].split()[1:]
    # Text with another count of numbers is still text: reading it reports the error.
    return len(numbers) > 1 - (size == 1) and all(map(_is_number, numbers))


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _numbers(vector: bytes, source: _Source) -> NDArray[np.float32]:
    if not source.text:
        return np.frombuffer(vector, dtype="<f4").astype(np.float32)
    try:
        return np.array(vector.split(), dtype=np.float32)
    except ValueError as exc:
        raise source.error("numbers", str(exc)) from exc

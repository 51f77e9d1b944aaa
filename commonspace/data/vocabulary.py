"""Vocabulary of all readers: missing values, class names, ids, splits, strings, encodings, paths.

Every reader passes what it finds through these functions, so that a spelling means the same in a
.npz file, a CSV file, a Parquet table and a data frame.
"""

import ast
import json
import re
import unicodedata
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError, FileFormatError

__all__ = [
    "MISSING",
    "SPLITS",
    "UNLABELED",
    "as_strings",
    "class_name",
    "class_names_of",
    "decode_bytes",
    "exists",
    "expand_home",
    "find_file",
    "is_missing",
    "is_strings",
    "near_names",
    "parse_list",
    "replace_surrogates",
    "spell",
    "split_name",
    "tidy",
]

SPLITS = ("train", "validation", "test")
UNLABELED = -1

MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None")
) | {"n/a", "nan", "null"}
"""Strings that mean "no value" in a label, id, group, split or table cell: those of pandas."""

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "tr": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "tst": "test",
    "te": "test",
}
_WHOLE_FLOAT = re.compile(r"(-?\d+)\.0+")
_NUMBERS = re.compile(r"\[[-+\d.eE\s]*\]")  # an array as numpy prints it
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
_ENCODINGS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def split_name(spelling: str) -> str | None:
    """Return "train", "validation" or "test" for a usual spelling, None for another word.

    Example:
        >>> split_name("Val"), split_name("holdout")
        ('validation', None)
    """
    return _SPLIT_NAMES.get(spelling.strip().lower())


def is_missing(value: object) -> bool:
    """Return whether a value means "none": None, NaN, NaT, or a string of ``MISSING``.

    Example:
        >>> [is_missing(value) for value in (None, float("nan"), " NA ", "nan", 0, "Nan")]
        [True, True, True, True, False, False]
    """
    if value is None:
        return True
    if isinstance(value, str):
        return value.strip() in MISSING
    try:
        return bool(value != value)  # NaN and NaT are not equal to themselves
    except (TypeError, ValueError):  # an array has no truth value; pandas.NA refuses one
        return type(value).__name__ == "NAType"


def class_name(value: object) -> str | None:
    """Return a class name in its normal spelling, None for "not labeled".

    It is tidied (:func:`tidy`), and numbers that are whole are written without decimals.

    Args:
        value: a string, bytes, a number, a date, or anything that ``is_missing``.

    Raises:
        ValueError: a number that is not whole or below -1, or a value of another type.

    Example:
        >>> class_name(" red  kite "), class_name(3.0), class_name("3.0"), class_name(-1)
        ('red kite', '3', '3', None)
    """
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if is_missing(value):
        return None
    if isinstance(value, date | np.datetime64):
        return str(value).removesuffix(" 00:00:00")
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        if value != int(value) or value < UNLABELED:
            raise ValueError(f"{value} is no class")
        return None if value == UNLABELED else str(int(value))
    if not isinstance(value, str):
        raise ValueError(f"a {type(value).__name__} is no class")
    name = tidy(value)
    if not name:
        return None
    if match := _WHOLE_FLOAT.fullmatch(name):
        name = match[1]
    return None if name == str(UNLABELED) else name


def tidy(name: str) -> str:
    r"""Return a name with one blank for each run of them, composed (NFC), nothing invisible.

    Control characters, byte order marks, and spaces of no width are removed.

    Example:
        >>> tidy(" red \u200b kite\ufeff ")
        'red kite'
    """
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFC", replace_surrogates(name)))
    return " ".join(plain.split())


def class_names_of(value: object) -> tuple[str, ...]:
    """Return the class names in a label: one value, a list, or a string that spells a list.

    Raises:
        ValueError: see :func:`class_name`.

    Example:
        >>> class_names_of('["kite", "dog"]'), class_names_of(["kite", None]), class_names_of("NA")
        (('kite', 'dog'), ('kite',), ())
    """
    if isinstance(value, str):
        value = parse_list(value) or value
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    values = value if isinstance(value, list | tuple | np.ndarray) else [value]
    names = (class_name(entry) for entry in values)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def parse_list(cell: str) -> list[Any] | None:
    """Return the list that a table cell spells in JSON, Python or as numpy prints numbers.

    None for any other string.

    Example:
        >>> parse_list('["a", "b"]'), parse_list("['a', 'b']"), parse_list("[draft] a kite")
        (['a', 'b'], ['a', 'b'], None)
        >>> parse_list("[1. 0.]")
        [1.0, 0.0]
    """
    text = cell.strip()
    if text[:1] + text[-1:] not in ("[]", "()") or len(text) > 100_000:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list | tuple) and all(
            entry is None or isinstance(entry, str | int | float) for entry in value
        ):
            return list(value)
    if _NUMBERS.fullmatch(text):
        try:
            return [float(number) for number in text[1:-1].split()]
        except ValueError:
            return None
    return None


def spell(value: object) -> str:
    """Return an id, a group or another value as a string; "" where it is missing.

    MATLAB and pandas store whole numbers as floats: they are written without decimals.

    Raises:
        DataError: bytes that are not UTF-8.

    Example:
        >>> spell(1001.0), spell(b"a"), spell(None), spell(0.5)
        ('1001', 'a', '', '0.5')
    """
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise DataError(
                "a byte string is not text",
                expected="UTF-8",
                found=repr(value[:40]),
                advice="write the strings as UTF-8",
            ) from exc
    if isinstance(value, str):
        return replace_surrogates(value)
    if is_missing(value):
        return ""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and abs(value) < 2**63 and value == int(value):
        return str(int(value))
    return str(value)


def replace_surrogates(text: str) -> str:
    r"""Return a string in which halves of surrogate pairs, which no file can hold, are U+FFFD.

    Example:
        >>> replace_surrogates("kite \ud83d") == "kite \ufffd"
        True
    """
    if text.isascii():
        return text
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def is_strings(values: NDArray[Any]) -> bool:
    """Return whether an array holds text: str, bytes, or objects of those and None.

    Example:
        >>> is_strings(np.array([b"a"])), is_strings(np.array(["a", None], object))
        (True, True)
        >>> is_strings(np.array([1.5]))
        False
    """
    if values.dtype.kind == "O":
        return all(value is None or isinstance(value, str | bytes) for value in values.flat)
    return values.dtype.kind in "UST"


def as_strings(values: NDArray[Any]) -> NDArray[np.object_]:
    """Return str objects of the same shape: see :func:`spell`.

    Args:
        values: any shape; str, bytes, numbers, or objects of those and None.

    Raises:
        DataError: bytes that are not UTF-8.

    Example:
        >>> as_strings(np.array([b"a", None, 3], dtype=object)).tolist()
        ['a', '', '3']
    """
    result = np.empty(values.size, dtype=object)
    result[:] = [spell(value) for value in values.reshape(-1).tolist()]
    return result.reshape(values.shape)


def decode_bytes(content: bytes, path: Path) -> str:
    """Decode the content of a text file: UTF-8, or UTF-16 and UTF-32 with a byte order mark.

    Raises:
        FileFormatError: another encoding; the message names line and byte.
    """
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    start = content[:1000]
    if encoding == "utf-8" and 4 * start.count(0) > len(start):
        raise FileFormatError(
            f"{path} is not UTF-8",
            expected="text in UTF-8",
            found="many zero bytes, as in UTF-16 without a byte order mark",
            advice="save the file as UTF-8",
        )
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        shown = content[max(exc.start - 10, 0) : exc.start + 10].decode("latin-1")
        raise FileFormatError(
            f"{path}, line {line}, is not UTF-8",
            expected="text in UTF-8",
            found=f"byte 0x{content[exc.start]:02x}; read as Latin-1: {shown!r}",
            advice="save the file as UTF-8",
        ) from exc


def expand_home(path: str | Path) -> Path:
    """Return a path in which a leading ~ is the home folder, where the shell left it."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~name of an unknown user, or no home folder: an ordinary name
        return Path(path)


def exists(path: Path) -> bool:
    """Return whether there is such a path; a name that is too long, or has a NUL, is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def find_file(folder: Path, name: str) -> Path | None:
    """Return the file of this name below a folder; also in another spelling of the same name.

    Tried in order: the name itself; with "/" for a backslash; a file URL or a name with "%20";
    another Unicode form; another case.

    Args:
        folder: where names begin.
        name: a relative or absolute path as a metadata file spells it.
    """
    plain = re.sub(r"^file:/+", "/", name.strip())
    slashes = plain.replace("\\", "/")
    for spelling in dict.fromkeys((name, plain, slashes, unquote(slashes))):
        path = folder / expand_home(spelling)
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # too long, or with a NUL: no file has such a name
            return None
    return _find_folded(folder, Path(slashes))


def near_names(folder: Path, name: str) -> list[str]:
    """Return file names below a folder that resemble a missing one.

    The end of the path (of C:/photos/images/1.jpg: images/1.jpg), a file of the same name in a
    folder inside, another suffix or spelling.
    """
    wanted = Path(name.strip().replace("\\", "/"))
    for start in range(1, len(wanted.parts)):
        end = Path(*wanted.parts[start:])
        if exists(folder / end):
            return [str(end)]
    try:
        below = [sub / wanted.name for sub in sorted(folder.iterdir()) if sub.is_dir()][:1000]
    except (OSError, ValueError):
        below = []
    for path in below:
        if wanted.name and exists(path):
            return [str(path.relative_to(folder))]
    parent = folder / wanted.parent
    try:
        present = [entry.name for entry in parent.iterdir() if entry.is_file()]
    except (OSError, ValueError):
        return []
    stem = wanted.stem.casefold()
    same = [entry for entry in present if Path(entry).stem.casefold() == stem]
    close = same or get_close_matches(wanted.name, present, n=1, cutoff=0.9)
    return [str(wanted.parent / entry) for entry in close[:2]]


def _find_folded(folder: Path, wanted: Path) -> Path | None:
    place = Path(wanted.anchor) if wanted.is_absolute() else folder
    for part in wanted.parts[bool(wanted.anchor) :]:
        if part == "..":
            place = place / part
            continue
        try:
            entries = {_fold(entry.name): entry for entry in sorted(place.iterdir())}
        except (OSError, ValueError):
            return None
        if _fold(part) not in entries:
            return None
        place = entries[_fold(part)]
    return place if place.is_file() else None


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()

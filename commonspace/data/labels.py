"""Labels in any usual spelling, decoded to (n, c) bool and c class names.

Numbers, indices into class names, strings, bytes, lists, 0/1 matrices. What a single value means is
defined in :mod:`commonspace.data.vocabulary`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.label_spelling import warn_of_spellings
from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import (
    UNLABELED,
    class_names_of,
    is_missing,
    parse_list,
    tidy,
)
from commonspace.errors import DataError

__all__ = ["UNLABELED", "decode_labels", "labels_from_names", "no_labels"]


def decode_labels(
    values: NDArray[Any] | Sequence[Any],
    class_names: Sequence[str] | None,
    source: str,
    warnings: WarningLog | None = None,
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Decode the labels of n samples.

    Args:
        values: one of
            (n,) or (n, 1) integers, or floats that are whole: indices of ``class_names`` from 0 (or
            from 1 as in MATLAB, where only that fits); without class names the numbers themselves
            are the classes. -1 and NaN mean "not labeled". Strings of digits mean the same where
            class names are given that are others.
            (n, c) numbers 0/1 or bool, c >= 2: row i marks the classes of sample i; a row of zeros,
            or of NaN, is not labeled.
            (n,) or (n, k) strings, bytes or None: class names; missing values are no label.
            n lists or tuples of class names; or n equally long ones of 0 and 1, as an (n, c)
            matrix.
        class_names: their names in order, or None for those that occur, sorted.
        source: what to call the labels in messages.
        warnings: gets what is unusual in the spelling of the names.

    Returns:
        (n, c) bool, and the c class names.

    Raises:
        DataError: a value that is none of these, or a class without a name.

    Example:
        >>> labels, names = decode_labels(np.array([2, 1, -1]), ["cat", "dog"], "label")
        >>> labels.astype(int).tolist(), names
        ([[0, 1], [1, 0], [0, 0]], ('cat', 'dog'))
    """
    names = _check_names(class_names, source)
    if not isinstance(values, np.ndarray):
        values = _array_of(values)
    if values.ndim == 2 and 1 in values.shape[1:]:
        values = values[:, 0]
    if values.dtype.kind == "M":
        values = _array_of([None if np.isnat(value) else value for value in values])
    if values.dtype.kind in "USOT":
        if values.ndim != 1:
            values = _array_of([list(row) for row in values.tolist()])
        elif names is not None and _are_numbers(values, names):
            numbers = [np.nan if is_missing(value) else float(value) for value in values.tolist()]
            return _from_numbers(np.array(numbers), names, source)
        return labels_from_names(values.tolist(), names, source, warnings)
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
        raise DataError(
            f"{source} has an unsupported form",
            expected="(n,) numbers or strings, or an (n, c) matrix of 0 and 1",
            found=f"{values.dtype} of shape {values.shape}",
            advice="give one label for each row, or a 0/1 column for each class",
        )
    if values.ndim == 2:
        return _from_matrix(values, names, source)
    return _from_numbers(values, names, source)


def labels_from_names(
    rows: Sequence[Any],
    class_names: Sequence[str] | None,
    source: str,
    warnings: WarningLog | None = None,
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Decode labels given as names: for each of n samples the classes that it has.

    Args:
        rows: n names, or lists or tuples of names; a missing value or () is no label. Equally long
            lists of 0 and 1 are the rows of an (n, c) matrix.
        class_names: all names in order, or None for those that occur, sorted.
        source: what to call the labels in messages.
        warnings: gets what is unusual in the spelling of the names.

    Returns:
        (n, c) bool, and the c class names.

    Raises:
        DataError: a name that ``class_names`` lacks, or a value that is no name.

    Example:
        >>> labels, names = labels_from_names([("sky", "sea"), "NA", ("sea",)], None, "label")
        >>> labels.astype(int).tolist(), names
        ([[1, 1], [0, 0], [1, 0]], ('sea', 'sky'))
    """
    marks = _marks(rows)
    if marks is not None:
        return _from_matrix(marks, _check_names(class_names, source), source)
    known = frozenset(class_names or ())
    cache: dict[str, tuple[str, ...]] = {}
    decoded = []
    for row, value in enumerate(rows):
        names = cache.get(value) if isinstance(value, str) else None
        if names is None:
            names = _names_in(value, known, row, source)
            if isinstance(value, str):
                cache[value] = names
        decoded.append(names)
    if warnings is not None and not known:
        warn_of_spellings(rows, decoded, source, warnings)
    found = {name for names in decoded for name in names}
    classes = tuple(_sort(found)) if class_names is None else tuple(class_names)
    place = {tidy(name): index for index, name in enumerate(classes)}
    place |= {name: index for index, name in enumerate(classes)}
    labels = np.zeros((len(decoded), len(classes)), dtype=bool)
    for row, several in enumerate(decoded):
        for name in several:
            if name not in place:
                raise DataError(
                    f"{source} holds a label that the class names do not have",
                    expected=f"one of {', '.join(classes[:10])}"
                    + (", …" if len(classes) > 10 else ""),
                    found=f"{name!r} in row {row}",
                    advice="add it to the class names, or correct the label",
                )
            labels[row, place[name]] = True
    return labels, classes


def no_labels(like: NDArray[Any], count: int) -> NDArray[Any]:
    """Return ``count`` rows that mean "not labeled" in the spelling of ``like``.

    Args:
        like: labels as :func:`decode_labels` takes them.
        count: the number of rows.

    Returns:
        (count,) + like.shape[1:], of a dtype that can stand in one array with ``like``.
    """
    fill: Any = {"U": "", "S": b"", "O": None, "f": np.nan}.get(like.dtype.kind, UNLABELED)
    if like.ndim == 2 and like.shape[1] > 1 and like.dtype.kind in "biuf":
        fill = 0
    dtype = np.int64 if like.dtype.kind in "bui" and fill == UNLABELED else like.dtype
    return np.full((count, *like.shape[1:]), fill, dtype=dtype)


def _check_names(class_names: Sequence[str] | None, source: str) -> tuple[str, ...] | None:
    if class_names is None:
        return None
    names = tuple(str(name) for name in class_names)
    if "" in names or len(set(names)) != len(names):
        raise DataError(
            f"the class names of {source} are invalid",
            expected="distinct names, none of them empty",
            found=", ".join(map(repr, names[:10])),
            advice="give each class its own name",
        )
    return names


def _names_in(value: object, known: frozenset[str], row: int, source: str) -> tuple[str, ...]:
    """Return the class names in one value; a name of the given class names is kept as it is."""
    if isinstance(value, str) and value in known:
        return (value,)
    if known and isinstance(value, list | tuple) and all(entry in known for entry in value):
        return tuple(dict.fromkeys(value))
    try:
        return class_names_of(value)
    except UnicodeDecodeError as exc:
        raise DataError(
            f"{source} holds bytes that are no text",
            expected="UTF-8",
            found=f"{value!r} in row {row}",
            advice="write the labels as UTF-8",
        ) from exc
    except (ValueError, OverflowError) as exc:
        raise DataError(
            f"{source} holds a value that is no label",
            expected="a name, a whole number from 0, or a list of them; -1 or nothing for no label",
            found=f"{value!r:.80} in row {row}",
            advice="number the classes from 0, or give their names",
        ) from exc


def _array_of(values: Sequence[Any]) -> NDArray[Any]:
    """Return numbers as an array of numbers, rows of 0/1 as a matrix, else n objects."""
    entries = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    try:
        array = np.array(entries)
        if array.dtype.kind in "biuf":
            return array
    except ValueError:  # rows of different lengths
        pass
    result = np.empty(len(entries), dtype=object)
    result[:] = entries
    return result


def _are_numbers(values: NDArray[Any], names: tuple[str, ...]) -> bool:
    """Return whether all values are numbers or strings of digits, and none is a class name."""
    return not any(value in names for value in values.tolist()) and all(
        isinstance(value, int | float)
        or is_missing(value)
        or (isinstance(value, str) and value.strip().isdecimal())
        for value in values.tolist()
    )


def _marks(rows: Sequence[Any]) -> NDArray[np.float64] | None:
    """Return (n, c) numbers where every label is a list of c numbers 0 and 1, else None.

    A label may be missing: its row is NaN. At least one list is there, and c is 2 or more.
    """
    lists: list[Any] = []
    size = 0
    for value in rows:
        several = parse_list(value) if isinstance(value, str) else value
        if isinstance(several, np.ndarray):
            several = several.tolist()
        if not isinstance(several, list | tuple):
            if not is_missing(value):
                return None
            lists.append(None)
            continue
        if not several:
            lists.append(None)
            continue
        size = size or len(several)
        if len(several) != size or size < 2:
            return None
        if any(isinstance(entry, str) or entry not in (0, 1) for entry in several):
            return None
        lists.append(several)
    if not size:
        return None
    return np.array([[np.nan] * size if entry is None else entry for entry in lists], dtype=float)


def _sort(names: set[str]) -> list[str]:
    """Sort by value where all are whole numbers (2 before 10), else by spelling."""
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _from_numbers(
    values: NDArray[Any], names: tuple[str, ...] | None, source: str
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    labeled = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=bool)
    known = values[labeled]
    wrong = known < UNLABELED if known.dtype.kind != "b" else np.zeros(len(known), dtype=bool)
    if known.dtype.kind == "f":
        known = known.astype(float)
        # a float64 is exact for whole numbers up to 2**53: beyond that it is no label but a key
        wrong = wrong | (known != np.floor(known)) | (np.abs(known) > 2.0**53)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{source} holds a number that is no label",
            expected="whole numbers from 0, or -1 for a sample without label",
            found=f"{known[at]} in row {np.flatnonzero(labeled)[at]}",
            advice="number the classes from 0, or give their names",
        )
    rows = np.flatnonzero(labeled)[known != UNLABELED]
    index = known[known != UNLABELED]
    if index.dtype.kind == "f" or names is not None:
        index = index.astype(np.int64)
    if names is None:
        distinct, index = np.unique(index, return_inverse=True)
        names = tuple(str(value) for value in distinct.tolist())
    elif index.size and index.max() == len(names) and index.min() >= 1:
        index = index - 1
    if index.size and index.max() >= len(names):
        at = int(np.argmax(index))
        raise DataError(
            f"{source} holds an index that the class names do not have",
            expected=f"0 to {len(names) - 1} (or 1 to {len(names)}): there are {len(names)} names",
            found=f"{index[at]} in row {rows[at]}",
            advice="add the missing class names, or correct the label",
        )
    labels = np.zeros((len(values), len(names)), dtype=bool)
    labels[rows, index] = True
    return labels, names


def _from_matrix(
    values: NDArray[Any], names: tuple[str, ...] | None, source: str
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values).all(axis=1, keepdims=True), 0, values)
    marks = values == 1
    wrong = ~marks & (values != 0)
    if wrong.any():
        row, column = (int(where[0]) for where in np.nonzero(wrong))
        raise DataError(
            f"{source} is a matrix that holds more than 0 and 1",
            expected="(n, c) of 0 and 1: a column for each class; or (n,) with one label a row",
            found=f"{values[row, column]} in row {row}, column {column}",
            advice="mark each class of a sample with 1",
        )
    names = tuple(str(number) for number in range(values.shape[1])) if names is None else names
    if len(names) != values.shape[1]:
        raise DataError(
            f"{source} and the class names do not match",
            expected=f"{values.shape[1]} class names, one for each column",
            found=f"{len(names)}",
            advice="give each column a name",
        )
    return marks, names

"""Labels in any usual spelling -> (n, c) bool and c class names.

Numbers, indices into class names, strings, bytes, lists, 0/1 matrices: all become the one form that
a data set holds. Knows nothing of files or splits.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.strings import as_strings
from commonspace.errors import DataError

__all__ = ["decode_labels", "labels_from_names", "no_labels"]

UNLABELLED = -1


def decode_labels(
    values: NDArray[Any], class_names: Sequence[str] | None, source: str
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Read the labels of n samples.

    Args:
        values: one of
            (n,) or (n, 1) integers, or floats that are whole: indices of ``class_names`` from 0 (or
            from 1 as in MATLAB, where that alone fits); without class names the numbers themselves
            are the classes. -1 and NaN mean "not labelled".
            (n, c) numbers 0/1 or bool, c >= 2: row i marks the classes of sample i; a row of zeros,
            or of NaN, is not labelled.
            (n,) or (n, k) strings, bytes or None: names of classes; "" and None are no label.
            (n,) objects, each a tuple of strings.
        class_names: their names in order, or None to take those that occur, sorted.
        source: what to call the labels in messages.

    Returns:
        (n, c) bool, and the c class names.

    Raises:
        DataError: a value that is none of these, or a class without a name.

    Example:
        >>> labels, names = decode_labels(np.array([2, 1, -1]), ["cat", "dog"], "label")
        >>> labels.astype(int).tolist(), names
        ([[0, 1], [1, 0], [0, 0]], ('cat', 'dog'))
    """
    names = _checked_names(class_names, source)
    if values.ndim == 2 and 1 in values.shape[1:]:
        values = values[:, 0]
    if values.dtype.kind == "O" and any(isinstance(value, tuple) for value in values.flat):
        return labels_from_names([value or () for value in values.flat], names, source)
    if values.dtype.kind in "USO":
        return _from_strings(as_strings(values), names, source)
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
        raise DataError(
            f"{source} has a form that no label has",
            expected="(n,) numbers or strings, or an (n, c) matrix of 0 and 1",
            found=f"{values.dtype} of shape {values.shape}",
            advice="give one label for each row, or a 0/1 column for each class",
        )
    if values.ndim == 2:
        return _from_matrix(values, names, source)
    return _from_numbers(values, names, source)


def labels_from_names(
    rows: Sequence[tuple[str, ...]], class_names: tuple[str, ...] | None, source: str
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Read labels given as names: for each of n samples the classes that it has.

    Args:
        rows: n tuples of class names, () where a sample is not labelled.
        class_names: all the names in order, or None to take those that occur, sorted.
        source: what to call the labels in messages.

    Returns:
        (n, c) bool, and the c class names.

    Raises:
        DataError: a name that ``class_names`` does not have.

    Example:
        >>> labels, names = labels_from_names([("sky", "sea"), (), ("sea",)], None, "label")
        >>> labels.astype(int).tolist(), names
        ([[1, 1], [0, 0], [1, 0]], ('sea', 'sky'))
    """
    counts = np.array([len(names) for names in rows], dtype=np.intp)
    flat = np.array([name for names in rows for name in names], dtype=object)
    return _mark(np.repeat(np.arange(len(rows)), counts), flat, len(rows), class_names, source)


def no_labels(like: NDArray[Any], count: int) -> NDArray[Any]:
    """Return ``count`` rows that mean "not labelled" in the spelling of ``like``.

    Args:
        like: labels as :func:`decode_labels` takes them.
        count: the number of rows.

    Returns:
        (count,) + like.shape[1:], of a dtype that can stand in one array with ``like``.
    """
    fill: Any = {"U": "", "S": b"", "O": None, "f": np.nan}.get(like.dtype.kind, UNLABELLED)
    if like.ndim == 2 and like.shape[1] > 1 and like.dtype.kind in "biuf":
        fill = 0
    dtype = np.int64 if like.dtype.kind in "bui" and fill == UNLABELLED else like.dtype
    return np.full((count, *like.shape[1:]), fill, dtype=dtype)


def _checked_names(class_names: Sequence[str] | None, source: str) -> tuple[str, ...] | None:
    if class_names is None:
        return None
    names = tuple(class_names)
    if "" in names or len(set(names)) != len(names):
        raise DataError(
            f"the class names of {source} are not names",
            expected="distinct names, none of them empty",
            found=", ".join(map(repr, names[:10])),
            advice="give each class a name of its own",
        )
    return names


def _from_strings(
    values: NDArray[Any], names: tuple[str, ...] | None, source: str
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    flat = values.reshape(-1)
    rows = np.repeat(np.arange(len(values)), flat.size // max(len(values), 1))
    labelled = flat != ""
    return _mark(rows[labelled], flat[labelled], len(values), names, source)


def _mark(
    rows: NDArray[np.intp],
    flat: NDArray[Any],
    count: int,
    class_names: tuple[str, ...] | None,
    source: str,
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    distinct, inverse = np.unique(flat.astype(str) if flat.size else flat, return_inverse=True)
    found = [str(name) for name in distinct]
    names = tuple(_sorted(found)) if class_names is None else class_names
    place = {name: index for index, name in enumerate(names)}
    unknown = [name for name in found if name not in place]
    if unknown:
        row = int(rows[np.flatnonzero(flat == unknown[0])[0]])
        raise DataError(
            f"{source} holds a label that the class names do not have",
            expected=f"one of {', '.join(names[:10])}{', …' if len(names) > 10 else ''}",
            found=f"{unknown[0]!r} in row {row}",
            advice="add it to the class names, or correct the label",
        )
    labels = np.zeros((count, len(names)), dtype=bool)
    labels[rows, np.array([place[name] for name in found], dtype=np.intp)[inverse]] = True
    return labels, names


def _sorted(names: list[str]) -> list[str]:
    """Sort by value where all are whole numbers (2 before 10), else by spelling."""
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _from_numbers(
    values: NDArray[Any], names: tuple[str, ...] | None, source: str
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    labelled = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=bool)
    known = values[labelled].astype(float)
    # a float64 is exact for whole numbers up to 2**53: beyond that it is no label but a key
    wrong = (known != np.floor(known)) | (known < UNLABELLED) | (np.abs(known) > 2.0**53)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{source} holds a number that is no label",
            expected="whole numbers from 0, or -1 for a sample without label",
            found=f"{known[at]} in row {np.flatnonzero(labelled)[at]}",
            advice="number the classes from 0, or give their names",
        )
    rows = np.flatnonzero(labelled)[known != UNLABELLED]
    index = known[known != UNLABELLED].astype(np.int64)
    if names is None:
        distinct, index = np.unique(index, return_inverse=True)
        names = tuple(str(number) for number in distinct)
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

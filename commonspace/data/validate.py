"""Validation of a data set: types, names, rows and values."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Column
from commonspace.data.vocabulary import SPLITS
from commonspace.errors import DataError, SplitError

__all__ = ["Content", "validate"]


class Content(Protocol):
    """Fields of a data set; see :class:`commonspace.data.Dataset`."""

    @property
    def name(self) -> str:
        """Name for messages."""

    @property
    def ids(self) -> tuple[str, ...]:
        """N ids."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """Modality -> column of n entries."""

    @property
    def labels(self) -> NDArray[np.bool_]:
        """(n, c) bool."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """C names."""

    @property
    def splits(self) -> NDArray[np.str_]:
        """(n,) str."""

    @property
    def fields(self) -> Mapping[str, Sequence[Any]]:
        """Metadata columns of n values."""


def validate(data: Content) -> None:
    """Check that types, names, rows and values of a data set are consistent.

    Raises:
        DataError: rows do not match, names repeat, or a sample has no modality.
        SplitError: a split has an unknown name.
    """
    _check_types(data)
    _check_names(data)
    _check_rows(data)
    _check_values(data)


def _check_types(data: Content) -> None:
    for name, column in data.columns.items():
        if not all(hasattr(column, attribute) for attribute in ("kind", "present", "take")):
            raise DataError(
                f"the column {name!r} of {data.name!r} has the wrong type",
                expected="Features, Images or Texts",
                found=f"a {type(column).__name__}",
                advice="use Dataset.from_arrays(image=X, text=Y, labels=y), or wrap it:"
                " Features(X)",
            )


def _places(names: Sequence[str], name: str) -> str:
    rows = [row for row, other in enumerate(names) if other == name]
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return f"rows {', '.join(map(str, rows[:3]))}{more}"


def _check_names(data: Content) -> None:
    for what, names in (("sample ids", data.ids), ("class names", data.class_names)):
        if len(set(names)) != len(names):
            seen: set[str] = set()
            twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise DataError(
                f"{what} of {data.name!r} repeat",
                expected="each name once",
                found=f"{repr(twice) if twice else 'none'} in {_places(names, twice)}",
                advice="rename one of them or drop the repeated row"
                if twice
                else "give each sample an id, or give none at all",
            )
    if not data.columns:
        raise DataError(
            f"{data.name!r} has no modality",
            expected="at least one column of features, images or texts",
            found="none",
            advice="add a column such as image= or text=",
        )
    if not data.ids:
        raise DataError(
            f"{data.name!r} is empty",
            expected="at least one sample",
            found="none",
            advice="check that the path points at the data",
        )


def _check_rows(data: Content) -> None:
    n = len(data.ids)
    lengths = {f"column {name!r}": len(column) for name, column in data.columns.items()}
    lengths |= {"labels": len(data.labels), "split": len(data.splits)}
    lengths |= {f"field {name!r}": len(values) for name, values in data.fields.items()}
    for what, length in lengths.items():
        if length != n:
            raise DataError(
                f"rows of {data.name!r} do not match",
                expected=f"{n} rows in {what}, one for each sample id",
                found=f"{length}",
                advice="make columns, labels and ids equally long and put them in one order",
            )
    present = np.column_stack([column.present for column in data.columns.values()])
    if not present.any(axis=1).all():
        row = int(np.flatnonzero(~present.any(axis=1))[0])
        raise DataError(
            f"a sample of {data.name!r} has no modality at all",
            expected=f"at least one of {', '.join(data.columns)}",
            found=f"sample {data.ids[row]!r} (row {row}) has none",
            advice="drop the sample",
        )


def _check_values(data: Content) -> None:
    if data.labels.shape != (len(data.ids), len(data.class_names)) or data.labels.dtype != np.bool_:
        raise DataError(
            f"labels of {data.name!r} have the wrong form",
            expected=f"bool of shape {(len(data.ids), len(data.class_names))}",
            found=f"{data.labels.dtype} of shape {data.labels.shape}",
            advice="give one column for each class name",
        )
    unknown = sorted(set(np.unique(data.splits).tolist()) - set(SPLITS))
    if unknown:
        raise SplitError(
            f"{data.name!r} has a split of an unknown name",
            expected=", ".join(SPLITS),
            found=repr(unknown[0]),
            advice="rename it to one of the three",
        )

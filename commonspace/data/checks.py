"""Checks of a whole data set for what is legal but likely wrong: outliers, leaking labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Column, Features
from commonspace.data.reading import WarningLog
from commonspace.data.row_blocks import largest_by_row

__all__ = ["OUTLIER_RATIO", "check_columns", "check_labels", "find_outliers", "one_to_one"]

OUTLIER_RATIO = 1000.0
"""A row of features is an outlier if its largest absolute value is more than this many times the
median over the rows."""

CHECKED = 8192
"""Rows that are looked at together."""


def check_columns(
    columns: Mapping[str, Column], ids: Sequence[str], source: str, warnings: WarningLog
) -> None:
    """Warn of modalities that no sample has, and of features that dominate mean and variance.

    Args:
        columns: modality -> column of n entries.
        ids: n ids.
        source: what to call the source.
        warnings: gets one sentence for each such modality.
    """
    for name, column in columns.items():
        if not column.present.any():
            warnings.add(f"{source}: no sample has {name!r}")
        if not isinstance(column, Features):
            continue
        largest, usual = _largest_values(column)
        rows = np.flatnonzero(largest > OUTLIER_RATIO * usual)
        if len(rows):
            first = int(rows[0])
            warnings.add(
                f"{source}: {_count(len(rows), 'row')} of {name!r} with values more than"
                f" {OUTLIER_RATIO:g} times the usual: sample {ids[first]!r} (row {first}) holds"
                f" {largest[first]:.3g}, the median row {usual:.3g}: repair or drop it;"
                " no model is trained on such samples"
            )


def find_outliers(columns: Mapping[str, Column]) -> NDArray[np.bool_]:
    """Return (n,) bool: the samples with features so large that they decide mean and variance.

    Args:
        columns: modality -> column of n entries; at least one.
    """
    outliers = np.zeros(len(next(iter(columns.values()))), dtype=bool)
    for column in columns.values():
        if isinstance(column, Features):
            largest, usual = _largest_values(column)
            outliers |= largest > OUTLIER_RATIO * usual
    return outliers


def check_labels(
    columns: Mapping[str, Column],
    labels: NDArray[np.bool_],
    class_names: Sequence[str],
    source: str,
    warnings: WarningLog,
) -> None:
    """Warn of a single class, and of features that are the labels in another form.

    Args:
        columns: modality -> column of n entries.
        labels: (n, c) bool.
        class_names: c names.
        source: what to call the source.
        warnings: gets one sentence for each finding.
    """
    used = np.flatnonzero(labels.any(axis=0))
    if len(used) == 1 and len(labels) > 1:
        warnings.add(
            f"{source}: all labeled samples have the one class {class_names[int(used[0])]!r}:"
            " every item is relevant to every query, and mAP is 1 for any model"
        )
    for name, column in columns.items():
        if not isinstance(column, Features) or len(used) < 2:
            continue
        rows = np.flatnonzero(column.present & labels.any(axis=1))
        if one_to_one(column.values, labels, rows):
            warnings.add(
                f"{source}: {name!r} has one row for each class, the label in another form: drop"
                " it, or the labels are used as features"
            )


def one_to_one(
    values: NDArray[Any], labels: NDArray[Any], rows: NDArray[np.intp] | None = None
) -> bool:
    """Return whether equal rows of one matrix are equal rows of the other, with repeats of all.

    Args:
        values: (n, d); read in pieces, up to the first row that differs from its class.
        labels: (n, c).
        rows: the rows to compare; None for all.

    Example:
        >>> labels = np.array([[0], [1], [0], [1]])
        >>> one_to_one(np.array([[2.5], [7.0], [2.5], [7.0]]), labels)
        True
        >>> one_to_one(np.array([[2.5], [7.0], [2.6], [7.0]]), labels)
        False
    """
    rows = np.arange(len(values)) if rows is None else rows
    _, by_label = np.unique(labels[rows], axis=0, return_inverse=True)
    by_label = by_label.reshape(-1)
    count = int(by_label.max(initial=-1)) + 1
    if count < 2 or len(rows) < 2 * count:
        return False
    first = np.zeros(count, dtype=np.intp)
    first[by_label[::-1]] = rows[::-1]
    for start in range(0, len(rows), CHECKED):
        some = slice(start, start + CHECKED)
        if not np.array_equal(values[first[by_label[some]]], values[rows[some]]):
            return False
    return len(np.unique(values[first], axis=0)) == count


def _largest_values(column: Features) -> tuple[NDArray[np.float64], float]:
    """Return (n,), the largest absolute value of each row, and its median over rows with any.

    Missing rows are 0. The median is infinite for fewer than three rows: none is an outlier then.
    """
    largest = np.where(column.present, largest_by_row(column.values), 0.0)
    usual = largest[largest > 0]
    return largest, float(np.median(usual)) if len(usual) >= 3 else np.inf


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

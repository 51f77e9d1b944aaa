"""Checks of a whole data set for what is legal but likely wrong: outliers, leaking labels."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Column, Features
from commonspace.data.reading import WarningLog
from commonspace.data.row_blocks import largest_by_row

__all__ = ["OUTLIER_RATIO", "check_columns", "check_labels", "find_outliers"]

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
        if isinstance(column, Features) and len(used) > 1 and _marks_classes(column, labels):
            warnings.add(
                f"{source}: {name!r} is a table of 0 and 1 that marks the classes of the label:"
                " drop it, or the labels are used as features"
            )


def _largest_values(column: Features) -> tuple[NDArray[np.float64], float]:
    """Return (n,), the largest absolute value of each row, and its median over rows with any.

    Missing rows are 0. The median is infinite for fewer than three rows: none is an outlier then.
    """
    largest = np.where(column.present, largest_by_row(column.values), 0.0)
    usual = largest[largest > 0]
    return largest, float(np.median(usual)) if len(usual) >= 3 else np.inf


def _marks_classes(column: Features, labels: NDArray[np.bool_]) -> bool:
    """Return whether features mark one value a row, which determines the label and is by it."""
    values = column.values
    if values.shape[1] < 2 or values.shape[1] > 4 * labels.shape[1] + 4:
        return False
    rows = np.flatnonzero(column.present & labels.any(axis=1))
    found = []
    for start in range(0, len(rows), CHECKED):
        some = values[rows[start : start + CHECKED]]
        found.append(some == 1)
        if ((some != 0) != found[-1]).any():
            return False
    if not found:
        return False
    marks = np.concatenate(found)
    _, by_value = np.unique(marks, axis=0, return_inverse=True)
    _, by_label = np.unique(labels[rows], axis=0, return_inverse=True)
    pairs = np.unique(np.column_stack([by_value.reshape(-1), by_label.reshape(-1)]), axis=0)
    return bool(len(pairs) == by_value.max() + 1 == by_label.max() + 1)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

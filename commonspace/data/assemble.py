"""Assembly of a data set from a table: splits are kept, drawn or carved, and the rest is checked.

Every reader returns a :class:`Table`; what happens to a table does not depend on its file format.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.checks import check_columns, check_labels
from commonspace.data.columns import Column
from commonspace.data.reading import WarningLog
from commonspace.data.splits import carve_validation, draw_splits, group_numbers
from commonspace.data.vocabulary import SPLITS, is_missing, split_name
from commonspace.errors import DataError, SplitError

__all__ = ["Table", "assemble"]


@dataclass(frozen=True)
class Table:
    """Content of a source as a reader returns it: n rows, not yet split.

    Args:
        source: what to call the source in messages, a path as it was given.
        ids: n ids.
        columns: modality -> column of n entries.
        labels: (n, c) bool.
        class_names: c names.
        splits: n names of splits in any usual spelling ("" where a row has none), or None where the
            source gives no splits at all.
        groups: n values that must not be divided between splits, or None.
        fields: metadata columns, name -> n values.
        declared: splits that the source has a place for, even an empty one.
        provenance: what the source says about where its content comes from.
        drawn: how ``splits`` were made, where they are not as the source gives them.
        keys: modality, label, id, split or group -> the keys of the source that were taken as it.
    """

    source: str
    ids: Sequence[str]
    columns: Mapping[str, Column]
    labels: NDArray[np.bool_]
    class_names: tuple[str, ...]
    splits: Sequence[str] | None = None
    groups: Sequence[Any] | None = None
    fields: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    drawn: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)

    def take(self, rows: NDArray[np.intp]) -> "Table":
        """Return the rows at ``rows``, in that order."""
        index = rows.tolist()
        return replace(
            self,
            ids=[self.ids[row] for row in index],
            columns={name: column.take(rows) for name, column in self.columns.items()},
            labels=self.labels[rows],
            splits=None if self.splits is None else [self.splits[row] for row in index],
            groups=None if self.groups is None else [self.groups[row] for row in index],
            fields={name: [values[row] for row in index] for name, values in self.fields.items()},
        )


def assemble(
    table: Table,
    *,
    name: str,
    provenance: Mapping[str, Any],
    seed: int,
    warnings: WarningLog,
    need_splits: bool = True,
) -> dict[str, Any]:
    """Give every row its split, check the whole table, and return the fields of a ``Dataset``.

    Args:
        table: from a reader.
        name: what to call the data set.
        provenance: where it came from; "split" and "keys" are added to it.
        seed: for splits that are drawn or carved.
        warnings: raises or records what is wrong.
        need_splits: False accepts what only training and evaluation need: a class of one sample, an
            empty split, a class that train lacks.

    Raises:
        SplitError: a split is empty, a class cannot be divided, or validation or test hold a class
            that train lacks.
        DataError: rows without any modality, repeated ids, values that ``Dataset`` refuses.
    """
    table = _with_content(_without_missing(table), warnings)
    if table.splits is None:
        if need_splits:
            _check_drawable(table, warnings)
        split = draw_splits(table.labels, table.groups, seed=seed)
        grouped = "" if table.groups is None else ", grouped"
        how = f"drawn: stratified{grouped}, seed {seed}"
    else:
        table, split = _as_given(table, warnings, need_splits)
        how = table.drawn or "as given"
        if not (split == "validation").any() and (split == "train").sum() > 1:
            split = carve_validation(table.labels, table.groups, split, seed=seed)
            how += f"; validation carved from train, seed {seed}"
        if need_splits:
            _check_seen(table, split, warnings)
        _note_divided_groups(table, split, warnings)
    check_columns(table.columns, table.ids, table.source, warnings)
    check_labels(table.columns, table.labels, table.class_names, table.source, warnings)
    keys = {"keys": dict(table.keys)} if table.keys else {}
    return {
        "name": name,
        "ids": tuple(table.ids),
        "columns": table.columns,
        "labels": table.labels,
        "class_names": table.class_names,
        "splits": split,
        "fields": table.fields,
        "provenance": {**_earlier(table.provenance), **provenance, **keys, "split": how},
        "warnings": tuple(warnings.sentences),
    }


def _earlier(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a file says about its features; its own source goes into "made_from"."""
    own = {key: stored[key] for key in ("source", "format", "split", "keys") if key in stored}
    rest = {key: value for key, value in stored.items() if key not in own}
    return {"made_from": own, **rest} if own else rest


def _without_missing(table: Table) -> Table:
    """Write missing splits as ""; a column of nothing else gives no splits."""
    if table.splits is None:
        return table
    splits = ["" if is_missing(split) else split for split in table.splits]
    return replace(table, splits=splits if any(splits) or table.declared else None)


def _with_content(table: Table, warnings: WarningLog) -> Table:
    if not table.columns or not len(table.ids):
        if warnings.errors:  # the reason why nothing is left, as a strict reader raises it
            raise warnings.errors[0]
        raise DataError(
            f"{table.source} holds no sample",
            expected="at least one row of features, images or texts",
            found="; ".join(
                [
                    f"{len(table.ids)} rows, modalities: {', '.join(table.columns) or 'none'}",
                    *warnings.sentences[:3],
                ]
            ),
            advice="check that the path points at the data",
        )
    content = np.any([column.present for column in table.columns.values()], axis=0)
    if content.all():
        return table
    empty = np.flatnonzero(~content)
    warnings.report(
        DataError(
            f"{table.source} has {_count(len(empty), 'sample')} without any modality",
            expected=f"at least one of {', '.join(table.columns)}",
            found=f"none for sample {table.ids[int(empty[0])]!r}",
            advice="complete or drop it",
        ),
        instead=f"{_count(len(empty), 'sample')} left out",
    )
    return _with_content(table.take(np.flatnonzero(content)), warnings)


def _check_drawable(table: Table, warnings: WarningLog) -> None:
    units = group_numbers(table.groups, len(table.ids))
    rows, classes = np.nonzero(table.labels)
    carriers = np.bincount(
        np.unique(np.column_stack([classes, units[rows]]), axis=0)[:, 0],
        minlength=len(table.class_names),
    )
    one, several = "sample", "samples"
    if table.groups is not None:
        one, several = "group of samples", "groups of samples"
    for k in np.flatnonzero(carriers == 1):
        warnings.report(
            SplitError(
                f"the class {table.class_names[k]!r} of {table.source} cannot be divided",
                expected=f"at least two {several} of each class, where splits must be drawn",
                found=f"one {one}",
                advice="add samples, drop the class, or give the samples a split column",
            ),
            instead="it is in train only",
        )


def _as_given(
    table: Table, warnings: WarningLog, need_splits: bool
) -> tuple[Table, NDArray[np.str_]]:
    assert table.splits is not None
    known = {spelling: split_name(spelling) for spelling in set(table.splits)}
    unknown = sorted(spelling for spelling, name in known.items() if name is None)
    if unknown:
        rows = [row for row, spelling in enumerate(table.splits) if known[spelling] is None]
        warnings.report(
            SplitError(
                f"{table.source} has {_count(len(rows), 'row')} of no known split",
                expected="train, validation (val, valid, dev) or test in every row, or in none",
                found=f"{unknown[0]!r} for sample {table.ids[rows[0]]!r}",
                advice="correct the split, or drop the whole column to have splits drawn",
            ),
            instead=f"{_count(len(rows), 'row')} left out",
        )
        keep = np.setdiff1d(np.arange(len(table.ids)), rows)
        return _as_given(_with_content(table.take(keep), warnings), warnings, need_splits)
    split = np.array([known[spelling] for spelling in table.splits], dtype="<U10")
    counts = {name: int((split == name).sum()) for name in SPLITS}
    declared = {split_name(spelling) for spelling in table.declared}
    empty = [name for name in SPLITS if name in declared and not counts[name]]
    if not counts["train"] and "train" not in empty:
        empty.insert(0, "train")
    if not counts["test"] and not counts["validation"] and "test" not in empty:
        empty.append("test")
    for name in empty if need_splits else ():
        warnings.report(
            SplitError(
                f"the split {name!r} of {table.source} is empty",
                expected=f"samples in {name!r}",
                found=", ".join(f"{count} in {other}" for other, count in counts.items()),
                advice="give it samples, or give no splits at all to have them drawn",
            ),
            instead="it stays empty",
        )
    return table, split


def _check_seen(table: Table, split: NDArray[np.str_], warnings: WarningLog) -> None:
    trained = table.labels[split == "train"].any(axis=0)
    if not (split == "train").any():
        return  # reported as an empty split already
    for name in ("validation", "test"):
        rows = split == name
        for k in np.flatnonzero(table.labels[rows].any(axis=0) & ~trained):
            first = int(np.flatnonzero(rows & table.labels[:, k])[0])
            warnings.report(
                SplitError(
                    f"{name} of {table.source} holds the label {table.class_names[k]!r},"
                    " which train does not have",
                    expected="in validation and test only labels that train has",
                    found=f"sample {table.ids[first]!r} in {name}",
                    advice="correct the label, or move samples of this class to train",
                ),
                instead="its rows are kept, but no method can learn this class",
            )


def _note_divided_groups(table: Table, split: NDArray[np.str_], warnings: WarningLog) -> None:
    if table.groups is None:
        return
    units = group_numbers(table.groups, len(table.ids))
    codes = np.searchsorted(np.array(sorted(SPLITS)), split)
    pairs = np.unique(np.column_stack([units, codes]), axis=0)[:, 0]
    divided = np.flatnonzero(np.bincount(pairs) > 1)
    if len(divided):
        group = table.groups[int(np.flatnonzero(units == divided[0])[0])]
        warnings.add(
            f"{_count(len(divided), 'group')} of {table.source} lie in more than one of the given"
            f" splits, for example {group!r}: test may be easier than it should be"
        )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

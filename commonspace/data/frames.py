"""Data sets from tables of other packages: pandas data frames, Hugging Face data sets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from commonspace.data.convert import IMAGE_NAMES, from_arrays
from commonspace.data.formats.hints import likely_names
from commonspace.data.vocabulary import expand_home, is_missing
from commonspace.errors import DataError

__all__ = ["from_huggingface", "from_pandas"]


def from_pandas(
    frame: Any,  # noqa: ANN401, pandas is optional
    *,
    modalities: Mapping[str, Any],
    label: str | None,
    id: str | None,
    split: str | None,
    group: str | None,
    folder: str | Path | None,
    seed: int,
    name: str,
) -> dict[str, Any]:
    """Return the fields of ``Dataset`` for a data frame: see its ``from_pandas``."""
    if not hasattr(frame, "columns") or not hasattr(frame, "iloc"):
        raise DataError(
            "`frame` must be a data frame",
            expected="a pandas.DataFrame",
            found=f"a {type(frame).__name__}",
            advice="for arrays: Dataset.from_arrays(image=X, text=Y, labels=y)",
        )
    known = list(frame.columns)
    twice = next((column for column in known if known.count(column) > 1), None)
    if twice is not None:
        raise DataError(
            "`frame` has two columns of one name",
            expected="each name once",
            found=repr(twice),
            advice="rename or drop one of them",
        )
    wanted = {m: columns for m, columns in modalities.items() if columns is not None}
    if not wanted:
        usual = [m for m in ("image", "text") if m in known]
        wanted = {m: m for m in usual if not all(map(is_missing, frame[m].tolist()))}
    if not wanted:
        raise _no_modality(known, len(frame))
    used: list[Any] = []
    values: dict[str, Any] = {}
    for modality, columns in wanted.items():
        names = [columns] if isinstance(columns, str) else list(columns)
        used += names
        for column in names:
            _check_column(column, known, modality)
        if isinstance(columns, str):
            values[modality] = _paths(modality, frame[columns].tolist(), folder)
        else:
            values[modality] = frame[names].to_numpy()
    roles: dict[str, Any] = {}
    for role, column in (("label", label), ("id", id), ("split", split), ("group", group)):
        if column is not None:
            _check_column(column, known, role)
        elif role in known and role not in used:
            column = role
        roles[role] = None if column is None else frame[column].tolist()
        used += [] if column is None else [column]
    class_names: list[str] | None = None
    if label is not None and hasattr(frame[label], "cat"):
        class_names = [str(category) for category in frame[label].cat.categories]
    return from_arrays(
        values,
        labels=roles["label"],
        class_names=class_names,
        ids=roles["id"],
        splits=roles["split"],
        groups=roles["group"],
        fields={
            str(column): [None if is_missing(v) else v for v in frame[column].tolist()]
            for column in known
            if column not in used
        },
        seed=seed,
        name=name,
        provenance={"format": "pandas"},
    )


def _no_modality(columns: Sequence[Any], rows: int) -> DataError:
    names = {str(column): str(column) for column in columns}
    likely = {role: likely_names(role, names) for role in ("image", "text", "label")}
    given = "".join(f", {role}={found[0]!r}" for role, found in likely.items() if found)
    return DataError(
        "no column of the frame is a modality",
        expected="columns named image or text with values, or a mapping of columns",
        found=f"{rows} rows of {', '.join(names) or 'no column'}",
        advice=f"name them: Dataset.from_pandas(frame{given or ', text=COLUMN'})",
    )


def from_huggingface(
    dataset: Any,  # noqa: ANN401, the package is optional
    *,
    modalities: Mapping[str, str] | None,
    label: str | None,
    id: str | None,
    seed: int,
    name: str | None,
) -> dict[str, Any]:
    """Return the fields of ``Dataset`` for a Hugging Face data set: see ``from_huggingface``."""
    parts = dict(dataset) if isinstance(dataset, Mapping) else {"": dataset}
    for part in parts.values():
        if not hasattr(part, "column_names") or not hasattr(part, "__getitem__"):
            raise DataError(
                "`dataset` must be a data set of the package datasets",
                expected="a datasets.Dataset or DatasetDict",
                found=f"a {type(part).__name__}",
                advice="for arrays: Dataset.from_arrays(image=X, text=Y, labels=y)",
            )
    known = list(next(iter(parts.values())).column_names)
    wanted = dict(modalities or {m: m for m in ("image", "text") if m in known})
    if not wanted:
        raise DataError(
            "no column of the data set is a modality",
            expected="columns named image and text, or a mapping of columns",
            found=", ".join(known),
            advice='name them: Dataset.from_huggingface(dataset, image="photo", text="caption")',
        )
    for modality, column in wanted.items():
        _check_column(column, known, modality)
    label = label or ("label" if "label" in known else None)
    id = id or ("id" if "id" in known else None)
    for role, column_name in (("label", label), ("id", id)):
        if column_name is not None:
            _check_column(column_name, known, role)
    read = {role: c for role, c in (("label", label), ("id", id)) if c is not None}
    columns: dict[str, list[Any]] = {
        column: [value for part in parts.values() for value in part[column]]
        for column in dict.fromkeys((*wanted.values(), *read.values()))
    }
    rest = [c for c in known if c not in columns and c not in ("split", "group")]
    splits: list[Any] | None = None
    if len(parts) > 1 or next(iter(parts)) != "":
        splits = [split for split, part in parts.items() for _ in range(len(part))]
    elif "split" in known:
        splits = list(parts[""]["split"])
    fields = {
        column: values
        for column in rest
        if _are_plain(values := [v for part in parts.values() for v in part[column]])
    }
    return from_arrays(
        {modality: columns[column] for modality, column in wanted.items()},
        labels=None if label is None else columns[label],
        class_names=None if label is None else _class_names(next(iter(parts.values())), label),
        ids=None if id is None else columns[id],
        splits=splits,
        groups=[v for p in parts.values() for v in p["group"]] if "group" in known else None,
        fields=fields,
        seed=seed,
        name=name
        or str(getattr(next(iter(parts.values())), "builder_name", None) or "huggingface"),
        provenance={"format": "huggingface", "keys": wanted | read},
    )


def _paths(modality: str, values: list[Any], folder: str | Path | None) -> list[Any]:
    """Return strings of an image column as paths below a folder; other values as they are."""
    if modality not in IMAGE_NAMES or folder is None:
        return values
    base = expand_home(folder)
    return [base / expand_home(v) if isinstance(v, str) and v.strip() else v for v in values]


def _check_column(column: Any, known: Sequence[Any], role: str) -> None:  # noqa: ANN401
    if column not in known:
        raise DataError(
            f"there is no column {column!r} for {role!r}",
            expected=", ".join(map(str, known)),
            found=repr(column),
            advice=f"name a column: {role}=...",
        )


def _class_names(part: Any, label: str) -> list[str] | None:  # noqa: ANN401
    """Return the names of a ClassLabel column, None where labels are names or numbers."""
    feature = getattr(part, "features", {}).get(label)
    feature = getattr(feature, "feature", feature)  # of a list
    names = getattr(feature, "names", None)
    return None if names is None else [str(name) for name in names]


def _are_plain(values: Sequence[Any]) -> bool:
    return all(value is None or isinstance(value, str | int | float | bool) for value in values)

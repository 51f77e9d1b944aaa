"""Checks of the samples that an index stores, and their fields as JSON values with types."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data import Dataset
from commonspace.errors import DataError, SettingError
from commonspace.retrieval.filter import BUILT_IN_FIELDS
from commonspace.space import CommonSpace

__all__ = [
    "FIELD_TYPES",
    "check_data",
    "check_field_types",
    "check_ids",
    "check_texts",
    "common_modalities",
    "drop_unstorable",
    "infer_field_types",
    "json_fields",
]

FIELD_TYPES = ("number", "string", "boolean", "mixed")
"""Types that a field can have."""


def check_field_types(types: Mapping[str, str]) -> None:
    """Check declared types of fields.

    Raises:
        SettingError: If one is unknown.
    """
    for name, declared in types.items():
        if declared not in FIELD_TYPES:
            raise SettingError(
                f"the type of the field {name!r} is unknown",
                expected=" or ".join(map(repr, FIELD_TYPES)),
                found=repr(declared),
                advice="leave it out to use the type of the values",
            )


def check_data(data: object) -> None:
    """Check the type of the data.

    Raises:
        SettingError: If it is not a Dataset.
    """
    if not isinstance(data, Dataset):
        raise SettingError(
            "the data has the wrong type",
            expected="a Dataset",
            found=f"{type(data).__name__}: {data!r:.60}",
            advice='load it first: commonspace.load_dataset("photos")',
        )


def common_modalities(data: Dataset, space: CommonSpace) -> list[str]:
    """Return the modalities that data and space have in common.

    Raises:
        SettingError: If there are none.
    """
    known = space.modalities
    common = [name for name in known if name in data.columns]
    if not common:
        raise SettingError(
            f"the space of the index and {data.name!r} have no modality in common",
            expected=" or ".join(map(repr, known)),
            found=", ".join(map(repr, data.modalities)),
            advice="rename the columns of the data",
        )
    return common


def check_ids(data: Dataset) -> None:
    """Check that every id can be stored.

    Raises:
        DataError: If an id contains NUL, or is not UTF-8.
    """
    strange = next((id for id in data.ids if "\0" in id), None)
    if strange is not None:
        raise DataError(
            f"an id of {data.name!r} cannot be stored",
            expected="ids without the character NUL",
            found=repr(strange)[:60],
            advice="rename the sample; nothing was written",
        )
    for id in data.ids:
        if not _is_utf8(id):
            raise _not_utf8("the id", id, id)


def check_texts(data: Dataset, modalities: Sequence[str]) -> None:
    """Check that every text can be stored.

    Raises:
        DataError: If a text is not UTF-8.
    """
    for name in modalities:
        column = data.columns[name]
        for id, texts in zip(data.ids, getattr(column, "items", ()), strict=False):
            for text in texts if isinstance(texts, tuple) else ():
                if not _is_utf8(text):
                    raise _not_utf8("a text", id, text)


def json_fields(data: Dataset) -> dict[str, list[Any]]:
    """Return field -> n JSON values.

    Raises:
        DataError: If a field has the name of a built-in one, or a value that JSON lacks.
    """
    for name in data.fields:
        if not _is_utf8(name):
            raise _not_utf8("a field name", data.ids[0], name)
        if name in BUILT_IN_FIELDS:
            raise DataError(
                f"a field of {data.name!r} has the name of a built-in field",
                expected=f"a name other than {', '.join(BUILT_IN_FIELDS)}",
                found=repr(name),
                advice="rename the field",
            )
    return {
        name: [_json_value(value, data, name, row) for row, value in enumerate(values)]
        for name, values in data.fields.items()
    }


def drop_unstorable(data: Dataset) -> Dataset:
    """Return a data set without the values of fields that an index cannot store.

    Each is None, and a sentence of its ``warnings``; a field with the name of a built-in one is
    left out.

    Example:
        >>> data = Dataset.from_arrays(text=["a", "b"], fields={"place": [{"x": 1}, "here"]})
        >>> drop_unstorable(data).fields["place"]
        [None, 'here']
    """
    fields: dict[str, Sequence[Any]] = {}
    notes = list(data.warnings)
    for name, values in data.fields.items():
        if name in BUILT_IN_FIELDS or not _is_utf8(name):
            notes.append(f"the field {name!a} is left out: an index has no field of this name")
            continue
        kept, wrong = [], []
        for row, value in enumerate(values):
            try:
                kept.append(_json_value(value, data, name, row))
            except DataError as error:
                kept.append(None)
                wrong.append(error)
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            notes.append(f"{wrong[0].problem} ({wrong[0].found}{more}): left out")
        fields[name] = kept
    return replace(data, fields=fields, warnings=tuple(notes))


def infer_field_types(
    data: Dataset,
    fields: Mapping[str, Sequence[Any]],
    rows: NDArray[np.intp],
    known: Mapping[str, str],
) -> tuple[dict[str, str], list[str]]:
    """Return the types of the fields that have none yet, and notes on fields of several types.

    The type of a field is that of the values of the first data set that has it.

    Args:
        data: the samples.
        fields: field -> n JSON values.
        rows: the samples that are written.
        known: field -> its type in the index; "" if still unknown.

    Raises:
        DataError: If a value has another type than its field.
    """
    new: dict[str, str] = {}
    notes = []
    for name, values in fields.items():
        examples: dict[str, int] = {}
        for row in rows.tolist():
            for value in values[row] if isinstance(values[row], list) else [values[row]]:
                if value is not None:
                    examples.setdefault(_field_type(value), row)
        declared = known.get(name, "")
        if declared == "mixed" or not examples:
            continue
        if declared:
            _check_type(name, declared, values, examples, data)
        elif len(examples) == 1:
            (new[name],) = examples
        else:
            new[name] = "mixed"
            kinds = " and ".join(f"a {kind} in {data.ids[row]!r}" for kind, row in examples.items())
            notes.append(f"the field {name!r} has values of several types: {kinds}")
    return new, notes


def _field_type(value: object) -> str:
    """Return the type of a field value: "number", "string" or "boolean"."""
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"


def _check_type(
    name: str,
    declared: str,
    values: Sequence[Any],
    examples: Mapping[str, int],
    data: Dataset,
) -> None:
    for kind, row in examples.items():
        if kind != declared:
            raise DataError(
                f"the field {name!r} is a {declared}, and {data.ids[row]!r} has a {kind}",
                expected=f"a {declared}, a list of them, or no value",
                found=f"{values[row]!r:.60} in sample {data.ids[row]!r}",
                advice="correct or remove the value; nothing was written",
            )


def _json_value(value: Any, data: Dataset, name: str, row: int) -> Any:  # noqa: ANN401 - any value
    """Return a JSON value: NaN becomes None, and a date its ISO form."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if value.isascii() or _is_utf8(value):
            return value
    elif isinstance(value, float) and not math.isinf(value):
        return None if math.isnan(value) else value
    elif isinstance(value, np.generic):
        return _json_value(value.item(), data, name, row)
    elif isinstance(value, date):
        return value.isoformat()
    elif isinstance(value, list | tuple):
        return [_json_value(one, data, name, row) for one in value]
    raise DataError(
        f"the field {name!r} of {data.name!r} has a value that an index cannot store",
        expected="numbers, strings in UTF-8, booleans, nothing, or lists of them",
        found=f"{value!a:.60} in sample {data.ids[row]!a}",
        advice="change or remove the field, or leave these values out with --skip-invalid;"
        " nothing was written",
    )


def _not_utf8(what: str, id: str, text: str) -> DataError:
    return DataError(
        f"{what} of sample {ascii(id)[:60]} cannot be stored",
        expected="text that can be encoded as UTF-8",
        found=ascii(text)[:60],
        advice="repair the text; nothing was written",
    )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

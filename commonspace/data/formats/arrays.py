"""Named arrays of any file format as a table: modalities, labels, ids, splits, fields.

    <modality>             (n, d) numbers: features; strings: texts, or image files under "image"
    <modality>_present     (n,) bool: which rows have this modality (all, without the key)
    label, class_names     see :mod:`commonspace.data.labels`
    split, id, group       (n,)
    <anything>_id          (n,): a field, and the sample id where there is no key "id"
    anything else of (n,)  a field

or the same with a split at either end of each key: image_train, label_val, test_img. Which names
are modalities is defined in :mod:`commonspace.data.formats.keys`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.assemble import Table
from commonspace.data.columns import Column
from commonspace.data.formats.hints import add_hints
from commonspace.data.formats.keys import NUMBERS, KeyRules, holds_images, kind_of
from commonspace.data.formats.names import (
    MODALITIES,
    PROVENANCE,
    RESERVED,
    canonical_key,
    split_key,
)
from commonspace.data.formats.part_columns import features_of, images_of, texts_of
from commonspace.data.formats.parts import Part, first_array, parts_of
from commonspace.data.labels import decode_labels, no_labels
from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import (
    as_strings,
    is_missing,
    is_strings,
    spell,
)
from commonspace.errors import DataError
from commonspace.json_text import parse_json

__all__ = ["table_from_arrays"]

_WHOLE = re.compile(r"-?\d+(\.0+)?")


def table_from_arrays(
    arrays: Mapping[str, NDArray[Any]],
    *,
    source: str,
    warnings: WarningLog,
    rules: KeyRules | None = None,
    key_name: Callable[[str, str], str] = lambda base, split: f"key '{base}_{split}'",
) -> Table:
    """Read named arrays by the conventions above.

    Args:
        arrays: key -> array; modalities keep this order.
        source: what to call the source in messages; image files lie beside it.
        warnings: raises or records what is wrong.
        rules: the caller's mapping of keys.
        key_name: (base, split) -> what to call an array that is missing.

    Raises:
        DataError: rows do not match, a split lacks an array that another has, values are not
            finite, two keys mean the same, labels that cannot be read, no key is a modality.
        SettingError: a mapped key is missing.
    """
    parts, modalities, taken = parts_of(arrays, source, warnings, rules)
    bases = [base for base in taken if any(base in part.arrays for part in parts)]
    kinds = {base: kind_of(base, first_array(parts, base), modalities) for base in bases}
    columns: dict[str, Column] = {}
    for base in [base for base in bases if kinds[base] in ("features", "texts", "images", "label")]:
        for part in parts:
            if base not in part.arrays and part.count:
                others = ", ".join(other.split for other in parts if base in other.arrays)
                _report_lacking(base, part, others, source, warnings, key_name)
        if kinds[base] == "features":
            columns[base] = features_of(base, parts, source, warnings)
        elif kinds[base] == "texts":
            columns[base] = texts_of(base, parts)
        elif kinds[base] == "images":
            columns[base] = images_of(base, parts, source, warnings)
    if not columns:
        _raise_no_modality(arrays, source)
    for base in bases:
        if kinds[base] == "field" and base in modalities:
            values = first_array(parts, base)
            warnings.add(
                f"{source}: {base!r}, {values.dtype} of shape {values.shape}, is kept as a field:"
                " a modality is (samples, size) numbers, texts or images"
            )
    fields = {base: _field(base, parts) for base in bases if kinds[base] in ("field", "group")}
    for base in [base for base in fields if holds_images(first_array(parts, base))]:
        del fields[base]
        warnings.add(
            f"{source}: {base!r} holds images and is not used: rename it 'image' if meant so, or"
            f" give --modality image={base}"
        )
    _hint_at_names(arrays, taken, bases, source, warnings)
    labels, names = _labels(parts, arrays, source, warnings)
    used = {
        base: ", ".join(taken[base]) for base in bases if kinds[base] not in ("field", "present")
    }
    return Table(
        source=source,
        ids=_ids(parts, fields),
        columns=columns,
        labels=labels,
        class_names=names,
        splits=_split(parts, bases),
        groups=fields.get("group"),
        fields=fields,
        declared=frozenset(part.split for part in parts if part.split),
        provenance=_provenance(arrays, source),
        keys=used,
    )


def _raise_no_modality(arrays: Mapping[str, NDArray[Any]], source: str) -> None:
    tables = [key for key, v in arrays.items() if v.ndim == 2 and v.dtype.kind in NUMBERS]
    raise DataError(
        f"{source} has no key that is a modality",
        expected="arrays named image, text or another modality (docs/data.md lists the names)",
        found=", ".join(f"{key} {arrays[key].shape}" for key in list(arrays)[:10]) or "no array",
        advice="rename them, or map them: "
        + " ".join(f"--modality NAME={key}" for key in (tables or ["KEY"])[:2]),
    )


def _hint_at_names(
    arrays: Mapping[str, NDArray[Any]],
    taken: Mapping[str, list[str]],
    bases: Sequence[str],
    source: str,
    warnings: WarningLog,
) -> None:
    """Name keys that are likely meant as labels, splits, texts or images where there are none."""
    names = {key: key if key in taken else canonical_key(key)[0] for key in arrays}
    free = {key: name for key, name in names.items() if arrays[key].ndim and name not in RESERVED}
    strings = {
        key: name
        for key, name in free.items()
        if arrays[key].ndim == 1
        and arrays[key].dtype.kind in "USOT"
        and not holds_images(arrays[key])
    }
    used = [key for base in taken if base in MODALITIES | {"label"} for key in taken[base]]
    divided = any(split_key(key)[1] for key in used)
    missing = {role: role for role in ("label", "split") if role not in bases}
    add_hints(
        {key: name if name in taken else key for key, name in free.items()},
        {role: role for role in missing if role != "split" or not divided},
        source,
        warnings,
    )
    missing = {role: role for role in ("text", "image") if role not in bases}
    add_hints(strings, missing, source, warnings)


def _provenance(arrays: Mapping[str, NDArray[Any]], source: str) -> dict[str, Any]:
    if PROVENANCE not in arrays:
        return {}
    try:
        stored = parse_json("".join(as_strings(arrays[PROVENANCE].reshape(-1)[:1]).tolist()))
        if isinstance(stored, dict):
            return stored
        found = type(stored).__name__
    except ValueError as exc:
        found = str(exc)
    raise DataError(
        f"the key {PROVENANCE!r} of {source} cannot be read",
        expected="a JSON object, as this package writes it",
        found=found,
        advice="remove the key: the features are complete without it",
    )


def _report_lacking(
    base: str,
    part: Part,
    there: str,
    source: str,
    warnings: WarningLog,
    key_name: Callable[[str, str], str],
) -> None:
    label = base == "label"
    warnings.report(
        DataError(
            f"{source}: {key_name(base, part.split)} is missing",
            expected=f"{base} in each split, as in {there}",
            found=f"none for the {part.count} rows of {part.split}",
            advice="add it",
        ),
        instead=f"the {part.count} rows of {part.split} "
        + ("have no label" if label else f"have no {base}"),
    )


def _labels(
    parts: list[Part], arrays: Mapping[str, NDArray[Any]], source: str, warnings: WarningLog
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    key = next((key for key in arrays if canonical_key(key)[0] == "class_names"), None)
    names = None if key is None else as_strings(arrays[key].reshape(-1)).tolist()
    given = [part.arrays["label"] for part in parts if "label" in part.arrays]
    spelled = [value for v in given if is_strings(v) for value in as_strings(v).reshape(-1)]
    if (
        len({is_strings(values) for values in given}) > 1
        and all(values.ndim == 1 for values in given)
        and all(is_missing(value) or _WHOLE.fullmatch(value.strip()) for value in spelled)
    ):
        for part in parts:  # 1.0 in one split is "1" in the other
            if "label" in part.arrays:
                part.arrays["label"] = as_strings(part.arrays["label"])
        given = [part.arrays["label"] for part in parts if "label" in part.arrays]
    if not given:
        total = sum(part.count for part in parts)
        return np.zeros((total, len(names or ())), dtype=bool), tuple(names or ())
    if len({(values.shape[1:], is_strings(values)) for values in given}) > 1:
        raise DataError(
            f"the labels of {source} have another form in each split",
            expected="one form in all splits",
            found=", ".join(f"{values.dtype} of shape {values.shape}" for values in given),
            advice="write them all as (n,) numbers, all as strings, or all as a 0/1 matrix",
        )
    rows = [
        part.arrays["label"] if "label" in part.arrays else no_labels(given[0], part.count)
        for part in parts
    ]
    return decode_labels(np.concatenate(rows), names, f"the label of {source}", warnings)


def _ids(parts: list[Part], fields: Mapping[str, list[Any]]) -> list[str]:
    """Return the key "id", else the first field "…_id" of distinct values, else numbers."""
    if any("id" in part.arrays for part in parts):
        found = [
            as_strings(part.arrays["id"]).tolist() if "id" in part.arrays else _numbered(part)
            for part in parts
        ]
        return [name for names in found for name in names]
    for base, values in fields.items():
        if base.endswith(("_id", "_ids")) and None not in values:
            names = [spell(value) for value in values]
            if len(set(names)) == len(names):
                return names
    return [name for part in parts for name in _numbered(part)]


def _numbered(part: Part) -> list[str]:
    prefix = f"{part.split}-" if part.split else ""
    return [f"{prefix}{row}" for row in range(part.count)]


def _field(base: str, parts: list[Part]) -> list[Any]:
    values: list[Any] = []
    for part in parts:
        raw = part.arrays.get(base)
        if raw is None:
            values += [None] * part.count
        else:
            values += (as_strings(raw) if raw.dtype.kind == "S" else raw).tolist()
    return values


def _split(parts: list[Part], bases: list[str]) -> list[str] | None:
    if any(part.split for part in parts):
        return [part.split for part in parts for _ in range(part.count)]
    if "split" not in bases:
        return None
    return [str(name) for name in as_strings(parts[0].arrays["split"]).tolist()]

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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.assemble import Table
from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.formats.hints import add_hints
from commonspace.data.formats.keys import NUMBERS, KeyRules, holds_images, kind_of
from commonspace.data.formats.names import (
    MODALITIES,
    PROVENANCE,
    RESERVED,
    canonical_key,
    split_key,
)
from commonspace.data.formats.parts import Part, parts_of
from commonspace.data.labels import decode_labels, no_labels
from commonspace.data.reading import WarningLog
from commonspace.data.row_blocks import row_blocks, rows_on_disk
from commonspace.data.vocabulary import (
    as_strings,
    expand_home,
    find_file,
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
    kinds = {base: kind_of(base, _first(parts, base), modalities) for base in bases}
    columns: dict[str, Column] = {}
    for base in [base for base in bases if kinds[base] in ("features", "texts", "images", "label")]:
        for part in parts:
            if base not in part.arrays and part.count:
                others = ", ".join(other.split for other in parts if base in other.arrays)
                _report_lacking(base, part, others, source, warnings, key_name)
        if kinds[base] == "features":
            columns[base] = _features(base, parts, source, warnings)
        elif kinds[base] == "texts":
            columns[base] = _texts(base, parts)
        elif kinds[base] == "images":
            columns[base] = _images(base, parts, source, warnings)
    if not columns:
        _raise_no_modality(arrays, source)
    for base in bases:
        if kinds[base] == "field" and base in modalities:
            values = _first(parts, base)
            warnings.add(
                f"{source}: {base!r}, {values.dtype} of shape {values.shape}, is kept as a field:"
                " a modality is (samples, size) numbers, texts or images"
            )
    fields = {base: _field(base, parts) for base in bases if kinds[base] in ("field", "group")}
    for base in [base for base in fields if holds_images(_first(parts, base))]:
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


def _first(parts: list[Part], base: str) -> NDArray[Any]:
    return next(part.arrays[base] for part in parts if base in part.arrays)


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


def _features(base: str, parts: list[Part], source: str, warnings: WarningLog) -> Features:
    size, total = _first(parts, base).shape[1], sum(part.count for part in parts)
    if not total:
        return Features(np.zeros((0, max(size, 1)), dtype=np.float32))
    if not size:
        raise DataError(
            f"the features {base!r} of {source} are empty",
            expected="(rows, size) numbers",
            found=f"shape {_first(parts, base).shape}",
            advice="write the features again, or leave the key out",
        )
    whole = _unchanged(base, parts)
    if whole is not None:
        return Features(whole)
    values = rows_on_disk(total, size)
    present = np.zeros(total, dtype=bool)
    start = 0
    for part in parts:
        stop = start + part.count
        if base in part.arrays:
            raw = part.arrays[base]
            if raw.ndim != 2 or raw.dtype.kind not in NUMBERS or raw.shape[1] != size:
                raise DataError(
                    f"the features {base!r} of {source} have another form in {part.split}",
                    expected=f"(rows, {size}) numbers, as in {parts[0].split}",
                    found=f"{raw.dtype} of shape {raw.shape}",
                    advice="give the features of all splits one size",
                )
            mask = part.arrays.get(f"{base}_present")
            present[start:stop] = True if mask is None else mask.astype(bool)
            finite = ~present[start:stop]
            for rows in row_blocks(values[start:stop]):
                with np.errstate(over="ignore", invalid="ignore"):
                    values[start:stop][rows] = raw[rows]
                finite[rows] |= np.isfinite(values[start:stop][rows]).all(axis=1)
            if not finite.all():
                _report_not_finite(base, part, raw, finite, source, warnings)
                present[start:stop] &= finite
        start = stop
    if not present.all():
        values[~present] = 0
    return Features(values, present)


def _unchanged(base: str, parts: list[Part]) -> NDArray[np.float32] | None:
    """Return features that need no copy: all rows are there, as finite float32 in one array."""
    if len(parts) != 1 or f"{base}_present" in parts[0].arrays:
        return None
    raw = parts[0].arrays.get(base)
    if raw is None or raw.dtype != np.float32 or raw.ndim != 2 or not raw.flags.c_contiguous:
        return None
    return raw if all(np.isfinite(raw[rows]).all() for rows in row_blocks(raw)) else None


def _report_not_finite(
    base: str,
    part: Part,
    raw: NDArray[Any],
    finite: NDArray[np.bool_],
    source: str,
    warnings: WarningLog,
) -> None:
    row = int(np.flatnonzero(~finite)[0])
    with np.errstate(over="ignore", invalid="ignore"):
        column = int(np.flatnonzero(~np.isfinite(raw[row].astype(np.float32)))[0])
    key = f"{base}_{part.split}" if part.split else base
    bad = int((~finite).sum())
    warnings.report(
        DataError(
            f"{source}: the features {key!r} hold values that are not finite",
            expected="finite float32 numbers",
            found=f"{raw[row, column]} in row {row}, column {column};"
            f" rows affected: {bad} of {len(raw)}",
            advice=f"repair or drop these rows, or mark them as missing in '{base}_present'",
        ),
        instead=f"{bad} row{'' if bad == 1 else 's'} left out of {key!r}",
    )


def _texts(base: str, parts: list[Part]) -> Texts:
    items: list[tuple[str, ...]] = []
    for part in parts:
        raw = part.arrays.get(base)
        mask = part.arrays.get(f"{base}_present")
        if raw is None:
            items += [()] * part.count
            continue
        table = raw.reshape(len(raw), -1) if len(raw) else raw.reshape(0, 1)
        rows = raw.tolist() if _holds_tuples(raw) else as_strings(table).tolist()
        found = [tuple(text for text in row or () if text and text.strip()) for row in rows]
        shown = [True] * part.count if mask is None else mask.astype(bool).tolist()
        items += [texts if show else () for texts, show in zip(found, shown, strict=True)]
    return Texts(items)


def _images(base: str, parts: list[Part], source: str, warnings: WarningLog) -> Images:
    """Return images: paths beside the file, or pixels that the reader has decoded."""
    items: list[Path | NDArray[np.uint8] | None] = []
    missing: list[str] = []
    folder = expand_home(source).parent
    for part in parts:
        raw = part.arrays.get(base)
        mask = part.arrays.get(f"{base}_present")
        if raw is not None and raw.ndim == 2 and raw.shape[1] > 1:
            warnings.report(
                DataError(
                    f"{source}: {base!r} holds several strings in each row",
                    expected="(n,) names of image files, or (n, d) numbers",
                    found=f"{raw.dtype} of shape {raw.shape}, such as {str(raw[0, 0])[:40]!r}",
                    advice="store numbers as numbers: values.astype(float)",
                ),
                instead="these samples have no image",
            )
            raw = None
        for row in range(part.count):
            value = None if raw is None or (mask is not None and not mask[row]) else raw[row]
            if isinstance(value, np.ndarray):
                items.append(value if value.ndim == 3 else None)
                continue
            name = "" if is_missing(value) else as_strings(np.array([value], object))[0]
            path = find_file(folder, name) if name else None
            if name and path is None:
                missing.append(name)
            items.append(path)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        warnings.report(
            DataError(
                f"{source}: {len(missing)} image files are missing",
                expected=f"files below {folder}",
                found=f"no {', '.join(missing[:3])}{more}",
                advice="put the files there, or correct the names",
            ),
            instead="these samples have no image",
        )
    return Images(items)


def _holds_tuples(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "O" and any(isinstance(value, tuple) for value in values.flat)


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

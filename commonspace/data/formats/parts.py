"""Arrays of a feature file sorted by split, with one number of rows in each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.formats.keys import NUMBERS, KeyRules, is_one_hot, kind_of, modalities_in
from commonspace.data.formats.names import (
    MODALITY_LIST,
    PROVENANCE,
    canonical_key,
    is_label_hint,
    pair_names,
)
from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import as_strings
from commonspace.errors import DataError

__all__ = ["Part", "first_array", "parts_of"]


@dataclass(frozen=True)
class Part:
    """The arrays of one split (``split`` is "" where the source is one piece), rows agreed on."""

    split: str
    count: int
    arrays: dict[str, NDArray[Any]]


def parts_of(
    arrays: Mapping[str, NDArray[Any]],
    source: str,
    warnings: WarningLog,
    rules: KeyRules | None = None,
) -> tuple[list[Part], frozenset[str], dict[str, list[str]]]:
    """Sort named arrays by split and check that the rows of each split agree.

    Args:
        arrays: key -> array; class names belong to no row and are left out.
        source: what to call the source in messages.
        warnings: raises or records arrays of another length.
        rules: the caller's mapping of keys.

    Returns:
        The parts; the names that may be modalities; and base -> the keys that were taken as it.

    Raises:
        DataError: two keys mean the same, some keys name a split and others do not, rows do not
            match.
        SettingError: a mapped key is missing.
    """
    rules = rules or KeyRules()
    renamed = rules.rename(arrays, source) or pair_names(arrays)
    if rules.modalities:
        modalities = frozenset(rules.modalities)
    elif MODALITY_LIST in arrays:
        modalities = frozenset(as_strings(arrays[MODALITY_LIST].reshape(-1)).tolist())
    else:
        spelled = {key: "_".join(name for name in pair if name) for key, pair in renamed.items()}
        modalities = modalities_in(
            {spelled.get(key, key): values for key, values in arrays.items()}, source, warnings
        )
    sorted_keys: dict[str, dict[str, NDArray[Any]]] = {}
    keys: dict[tuple[str, str], str] = {}
    taken: dict[str, list[str]] = {}
    for key, values in arrays.items():
        base, split = renamed.get(key) or canonical_key(key)
        if base in ("class_names", PROVENANCE, MODALITY_LIST):
            continue
        if key not in renamed and base in {name for name, _ in renamed.values()}:
            base = key  # the caller maps another key to this name
        part = sorted_keys.setdefault(split, {})
        if base in part and not _same(base, part[base], values):
            raise DataError(
                f"two keys of {source} mean the same and differ",
                expected=f"one array for {base!r}",
                found=f"{keys[base, split]!r} and {key!r}",
                advice=f"keep one of them, or choose one: --modality {base}={key}"
                if base != "label"
                else f"keep one of them, or choose one: --label {key}",
            )
        part[base], keys[base, split] = values, key
        taken.setdefault(base, []).append(key)
    whole = _without_splits(sorted_keys, keys, modalities)
    if len(sorted_keys) > 1 and any(
        values.ndim and kind_of(base, values, modalities) != "field"
        for base, values in whole.items()
    ):
        first = next(base for base, v in whole.items() if kind_of(base, v, modalities) != "field")
        raise DataError(
            f"{source} mixes arrays of one split with arrays of all",
            expected="keys that all name a split, or a key 'split' beside keys that do not",
            found=f"{keys[first, '']!r} beside {next(k for (_, s), k in keys.items() if s)!r}",
            advice="name all keys in one way",
        )
    if len(sorted_keys) > 1:
        for base, values in sorted_keys.pop("", {}).items():
            _warn_unused(base, values, source, warnings)
    parts = [
        _agree(split, part, source, warnings, modalities) for split, part in sorted_keys.items()
    ]
    return parts, modalities, taken


def first_array(parts: Sequence[Part], base: str) -> NDArray[Any]:
    """Return the array of a name in the first part that has it.

    Args:
        parts: of which at least one has it.
        base: the name.
    """
    return next(part.arrays[base] for part in parts if base in part.arrays)


def _without_splits(
    sorted_keys: dict[str, dict[str, NDArray[Any]]],
    keys: Mapping[tuple[str, str], str],
    modalities: frozenset[str],
) -> dict[str, NDArray[Any]]:
    """Return the arrays of all rows; is_train and test_idx beside them name no split of a modality.

    Args:
        sorted_keys: split -> base -> array; splits without modality and label become fields of "".
        keys: (base, split) -> the key of the file.
        modalities: the names that may be modalities.
    """
    whole = sorted_keys.get("", {})
    kinds = {base: kind_of(base, values, modalities) for base, values in whole.items()}
    if not {"features", "texts", "images"} & set(kinds.values()):
        return whole
    for split in [split for split in sorted_keys if split]:
        part = sorted_keys[split]
        if all(kind_of(base, v, modalities) in ("field", "id") for base, v in part.items()):
            whole |= {keys[base, split]: values for base, values in part.items()}
            del sorted_keys[split]
    return whole


def _agree(
    split: str,
    arrays: dict[str, NDArray[Any]],
    source: str,
    warnings: WarningLog,
    modalities: frozenset[str],
) -> Part:
    """Find the number of rows that most arrays have; report and leave out those that differ."""
    suffix = f"_{split}" if split else ""
    kinds = {base: kind_of(base, values, modalities) for base, values in arrays.items()}
    count = _transposed_count(arrays, kinds)
    if count is not None:
        for base, values in arrays.items():
            if kinds[base] != "field" and values.ndim == 2 and values.shape[0] != count:
                arrays[base] = values.T
                if 1 not in values.shape:
                    warnings.add(
                        f"{source}: {base + suffix!r} of shape {values.shape} has one column a"
                        " sample: it is transposed"
                    )
    else:
        votes = Counter(
            len(values)
            for base, values in arrays.items()
            if values.ndim and (kinds[base] != "field" and values.shape[:1] != (1,))
        )
        votes.update(len(v) for base, v in arrays.items() if kinds[base] == "features")
        count = (
            votes.most_common(1)[0][0]
            if votes
            else max((v.size for v in arrays.values()), default=0)
        )
    label = arrays.get("label")
    if label is not None and label.ndim == 2 and label.shape[1] == count != len(label) != 1:
        arrays["label"] = label.T
        warnings.add(
            f"{source}: {'label' + suffix!r} of shape {label.shape} has one column a sample: it is"
            " transposed"
        )
    accepted: dict[str, NDArray[Any]] = {}
    for base, values in arrays.items():
        kind = kinds[base]
        rows = values if kind in ("features", "texts", "images") else _flatten(values, count)
        if kind in ("texts", "images") and values.shape == (1, count):  # a row of cells
            rows = values.reshape(-1)
        if kind == "present" and not _is_mask(rows):
            warnings.report(
                DataError(
                    f"{source}: {base + suffix!r} is no mask",
                    expected="true and false, or 1 and 0",
                    found=f"{rows.dtype}, such as {rows.reshape(-1)[:1].tolist()}",
                    advice="write which rows have this modality as booleans",
                ),
                instead="it is not used",
            )
            continue
        if rows.ndim and len(rows) == count and (kind != "field" or rows.ndim == 1):
            accepted[base] = rows
        elif kind == "field":
            _warn_unused(base + suffix, values, source, warnings)
        else:
            agreeing = [repr(b + suffix) for b, v in arrays.items() if v.ndim and len(v) == count]
            warnings.report(
                DataError(
                    f"rows of {source} do not match",
                    expected=f"{count} rows in {base + suffix!r}, as in {', '.join(agreeing[:4])}",
                    found=f"{len(rows) if rows.ndim else 'a single value'}",
                    advice="make all arrays equally long and put them in one order",
                ),
                instead=f"{base + suffix!r} left out",
            )
    return Part(split, count, accepted)


def _same(base: str, first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Return whether two arrays of one name are equal; labels and ids also as 1.0 and "1"."""
    if np.array_equal(first, second):
        return True
    if base not in ("label", "id", "split", "group") or first.size != second.size:
        return False
    if any(values.size != max(values.shape, default=0) for values in (first, second)):
        return False
    return bool((as_strings(first.reshape(-1)) == as_strings(second.reshape(-1))).all())


def _is_mask(values: NDArray[Any]) -> bool:
    if values.dtype.kind not in NUMBERS:
        return False
    return values.dtype.kind == "b" or bool(np.isin(values, (0, 1)).all())


def _transposed_count(arrays: Mapping[str, NDArray[Any]], kinds: Mapping[str, str]) -> int | None:
    """Return the number of columns where all arrays agree on it as the number of samples.

    None where the rows agree already, or where one side is not certain: at least two matrices, or a
    list of labels or ids and one matrix, have samples in columns.
    """
    used = [v for base, v in arrays.items() if kinds[base] not in ("field", "present") and v.ndim]
    if len({len(v) for v in used if v.shape[:1] != (1,)}) < 2:
        return None
    features = [v for base, v in arrays.items() if kinds[base] == "features"]
    for count in dict.fromkeys(v.shape[1] for v in features):
        if count < 2 or not all(count in v.shape[:2] for v in used):
            continue
        turned = sum(v.shape[0] != count for v in features)
        anchored = any(
            v.shape in ((count,), (count, 1), (1, count)) or (v.ndim == 2 and len(v) == count)
            for v in used
        )
        if turned >= 2 or (turned and anchored and len(used) > 2):
            return int(count)
    return None


def _warn_unused(name: str, values: NDArray[Any], source: str, warnings: WarningLog) -> None:
    if any(f"{name!r} is not used" in sentence for sentence in warnings.sentences):
        return
    why = "its name is no modality's: --modality NAME=KEY makes it one"
    if values.ndim != 2 or values.dtype.kind not in NUMBERS:
        why = "it is neither (samples, size) real numbers nor one value a sample"
    elif is_label_hint(name) or is_one_hot(values):
        why = f"it looks like labels: rename it 'label' if meant so, or give --label {name}"
    warnings.add(f"{source}: {name!r}, {values.dtype} of shape {values.shape}, is not used: {why}")


def _flatten(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return (n,) for the (n, 1) and (1, n) that MATLAB makes of a list; else as it is."""
    if values.ndim == 2 and values.shape in ((count, 1), (1, count)):
        return values.reshape(-1)
    return values

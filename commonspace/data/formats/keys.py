"""What the keys of a feature file mean: modality, label, split, and how many rows there are.

The spellings are those of :mod:`commonspace.data.formats.arrays`. This module sorts arrays by
split, finds the number of rows that most of them have, and reports those that differ.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.problems import Problems
from commonspace.data.splits import split_name
from commonspace.errors import DataError

__all__ = ["KEY_ALIASES", "NUMBERS", "PROVENANCE", "Part", "canonical_key", "kind_of", "parts_of"]

KEY_ALIASES = {
    "img": "image",
    "images": "image",
    "txt": "text",
    "texts": "text",
    "lab": "label",
    "labels": "label",
    "img_lab": "label",
    "txt_lab": "label",
    "ids": "id",
    "groups": "group",
    "splits": "split",
    "classes": "class_names",
}
_RESERVED = frozenset({"label", "class_names", "split", "id", "group"})
_SPLIT_WORDS = "train|training|validation|valid|val|dev|test"
_SUFFIX = re.compile(rf"(.+)_({_SPLIT_WORDS})")
_PREFIX = re.compile(rf"({_SPLIT_WORDS})_(.+)")
PROVENANCE = "commonspace_provenance"  # where features come from, as one string of JSON
NUMBERS = "biuf"  # the kinds of dtype that can be features


@dataclass(frozen=True)
class Part:
    """The arrays of one split (``split`` is "" where the source is one piece), rows agreed on."""

    split: str
    count: int
    arrays: dict[str, NDArray[Any]]


def canonical_key(key: str) -> tuple[str, str]:
    """Return the base of a key and its split, "" where it names none.

    Example:
        >>> canonical_key("img_train"), canonical_key("val_img_lab"), canonical_key("text")
        (('image', 'train'), ('label', 'validation'), ('text', ''))
    """
    base, split = key, ""
    if match := _SUFFIX.fullmatch(key):
        base, split = match.groups()
    elif match := _PREFIX.fullmatch(key):
        split, base = match.groups()
    stem, present = base.removesuffix("_present"), "_present" * base.endswith("_present")
    return KEY_ALIASES.get(stem, stem) + present, split_name(split) or ""


def kind_of(base: str, values: NDArray[Any]) -> str:
    """Return what an array is: "features", "texts", "present", "field", or its reserved base.

    Args:
        base: the first of :func:`canonical_key`.
        values: the array.

    Example:
        >>> kind_of("image", np.zeros((4, 2))), kind_of("price", np.zeros(4))
        ('features', 'field')
    """
    if base in _RESERVED:
        return base
    if base.endswith("_present"):
        return "present"
    if base == "text" and values.ndim and (values.dtype.kind in "USO"):
        return "texts"
    if values.ndim == 2 and values.dtype.kind in NUMBERS:
        return "features"
    return "field"


def parts_of(arrays: Mapping[str, NDArray[Any]], source: str, problems: Problems) -> list[Part]:
    """Sort named arrays by split and see to it that the rows of each split agree.

    Args:
        arrays: key -> array; class names are passed over, for they belong to no row.
        source: what to call the source in messages.
        problems: raises or records arrays of another length.

    Raises:
        DataError: two keys mean the same, some keys name a split and others do not, rows do not
            match.
    """
    return [
        _agreed(split, found, source, problems)
        for split, found in _by_split(arrays, source).items()
    ]


def _by_split(
    arrays: Mapping[str, NDArray[Any]], source: str
) -> dict[str, dict[str, NDArray[Any]]]:
    """Sort the arrays by split; "" where a key names none. class_names belongs to no row."""
    found: dict[str, dict[str, NDArray[Any]]] = {}
    keys: dict[tuple[str, str], str] = {}
    for key, values in arrays.items():
        base, split = canonical_key(key)
        if base in ("class_names", PROVENANCE):
            continue
        part = found.setdefault(split, {})
        if base in part and not np.array_equal(part[base], values):
            raise DataError(
                f"two keys of {source} mean the same and differ",
                expected=f"one array for {base!r}",
                found=f"{keys[base, split]!r} and {key!r}",
                advice="keep one of them",
            )
        part[base], keys[base, split] = values, key
    whole = found.get("", {})
    if len(found) > 1 and any(values.ndim for values in whole.values()):
        raise DataError(
            f"{source} mixes arrays of one split with arrays of all",
            expected="keys that all name a split, or a key 'split' beside keys that do not",
            found=f"{next(iter(whole))!r} beside {next(k for (_, s), k in keys.items() if s)!r}",
            advice="name all keys in one way",
        )
    if len(found) > 1:
        found.pop("", None)
    return found


def _agreed(split: str, found: dict[str, NDArray[Any]], source: str, problems: Problems) -> Part:
    """Find the number of rows that most arrays have; report and leave out those that differ."""
    suffix = f"_{split}" if split else ""
    votes = Counter(
        len(values)
        for base, values in found.items()
        if values.ndim and (kind_of(base, values) != "field" and values.shape[:1] != (1,))
    )
    votes.update(len(v) for base, v in found.items() if kind_of(base, v) == "features")
    count = (
        votes.most_common(1)[0][0] if votes else max((v.size for v in found.values()), default=0)
    )
    kept: dict[str, NDArray[Any]] = {}
    for base, values in found.items():
        kind = kind_of(base, values)
        rows = values if kind in ("features", "texts") else _flat(values, count)
        if rows.ndim and len(rows) == count and (kind != "field" or rows.ndim == 1):
            kept[base] = rows
        elif kind == "field":  # a mean, a date, a comment: facts about the file, not its rows
            problems.note(
                f"{source}: {base + suffix!r}, {values.dtype} of shape {values.shape}, is not used:"
                " it is neither (rows, size) real numbers nor one value a row"
            )
        else:
            agreeing = [repr(b + suffix) for b, v in found.items() if v.ndim and len(v) == count]
            problems.meet(
                DataError(
                    f"rows of {source} do not match",
                    expected=f"{count} rows in {base + suffix!r}, as in {', '.join(agreeing[:4])}",
                    found=f"{len(rows) if rows.ndim else 'a single value'}",
                    advice="make all arrays equally long and put them in one order",
                ),
                instead=f"{base + suffix!r} left out",
            )
    return Part(split, count, kept)


def _flat(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return (n,) for the (n, 1) and (1, n) that MATLAB makes of a list; else as it is."""
    if values.ndim == 2 and values.shape in ((count, 1), (1, count)):
        return values.reshape(-1)
    return values

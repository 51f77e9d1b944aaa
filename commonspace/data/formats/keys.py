"""Keys of feature files: which array is a modality, the labels, the ids or the splits.

A key becomes a modality only by one of these rules: its name is in ``MODALITIES``; it is an alias
of such a name (``img``, ``images``, ``train_imgs_deep``, ``I_tr``, ``XAll``); the file was written
by this package and lists it; the caller maps it; or fewer than two keys have such names, it is an
(n, d) array of numbers, its name is not one of ``NO_MODALITIES`` and has no word for labels, and it
is not the label in another form: no table with one mark a row, no row that is the same for each
class. Anything else is a field or is not used. Names are in :mod:`commonspace.data.formats.names`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.checks import one_to_one
from commonspace.data.formats.names import (
    MODALITIES,
    NO_MODALITIES,
    RESERVED,
    canonical_key,
    has_label_word,
    split_key,
)
from commonspace.data.reading import WarningLog
from commonspace.errors import SettingError

__all__ = [
    "NUMBERS",
    "KeyRules",
    "check_distinct",
    "holds_images",
    "is_one_hot",
    "kind_of",
    "modalities_in",
]

NUMBERS = "biuf"  # the kinds of dtype that can be features


@dataclass(frozen=True)
class KeyRules:
    """The caller's own mapping of keys, in place of the usual names.

    Args:
        modalities: modality -> key of the file. With it, no other key is a modality.
        label: the key of the labels; None for the usual names.
    """

    modalities: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None

    def rename(self, keys: Mapping[str, Any], source: str) -> dict[str, tuple[str, str]]:
        """Return key -> (the name it stands for, its split), for the keys that the caller maps.

        Raises:
            SettingError: a mapped key is not in the file, or a modality has a reserved name.
        """
        for name in self.modalities:
            if name in RESERVED or name.endswith("_present"):
                raise SettingError(
                    f"{name!r} cannot be the name of a modality",
                    expected="another name, such as image or text",
                    found=f"--modality {name}={self.modalities[name]}",
                    advice="give --label KEY for labels" if name == "label" else "choose another",
                )
        wanted = dict(self.modalities) | ({"label": self.label} if self.label else {})
        check_distinct(wanted)
        names: dict[str, tuple[str, str]] = {}
        for name, key in wanted.items():
            matches = [k for k in keys if k == key or split_key(k)[0] == key]
            if not matches:
                raise SettingError(
                    f"{source} has no key {key!r} for {name!r}",
                    expected=", ".join(list(keys)[:20]),
                    found=repr(key),
                    advice=f"name a key of the file: --modality {name}=KEY"
                    if name != "label"
                    else "name a key of the file: --label KEY",
                )
            for match in matches:
                names[match] = (name, split_key(match)[1] if match != key else "")
        return names


def check_distinct(wanted: Mapping[str, str]) -> None:
    """Check that no key is mapped twice.

    Args:
        wanted: modality or "label" -> key.

    Raises:
        SettingError: two stand for one key.
    """
    by_key: dict[str, list[str]] = {}
    for name, key in wanted.items():
        by_key.setdefault(key, []).append(name)
    twice = next((key for key, names in by_key.items() if len(names) > 1), None)
    if twice is not None:
        raise SettingError(
            f"the key {twice!r} is given twice",
            expected="another key for each modality and for the label",
            found=" and ".join(map(repr, by_key[twice])),
            advice="map each key once: a label must not be among the features",
        )


def kind_of(base: str, values: NDArray[Any], modalities: frozenset[str] = MODALITIES) -> str:
    """Return what an array is: "features", "texts", "images", "present", "field", or reserved.

    Args:
        base: the first of :func:`canonical_key`.
        values: the array.
        modalities: names that may be modalities.

    Example:
        >>> import numpy as np
        >>> kind_of("image", np.zeros((4, 2))), kind_of("price", np.zeros(4))
        ('features', 'field')
        >>> kind_of("bbox", np.zeros((4, 4))), kind_of("image", np.zeros((4, 9, 9, 3), np.uint8))
        ('field', 'images')
    """
    if base in RESERVED and base not in modalities:
        return base
    if base.endswith("_present"):
        return "present"
    if base not in modalities:
        return "field"
    if values.ndim and values.dtype.kind in "USOT":
        return "images" if base == "image" or holds_images(values) else "texts"
    if base == "image" and values.ndim == 4 and values.dtype == np.uint8 and values.shape[3] == 3:
        return "images"
    return "features" if values.ndim == 2 and values.dtype.kind in NUMBERS else "field"


def holds_images(values: NDArray[Any]) -> bool:
    """Return whether an array of objects holds images that a reader has decoded or unpacked."""
    if values.dtype.kind != "O":
        return False
    return isinstance(next((v for v in values.flat if v is not None), None), np.ndarray | Path)


def modalities_in(
    arrays: Mapping[str, NDArray[Any]], source: str, warnings: WarningLog
) -> frozenset[str]:
    """Return the names that may be modalities of a file.

    These are the usual names; where a file has fewer than two of them, also those of its other
    matrices, except labels and the like.

    Args:
        arrays: key -> array.
        source: what to call the source.
        warnings: gets the unusual names that are taken as modalities beside a usual one.
    """
    bases: dict[str, list[NDArray[Any]]] = {}
    for key, values in arrays.items():
        bases.setdefault(canonical_key(key)[0], []).append(values)
    known = [b for b, v in bases.items() if kind_of(b, v[0]) in ("features", "texts", "images")]
    if len(known) > 1:
        return MODALITIES
    others = [
        base
        for base, several in bases.items()
        if base not in MODALITIES | RESERVED
        and base.casefold() not in NO_MODALITIES
        and not has_label_word(base)
        and not base.endswith("_present")
        and all(
            v.ndim == 2 and v.dtype.kind in NUMBERS and 1 not in v.shape and not is_one_hot(v)
            for v in several
        )
        and not _follows_label(several, bases.get("label", []), base, source, warnings)
    ]
    if not others:
        return MODALITIES
    if known:
        warnings.add(
            f"{source}: {', '.join(map(repr, others))} taken as"
            f" {'modalities' if len(others) > 1 else 'a modality'}, because {known[0]!r} is the"
            " only key of a usual name"
        )
    return MODALITIES | frozenset(others)


def is_one_hot(values: NDArray[Any]) -> bool:
    """Return whether a matrix has two values, and each row holds the higher one once.

    Example:
        >>> is_one_hot(np.eye(3)), is_one_hot(2 * np.eye(3) - 1), is_one_hot(np.ones((2, 2)))
        (True, True, False)
    """
    if values.ndim != 2 or 0 in values.shape:
        return False
    low, high = values.min(), values.max()
    marks = values == high
    return bool((marks | (values == low)).all() and (marks.sum(axis=1) == 1).all())


def _follows_label(
    parts: list[NDArray[Any]],
    labels: list[NDArray[Any]],
    base: str,
    source: str,
    warnings: WarningLog,
) -> bool:
    """Return whether each class has one row of its own: the label in another form.

    Args:
        parts: the matrices of one name, one for each split.
        labels: the labels of the same splits.
        base: the name, for the warning.
        source: what to call the source.
        warnings: gets a sentence where it is so.
    """
    if len(parts) != len(labels) or not parts:
        return False
    marks = [values.reshape(len(values), -1) for values in labels if values.ndim]
    if [len(values) for values in marks] != [len(values) for values in parts]:
        return False
    if len({values.shape[1] for values in parts}) > 1 or len({v.shape[1] for v in marks}) > 1:
        return False
    spelled = np.concatenate(marks).astype(str)
    if not one_to_one(parts[0], spelled[: len(parts[0])]):
        return False
    if len(parts) > 1 and not one_to_one(np.concatenate(parts), spelled):
        return False
    warnings.add(
        f"{source}: {base!r} is not used: it has one row for each class, the label in another"
        f" form; --modality NAME={base} makes it a modality"
    )
    return True

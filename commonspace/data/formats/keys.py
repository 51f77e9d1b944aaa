"""Keys of feature files: which array is a modality, the labels, ids or splits, and row counts.

A key becomes a modality only by one of these rules: its name is in ``MODALITIES``; it is an alias
of such a name (``img``, ``images``, ``train_imgs_deep``, ``I_tr``, ``XAll``); the file was written
by this package and lists it; the caller maps it; or fewer than two keys have such names, it is an
(n, d) array of numbers, its name is not one of ``NO_MODALITIES``, and it is no table of 0 and 1 with
one mark a row. Anything else is a field or is not used.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import as_strings, split_name
from commonspace.errors import DataError, SettingError

__all__ = [
    "LABEL_HINTS",
    "MODALITIES",
    "MODALITY_LIST",
    "NO_MODALITIES",
    "NUMBERS",
    "PROVENANCE",
    "RESERVED",
    "KeyRules",
    "Part",
    "canonical_key",
    "kind_of",
    "parts_of",
]

MODALITIES = frozenset(
    [
        "image",
        "text",
        "audio",
        "video",
        "sketch",
        "depth",
        "thermal",
        "music",
        "speech",
        "tags",
        "code",
        "recipe",
        "3d",
        "pointcloud",
        "point_cloud",
        "mesh",
    ]
)
"""Names that make a two-dimensional array of numbers a modality."""

LABEL_HINTS = frozenset(
    [
        "category",
        "categories",
        "class",
        "classes",
        "target",
        "targets",
        "y",
        "gt",
        "ground_truth",
        "onehot",
        "one_hot",
        "annotation",
        "annotations",
        "genre",
        "topic",
    ]
)
"""Names, in any case, that usually mean labels, but are not read as labels."""

NO_MODALITIES = LABEL_HINTS | frozenset(
    [
        "bbox",
        "bboxes",
        "box",
        "boxes",
        "mask",
        "masks",
        "index",
        "indices",
        "weight",
        "weights",
        "score",
        "scores",
        "mean",
        "std",
        "params",
        "label_onehot",
        "label_one_hot",
        "onehot_label",
        "one_hot_label",
    ]
)
"""Names, in any case, of arrays that are no modality unless the caller maps them."""

PROVENANCE = "commonspace_provenance"  # where features come from, as one string of JSON
MODALITY_LIST = "modalities"  # the names of all modalities, where a name is no usual one
NUMBERS = "biuf"  # the kinds of dtype that can be features
RESERVED = frozenset({"label", "class_names", "split", "id", "group", MODALITY_LIST, PROVENANCE})
_ALIASES = {
    "img": "image",
    "imgs": "image",
    "images": "image",
    "photo": "image",
    "photos": "image",
    "txt": "text",
    "txts": "text",
    "texts": "text",
    "videos": "video",
    "audios": "audio",
    "sketches": "sketch",
    "lab": "label",
    "labs": "label",
    "labels": "label",
    "ids": "id",
    "groups": "group",
    "splits": "split",
    "classes": "class_names",
    "label_names": "class_names",
    "IAll": "image",
    "XAll": "image",
    "TAll": "text",
    "YAll": "text",
    "LAll": "label",
}
_LETTERS = {"I": "image", "T": "text", "L": "label"}  # only beside a split, as in I_tr
_FEATURES = frozenset(
    [
        "feat",
        "feats",
        "feature",
        "features",
        "fea",
        "deep",
        "cnn",
        "vgg",
        "vgg19",
        "bow",
        "doc",
        "doc2vec",
    ]
)
_SPLIT_WORDS = "train|training|trn|tr|validation|valid|val|dev|test|tst|te"
_SUFFIX = re.compile(rf"(.+)_({_SPLIT_WORDS})")
_PREFIX = re.compile(rf"({_SPLIT_WORDS})_(.+)")
_INFIX = re.compile(rf"([ITL])_({_SPLIT_WORDS})_(\w+)")  # I_tr_CNN
_CAMEL = re.compile(r"(Img|Tag|Txt|Lab)(Train|Val|Test)")
_CAMEL_NAMES = {"Img": "image", "Tag": "text", "Txt": "text", "Lab": "label"}


@dataclass(frozen=True)
class KeyRules:
    """The caller's own mapping of keys, in place of the usual names.

    Args:
        modalities: modality -> key of the file. With it, no other key is a modality.
        label: the key of the labels; None for the usual names.
    """

    modalities: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None

    def rename(self, keys: Mapping[str, Any], source: str) -> dict[str, str]:
        """Return key -> the name it stands for, for the keys that the caller maps.

        Raises:
            SettingError: a mapped key is not in the file.
        """
        wanted = dict(self.modalities) | ({"label": self.label} if self.label else {})
        names: dict[str, str] = {}
        for name, key in wanted.items():
            matches = [k for k in keys if k == key or _split_of(k)[0] == key]
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
                split = _split_of(match)[1] if match != key else ""
                names[match] = f"{name}_{split}" if split else name
        return names


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
        >>> canonical_key("train_imgs_deep"), canonical_key("L_te"), canonical_key("bbox")
        (('image', 'train'), ('label', 'test'), ('bbox', ''))
    """
    if match := _CAMEL.fullmatch(key):
        return _CAMEL_NAMES[match[1]], split_name(match[2]) or ""
    if match := _INFIX.fullmatch(key):
        return _LETTERS[match[1]], split_name(match[2]) or ""
    base, split = _split_of(key)
    stem, present = base.removesuffix("_present"), "_present" * base.endswith("_present")
    if split and stem in _LETTERS:
        stem = _LETTERS[stem]
    return _canonical_base(stem) + present, split


def kind_of(base: str, values: NDArray[Any], modalities: frozenset[str] = MODALITIES) -> str:
    """Return what an array is: "features", "texts", "images", "present", "field", or reserved.

    Args:
        base: the first of :func:`canonical_key`.
        values: the array.
        modalities: names that may be modalities.

    Example:
        >>> kind_of("image", np.zeros((4, 2))), kind_of("price", np.zeros(4))
        ('features', 'field')
        >>> kind_of("bbox", np.zeros((4, 4)))
        'field'
    """
    if base in RESERVED and base not in modalities:
        return base
    if base.endswith("_present"):
        return "present"
    if base not in modalities:
        return "field"
    if values.ndim and values.dtype.kind in "USOT":
        return "images" if base == "image" else "texts"
    return "features" if values.ndim == 2 and values.dtype.kind in NUMBERS else "field"


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
    renamed = rules.rename(arrays, source)
    if rules.modalities:
        modalities = frozenset(rules.modalities)
    elif MODALITY_LIST in arrays:
        modalities = frozenset(as_strings(arrays[MODALITY_LIST].reshape(-1)).tolist())
    else:
        modalities = _modalities_in(arrays, source, warnings)
    sorted_keys: dict[str, dict[str, NDArray[Any]]] = {}
    keys: dict[tuple[str, str], str] = {}
    taken: dict[str, list[str]] = {}
    for key, values in arrays.items():
        base, split = canonical_key(renamed.get(key, key))
        if base in ("class_names", PROVENANCE, MODALITY_LIST):
            continue
        if key not in renamed and base in {canonical_key(name)[0] for name in renamed.values()}:
            base = key  # the caller maps another key to this name
        part = sorted_keys.setdefault(split, {})
        if base in part and not np.array_equal(part[base], values):
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
    whole = sorted_keys.get("", {})
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


def _modalities_in(
    arrays: Mapping[str, NDArray[Any]], source: str, warnings: WarningLog
) -> frozenset[str]:
    """Return the usual names; where a file has fewer than two, also those of its other matrices."""
    bases: dict[str, list[NDArray[Any]]] = {}
    for key, values in arrays.items():
        bases.setdefault(canonical_key(key)[0], []).append(values)
    known = [b for b, v in bases.items() if kind_of(b, v[0]) in ("features", "texts", "images")]
    others = [
        base
        for base, several in bases.items()
        if base not in MODALITIES | RESERVED
        and base.casefold() not in NO_MODALITIES | {"label", "labels"}
        and not base.endswith("_present")
        and all(
            v.ndim == 2 and v.dtype.kind in NUMBERS and 1 not in v.shape and not _is_one_hot(v)
            for v in several
        )
    ]
    if len(known) > 1 or not others:
        return MODALITIES
    if known:
        warnings.add(
            f"{source}: {', '.join(map(repr, others))} taken as"
            f" {'modalities' if len(others) > 1 else 'a modality'}, because {known[0]!r} is the"
            " only key of a usual name"
        )
    return MODALITIES | frozenset(others)


def _is_one_hot(values: NDArray[Any]) -> bool:
    marks = values == 1
    return bool((marks | (values == 0)).all() and (marks.sum(axis=1) == 1).all())


def _split_of(key: str) -> tuple[str, str]:
    """Return a key without its split, and the split."""
    if match := _SUFFIX.fullmatch(key):
        base, split = match.groups()
    elif match := _PREFIX.fullmatch(key):
        split, base = match.groups()
    else:
        return key, ""
    return base, split_name(split) or ""


def _canonical_base(stem: str) -> str:
    """Return the name that a key without split stands for: imgs_deep is image, img_lab label."""
    if stem in _ALIASES:
        return _ALIASES[stem]
    words = stem.split("_")
    names = [_ALIASES.get(word, word) for word in words]
    if len(words) == 2 and names[0] in MODALITIES and names[1] == "label":
        return "label"
    if len(words) > 1 and names[0] in MODALITIES and all(w in _FEATURES for w in words[1:]):
        return names[0]
    return stem


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
    accepted: dict[str, NDArray[Any]] = {}
    for base, values in arrays.items():
        kind = kinds[base]
        rows = values if kind in ("features", "texts", "images") else _flatten(values, count)
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
    why = "its name is no modality's: --modality NAME=KEY makes it one"
    if values.ndim != 2 or values.dtype.kind not in NUMBERS:
        why = "it is neither (samples, size) real numbers nor one value a sample"
    elif name.casefold() in LABEL_HINTS or _is_one_hot(values):
        why = f"it looks like labels: rename it 'label' if meant so, or give --label {name}"
    warnings.add(f"{source}: {name!r}, {values.dtype} of shape {values.shape}, is not used: {why}")


def _flatten(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return (n,) for the (n, 1) and (1, n) that MATLAB makes of a list; else as it is."""
    if values.ndim == 2 and values.shape in ((count, 1), (1, count)):
        return values.reshape(-1)
    return values

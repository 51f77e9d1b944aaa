"""Keys of feature files: which array is a modality, the labels, the ids or the splits.

A key becomes a modality only by one of these rules: its name is in ``MODALITIES``; it is an alias
of such a name (``img``, ``images``, ``train_imgs_deep``, ``I_tr``, ``XAll``); the file was written
by this package and lists it; the caller maps it; or fewer than two keys have such names, it is an
(n, d) array of numbers, its name is not one of ``NO_MODALITIES``, and it is no table of 0 and 1
with one mark a row. Anything else is a field or is not used.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from commonspace.data.reading import WarningLog
from commonspace.data.vocabulary import split_name
from commonspace.errors import SettingError

__all__ = [
    "LABEL_HINTS",
    "MODALITIES",
    "MODALITY_LIST",
    "NO_MODALITIES",
    "NUMBERS",
    "PROVENANCE",
    "RESERVED",
    "KeyRules",
    "canonical_key",
    "is_one_hot",
    "kind_of",
    "modalities_in",
    "split_key",
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
                split = split_key(match)[1] if match != key else ""
                names[match] = f"{name}_{split}" if split else name
        return names


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
    base, split = split_key(key)
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
        >>> import numpy as np
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
    others = [
        base
        for base, several in bases.items()
        if base not in MODALITIES | RESERVED
        and base.casefold() not in NO_MODALITIES | {"label", "labels"}
        and not base.endswith("_present")
        and all(
            v.ndim == 2 and v.dtype.kind in NUMBERS and 1 not in v.shape and not is_one_hot(v)
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


def is_one_hot(values: NDArray[Any]) -> bool:
    """Return whether each row of a matrix holds a single 1 among 0."""
    marks = values == 1
    return bool((marks | (values == 0)).all() and (marks.sum(axis=1) == 1).all())


def split_key(key: str) -> tuple[str, str]:
    """Return a key without its split, and the split, "" where it names none."""
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

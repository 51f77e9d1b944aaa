"""Names of keys in feature files: modalities, labels, ids, splits; names of published files."""

import re
from collections.abc import Iterable

from commonspace.data.vocabulary import split_name

__all__ = [
    "IMAGE_HINTS",
    "LABEL_HINTS",
    "MODALITIES",
    "MODALITY_LIST",
    "NO_MODALITIES",
    "PROVENANCE",
    "RESERVED",
    "SPLIT_HINTS",
    "TEXT_HINTS",
    "canonical_key",
    "has_label_word",
    "is_label_hint",
    "is_split_hint",
    "pair_names",
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
        "cls",
        "cat",
        "cats",
        "gnd",
        "kind",
        "species",
        "y_true",
    ]
)
"""Names, in any case, that usually mean labels, but are not read as labels."""

IMAGE_HINTS = frozenset(
    [
        "filename",
        "file",
        "image",
        "img",
        "path",
        "image_path",
        "filepath",
        "photo",
        "image_name",
        "img_path",
        "image_file",
        "jpg",
        "png",
    ]
)
"""Names, in any case, of columns that usually name image files."""

TEXT_HINTS = frozenset(
    [
        "text",
        "texts",
        "caption",
        "captions",
        "description",
        "sentence",
        "sentences",
        "title",
        "comment",
    ]
)
"""Names, in any case, of columns that usually hold texts."""

SPLIT_HINTS = frozenset(
    ["fold", "folds", "set", "subset", "partition", "phase", "usage", "splits", "data_split"]
)
"""Names, in any case, that usually mean splits, but are not read as splits."""

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
_LETTER_WORDS = ("i", "t")  # as in I_lab_tr
_PAIR = {"X": "image", "Y": "text"}  # only beside L and a split, as in XTrain, YTrain, LTrain
_FEATURE_WORD = re.compile(
    r"(feats?|features?|fea|emb|embs|embed|embeddings?|vecs?|vectors?|deep|cnn|fc|vgg|alexnet"
    r"|googlenet|inception|resnet|densenet|efficientnet|mobilenet|vit|swin|clip|siglip|dino|dinov"
    r"|bert|sbert|mpnet|glove|word2vec|w2v|doc|doc2vec|bow|tfidf|lda|sift|gist|hog|dims?)\d*d?"
)
_LABEL_WORDS = frozenset(
    ["label", "labels", "lab", "class", "classes", "category", "categories", "onehot", "target"]
)
_SPLIT_MARKS = frozenset(["is", "in", "idx", "index", "indices", "ind", "ids", "id", "mask"])
_SPLIT_WORDS = "train|training|trn|tr|validation|valid|val|dev|test|tst|te"
_SUFFIX = re.compile(rf"(.+)_({_SPLIT_WORDS})")
_PREFIX = re.compile(rf"({_SPLIT_WORDS})_(.+)")
_INFIX = re.compile(rf"([ITL])_({_SPLIT_WORDS})_(\w+)")  # I_tr_CNN
_CAMEL_SUFFIX = re.compile(
    r"(\w*?[A-Za-z0-9])_?(Train(?:ing)?|Trn|Tr|Valid(?:ation)?|Val|Dev|Test|Tst|Te)"
)
_CAMEL_PREFIX = re.compile(rf"({_SPLIT_WORDS})([A-Z]\w*)")
_CAMEL_NAMES = {"Img": "image", "Tag": "text", "Txt": "text", "Lab": "label"}


def canonical_key(key: str) -> tuple[str, str]:
    """Return the base of a key and its split, "" where it names none.

    Example:
        >>> canonical_key("img_train"), canonical_key("val_img_lab"), canonical_key("text")
        (('image', 'train'), ('label', 'validation'), ('text', ''))
        >>> canonical_key("train_imgs_deep"), canonical_key("L_te"), canonical_key("bbox")
        (('image', 'train'), ('label', 'test'), ('bbox', ''))
    """
    if match := _INFIX.fullmatch(key):
        name = "label" if _ALIASES.get(match[3].casefold()) == "label" else _LETTERS[match[1]]
        return name, split_name(match[2]) or ""
    base, split = split_key(key)
    stem, present = base.removesuffix("_present"), "_present" * base.endswith("_present")
    if split and stem in _LETTERS:
        stem = _LETTERS[stem]
    elif split and stem in _CAMEL_NAMES:
        stem = _CAMEL_NAMES[stem]
    elif split and _ALIASES.get(stem.casefold(), stem.casefold()) == "label":
        stem = "label"
    return _canonical_base(stem) + present, split


def pair_names(keys: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return X_tr -> image and train, Y_tr -> text and train, where there are labels L_tr, else {}.

    Without L, Y is likely the labels of X.

    Example:
        >>> pair_names(["XTrain", "YTrain", "LTrain"])
        {'XTrain': ('image', 'train'), 'YTrain': ('text', 'train')}
        >>> pair_names(["X_train", "Y_train"])
        {}
    """
    bases = {key: canonical_key(key) for key in keys}
    found = {base for base, split in bases.values() if split}
    if not {"X", "Y", "label"} <= found or {"image", "text"} & found:
        return {}
    return {key: (_PAIR[base], split) for key, (base, split) in bases.items() if base in _PAIR}


def is_label_hint(name: str) -> bool:
    """Return whether a key is likely meant as labels: y, Category, fine_labels, class_id.

    Example:
        >>> [is_label_hint(name) for name in ("y", "Category", "fineLabels", "class_id", "price")]
        [True, True, True, True, False]
    """
    return name.casefold() in LABEL_HINTS or has_label_word(name)


def has_label_word(name: str) -> bool:
    """Return whether one of the words of a key means labels, as in label_embedding."""
    return bool(_LABEL_WORDS & set(_words(name)))


def is_split_hint(name: str) -> bool:
    """Return whether a key is likely meant as splits: fold, is_train, test_idx.

    Example:
        >>> [is_split_hint(name) for name in ("Fold", "is_train", "test_idx", "trainMask", "price")]
        [True, True, True, True, False]
    """
    words = _words(name)
    return name.casefold() in SPLIT_HINTS or (
        len(words) == 2
        and any(split_name(word) for word in words)
        and bool(_SPLIT_MARKS & set(words))
    )


def split_key(key: str) -> tuple[str, str]:
    """Return a key without its split, and the split, "" where it names none.

    Capitals divide a key only where the rest is a usual name: testImage, XTr, but not myTest.

    Example:
        >>> split_key("val_img"), split_key("testImage"), split_key("LTr"), split_key("myTest")
        (('img', 'validation'), ('Image', 'test'), ('L', 'train'), ('myTest', ''))
    """
    if match := _SUFFIX.fullmatch(key):
        base, split = match.groups()
    elif match := _PREFIX.fullmatch(key):
        split, base = match.groups()
    elif (match := _CAMEL_SUFFIX.fullmatch(key)) and _is_usual(match[1]):
        base, split = match.groups()
    elif (match := _CAMEL_PREFIX.fullmatch(key)) and _is_usual(match[2]):
        split, base = match.groups()
    else:
        return key, ""
    return base, split_name(split) or ""


def _is_usual(base: str) -> bool:
    name = _canonical_base(base)
    known = base in _LETTERS or base in _PAIR or base in _CAMEL_NAMES or is_label_hint(base)
    return known or name in MODALITIES | RESERVED


def _words(name: str) -> list[str]:
    """Return the words of a key in small letters: fine_labels and fineLabels are two."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[\W_]+", spaced.casefold()) if word]


def _canonical_base(stem: str) -> str:
    """Return the name that a key without split stands for: imgs_deep is image, img_lab label."""
    if stem in _ALIASES:
        return _ALIASES[stem]
    folded = _ALIASES.get(stem.casefold(), stem.casefold())
    if folded in MODALITIES or folded in ("id", "split", "group"):
        return folded
    words = stem.casefold().split("_")
    names = [_ALIASES.get(word, word) for word in words]
    if (
        len(words) == 2
        and names[1] == "label"
        and (names[0] in MODALITIES or words[0] in _LETTER_WORDS)
    ):
        return "label"
    if len(words) > 1 and names[0] in MODALITIES and all(map(_FEATURE_WORD.fullmatch, words[1:])):
        return names[0]
    return stem

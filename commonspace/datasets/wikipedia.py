"""The Wikipedia featured articles in their published layout (Rasiwasia et al., 2010).

``trainset_txt_img_cat.list`` and ``testset_txt_img_cat.list`` have one line for each pair (text id,
image id, class from 1), ``categories.list`` the names of the classes. Raw: ``images/<class>/<image
id>.jpg`` and ``texts/<text id>.xml``. Features: ``raw_features.mat`` with I_tr and I_te (128-d SIFT
words), T_tr and T_te (10-d LDA topics), one row for each line. Texts are read here; image files
are located, not opened.
"""

import re
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.assemble import Table
from commonspace.data.columns import Images, Texts
from commonspace.data.formats.arrays import table_from_arrays
from commonspace.data.formats.mat import read_mat
from commonspace.data.formats.mat_folder import is_mat_folder, read_mat_folder
from commonspace.data.labels import decode_labels
from commonspace.data.reading import WarningLog, reading
from commonspace.datasets.benchmark import Paths, files_by_stem, need_file, report_missing
from commonspace.errors import DataError, FileFormatError

__all__ = [
    "FEATURES_NAME",
    "has_wikipedia_keys",
    "is_wikipedia_file",
    "is_wikipedia_folder",
    "read_article_text",
    "read_wikipedia",
    "read_wikipedia_pairs",
]

FEATURES_NAME = "raw_features.mat"
_KEYS = {"image_train": "I_tr", "text_train": "T_tr", "image_test": "I_te", "text_test": "T_te"}
_CATEGORIES = "categories.list"
_WHERE = "unpack the authors' wikipedia_dataset (Rasiwasia et al., 2010) there"
_TEXT = re.compile(r"<text\b[^>]*?(?<!/)>(.*?)</text\s*>", re.DOTALL | re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_MARKUP = re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>", re.DOTALL)
_ENCODING = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)[\"']")


def is_wikipedia_folder(folder: Path) -> bool:
    """Return whether a folder holds the features and at least one of the lists."""
    lists = [folder / _list_name(split) for split in ("train", "test")]
    return (folder / FEATURES_NAME).is_file() and any(file.is_file() for file in lists)


def has_wikipedia_keys(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether the variables of a .mat file are those of this layout."""
    return all(key in arrays for key in _KEYS.values())


def is_wikipedia_file(file: Path, arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether features of these keys get their labels from lists beside the file.

    Another file of the same keys has the labels in it, under any name.
    """
    lists = [file.parent / _list_name(split) for split in ("train", "test")]
    return set(arrays) == set(_KEYS.values()) or any(path.is_file() for path in lists)


def read_wikipedia(path: Path, warnings: WarningLog) -> Table:
    """Read the features with the ids and classes of the lists beside them.

    Args:
        path: the folder, or the .mat file in it.
        warnings: raises or records a missing list, or one of another length.

    Returns:
        A table with "image" and "text"; the sample id is the text id; both ids are fields.

    Raises:
        DataError: a list is missing, or its lines do not match the features.
        FileFormatError: a file or a line is damaged.
    """
    file = path / FEATURES_NAME if path.is_dir() else path
    variables = read_mat(file)
    if not has_wikipedia_keys(variables):
        raise FileFormatError(
            f"{file} lacks variables of the Wikipedia features",
            expected=", ".join(_KEYS.values()),
            found=", ".join(variables) or "no variable",
            advice="use the published raw_features.mat",
        )
    arrays = {key: variables[name] for key, name in _KEYS.items()}
    for split in ("train", "test"):
        try:
            arrays |= _read_list(file.parent / _list_name(split), split)
        except DataError as error:
            warnings.report(error, instead=f"the rows of {split} have no label")
    names = _class_names(file.parent, warnings)
    if names is not None:
        arrays["class_names"] = np.array(names, dtype=str)
    lists = {"label": "the class in ", "text_id": "the text id in ", "image_id": "the image id in "}
    return table_from_arrays(
        arrays,
        source=str(path),
        warnings=warnings,
        key_name=lambda base, split: f"{lists.get(base, base)}{_list_name(split)}",
    )


def read_wikipedia_pairs(folder: Path, warnings: WarningLog, seed: int) -> Table:
    """Read the folder for the benchmark: raw files where they exist, else features.

    Args:
        folder: holds images/ and texts/ with the two lists; or raw_features.mat with the lists; or
            {train,val,test}_{img,txt,img_lab}.mat.
        warnings: raises or records files that are missing or damaged.
        seed: not used: the publisher gives the pairs and the two lists.

    Raises:
        DataError: none of these exists, or a list, an image or a text is missing.
        FileFormatError: a line, a text or a feature file is damaged.
    """
    if (folder / "images").is_dir() or (folder / "texts").is_dir():
        return _read_raw(folder, warnings)
    if (folder / FEATURES_NAME).is_file():
        return read_wikipedia(folder, warnings)
    if is_mat_folder(folder):
        return read_mat_folder(folder, warnings)
    raise DataError(
        f"{folder} does not hold the Wikipedia benchmark",
        expected=f"images/ and texts/ with {_list_name('train')} and {_list_name('test')}; or"
        f" {FEATURES_NAME} with these lists; or {{train,test}}_{{img,txt,img_lab}}.mat",
        found="none of them",
        advice=_WHERE,
    )


def read_article_text(path: Path) -> str:
    """Return what the <text> elements of an article's XML file say, white space squeezed.

    The file need not be well-formed: HTML entities such as &nbsp; and bare ampersands, which an XML
    parser refuses, are understood; comments and nested tags are dropped; several <text> elements
    are joined by a space.

    Raises:
        DataError: there is no such file.
        FileFormatError: no <text> element, nothing in it, or bytes that are not in the encoding
            that the file declares (UTF-8 where it declares none).
    """
    with reading(path, "an XML file with a <text> element"):
        content = path.read_bytes()
        declared = _ENCODING.search(content[:200])
        xml = content.decode(declared[1].decode() if declared else "utf-8-sig")
    text = " ".join(" ".join(_plain(found) for found in _TEXT.findall(xml)).split())
    if not text:
        raise FileFormatError(
            f"{path} holds no text",
            expected="a <text> element with words in it",
            found="an empty one" if "<text" in xml else "no <text> element",
            advice="copy the file again, or drop its line from the list",
        )
    return text


def _plain(inner: str) -> str:
    """Return the characters of a <text> element; CDATA is taken as it is."""
    pieces = _CDATA.split(inner)  # outside, inside, outside, …
    return "".join(
        piece if number % 2 else unescape(_MARKUP.sub(" ", piece))
        for number, piece in enumerate(pieces)
    )


def _read_raw(folder: Path, warnings: WarningLog) -> Table:
    lists: dict[str, NDArray[Any]] = {}
    for split in ("train", "test"):
        file = folder / _list_name(split)
        try:
            need_file(file, "lines of text id, image id and class", advice=_WHERE)
            lists |= _read_list(file, split)
        except DataError as error:
            warnings.report(error, instead=f"{split} has no pairs")
    splits = [split for split in ("train", "test") if len(lists.get(f"label_{split}", ()))]
    if not splits:
        raise DataError(
            f"{folder} has no pairs",
            expected=f"{_list_name('train')} and {_list_name('test')}, a line for each pair",
            found="neither of them, or empty ones",
            advice=_WHERE,
        )
    text_ids, image_ids, numbers = (
        np.concatenate([lists[f"{what}_{split}"] for split in splits])
        for what in ("text_id", "image_id", "label")
    )
    names = _class_names(folder, warnings)
    labels, class_names = decode_labels(
        numbers.astype(np.int64), names, f"the class in the lists of {folder}"
    )
    classes = [class_names[k] for k in labels.argmax(axis=1)]
    images = _images(folder / "images", image_ids.tolist(), classes, warnings)
    return Table(
        source=str(folder),
        ids=text_ids.tolist(),
        columns={
            "image": Images(images),
            "text": Texts(_texts(folder / "texts", text_ids.tolist(), warnings)),
        },
        labels=labels,
        class_names=class_names,
        splits=[split for split in splits for _ in range(len(lists[f"label_{split}"]))],
        fields={"text_id": text_ids.tolist(), "image_id": image_ids.tolist()},
        declared=frozenset(("train", "test")),
        provenance={"files": "images/ and texts/"},
    )


def _images(
    folder: Path, image_ids: Sequence[str], classes: Sequence[str], warnings: WarningLog
) -> Paths:
    """Find each image by its id; where several folders have it, in the folder of its class."""
    by_id = files_by_stem(folder)
    images: Paths = []
    for image_id, name in zip(image_ids, classes, strict=True):
        found = by_id.get(image_id, [])
        images.append(next((file for file in found if file.parent.name == name), None))
        if images[-1] is None and found:
            images[-1] = found[0]
    wanted = [f"{name}/{image_id}.jpg" for image_id, name in zip(image_ids, classes, strict=True)]
    report_missing(
        str(folder), "image", wanted, images, advice=f"{_WHERE}, images/ with it", warnings=warnings
    )
    return images


def _texts(folder: Path, text_ids: Sequence[str], warnings: WarningLog) -> list[tuple[str, ...]]:
    files = [folder / f"{text_id}.xml" for text_id in text_ids]
    there = [file if file.is_file() else None for file in files]
    wanted = [file.name for file in files]
    report_missing(
        str(folder), "text", wanted, there, advice=f"{_WHERE}, texts/ with it", warnings=warnings
    )
    texts: list[tuple[str, ...]] = []
    for file in there:
        try:
            texts.append((read_article_text(file),) if file else ())
        except DataError as error:
            warnings.report(error, instead="this sample has no text")
            texts.append(())
    return texts


def _class_names(folder: Path, warnings: WarningLog) -> list[str] | None:
    categories = folder / _CATEGORIES
    if not categories.is_file():
        warnings.add(f"{categories} is missing: the classes are named by their numbers, from 0")
        return None
    with reading(categories, "a list of class names in UTF-8"):
        return categories.read_text(encoding="utf-8").split()


def _list_name(split: str) -> str:
    return f"{split}set_txt_img_cat.list"


def _read_list(file: Path, split: str) -> dict[str, NDArray[Any]]:
    with reading(file, "lines of text id, image id and class"):
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    for number, line in enumerate(lines, start=1):
        if len(line) != 3 or not line[2].isdecimal() or int(line[2]) < 1:
            raise FileFormatError(
                f"{file}, line {number}, cannot be read",
                expected="text id, image id and class (from 1), separated by white space",
                found=" ".join(line)[:80] or "an empty line",
                advice="correct this line, or copy the file again",
            )
    return {
        f"text_id_{split}": np.array([line[0] for line in lines], dtype=str),
        f"image_id_{split}": np.array([line[1] for line in lines], dtype=str),
        f"label_{split}": np.array([int(line[2]) - 1 for line in lines], dtype=np.int64),
    }

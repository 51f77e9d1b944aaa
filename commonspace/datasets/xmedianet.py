"""PKU XMediaNet, images and texts, in its published layout (Peng, Huang, Zhao, 2018).

``img_train_list.txt`` and ``txt_train_list.txt`` have one line for each item: its path and its
class, numbered from 1; line i of one and line i of the other are a pair. The same for test, and for
val where the test lists have been divided. Raw: the files that the lists name. Features:
``img_train_fea.txt`` and ``txt_train_fea.txt``, a row of numbers for each line; or
{train,val,test}_{img,txt,img_lab}.mat. Texts are read here; image files are
located, not opened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.assemble import Table
from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.formats.mat_folder import is_mat_folder, read_mat_folder
from commonspace.data.labels import decode_labels
from commonspace.data.reading import WarningLog, reading
from commonspace.datasets.benchmark import Paths, need_file, report_missing
from commonspace.errors import DataError, FileFormatError

__all__ = ["read_xmedianet"]

_SPLITS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
_SHORT = {"image": "img", "text": "txt"}
_FOLDERS = {"image": ("", "image", "images", "img"), "text": ("", "text", "texts", "txt")}
_WHERE = "request XMediaNet from the authors (Peking University, MIPL), and unpack it there"


@dataclass(frozen=True)
class _Lists:
    """The lines of all splits, in order: n paths of images, n of texts, n classes from 0."""

    splits: dict[str, tuple[str, int]]  # split -> its spelling in file names, number of lines
    paths: dict[str, list[str]]
    numbers: NDArray[np.int64]


def read_xmedianet(folder: Path, warnings: WarningLog, seed: int) -> Table:
    """Read the folder for the benchmark: raw files where they exist, else features.

    Args:
        folder: holds the lists, with the files that they name or the files of features; or
            {train,val,test}_{img,txt,img_lab}.mat.
        warnings: raises or records files that are missing or damaged.
        seed: not used: the publisher gives the pairs and the lists.

    Returns:
        A table with "image" and "text", split as the lists are; the sample id is the image's path.

    Raises:
        DataError: the lists are missing or contradict each other; a file is missing.
        FileFormatError: a line or a file is damaged.
    """
    if not (folder / "img_train_list.txt").is_file() and is_mat_folder(folder):
        return read_mat_folder(folder, warnings)
    lists = _read_lists(folder)
    source = f"the class in the lists of {folder}"
    labels, class_names = decode_labels(lists.numbers, None, source)
    images = [_find(folder, "image", path) for path in lists.paths["image"]]
    columns: dict[str, Column]
    if not any(images) and _feature_file(folder, "image", "train").is_file():
        columns = {name: _features(folder, name, lists) for name in _SHORT}
        files = "features"
    else:
        columns = {
            "image": _images(folder, lists.paths["image"], images, warnings),
            "text": _texts(folder, lists.paths["text"], warnings),
        }
        files = "images and texts"
    return Table(
        source=str(folder),
        ids=_unique(lists.paths["image"]),
        columns=columns,
        labels=labels,
        class_names=class_names,
        splits=[split for split, (_, count) in lists.splits.items() for _ in range(count)],
        fields={f"{name}_file": paths for name, paths in lists.paths.items()},
        declared=frozenset(lists.splits),
        provenance={"files": files},
    )


def _read_lists(folder: Path) -> _Lists:
    splits: dict[str, tuple[str, int]] = {}
    paths: dict[str, list[str]] = {name: [] for name in _SHORT}
    numbers: list[int] = []
    for split, spellings in _SPLITS.items():
        spelled = next((s for s in spellings if _list_file(folder, "image", s).is_file()), None)
        if spelled is None and split == "validation":
            continue
        spelled = spelled or split
        found = {name: _read_list(_list_file(folder, name, spelled)) for name in _SHORT}
        _check_pairs(folder, spelled, found)
        for name, lines in found.items():
            paths[name] += [path for path, _ in lines]
        numbers += [number for _, number in found["image"]]
        splits[split] = (spelled, len(found["image"]))
    return _Lists(splits, paths, np.array(numbers, dtype=np.int64))


def _list_file(folder: Path, modality: str, spelled: str) -> Path:
    return folder / f"{_SHORT[modality]}_{spelled}_list.txt"


def _feature_file(folder: Path, modality: str, spelled: str) -> Path:
    return folder / f"{_SHORT[modality]}_{spelled}_fea.txt"


def _read_list(file: Path) -> list[tuple[str, int]]:
    need_file(file, "paths and classes, one list each for images and texts", advice=_WHERE)
    with reading(file, "lines of path and class"):
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        path, _, label = line.strip().replace("\t", " ").rpartition(" ")
        if not line.strip():
            continue
        if not path.strip() or not label.isdecimal() or int(label) < 1:
            raise FileFormatError(
                f"{file}, line {number}, cannot be read",
                expected="a path and a class (from 1), separated by white space",
                found=line.strip()[:80],
                advice="correct this line, or copy the file again",
            )
        found.append((path.strip().replace("\\", "/"), int(label) - 1))
    return found


def _check_pairs(folder: Path, spelled: str, found: dict[str, list[tuple[str, int]]]) -> None:
    images, texts = found["image"], found["text"]
    if len(images) != len(texts):
        raise DataError(
            f"the lists of {spelled} in {folder} do not match",
            expected=f"{len(images)} lines in {_list_file(folder, 'text', spelled).name}, as many"
            f" as in {_list_file(folder, 'image', spelled).name}",
            found=f"{len(texts)}",
            advice="copy both lists again: line i of each is pair i",
        )
    for number, (image, text) in enumerate(zip(images, texts, strict=True), start=1):
        if image[1] != text[1]:
            raise DataError(
                f"the lists of {spelled} in {folder} are not in one order",
                expected="one class for line i of images and line i of texts, which are a pair",
                found=f"class {image[1] + 1} and class {text[1] + 1} in line {number}",
                advice="copy both lists again",
            )


def _find(folder: Path, modality: str, path: str) -> Path | None:
    relative = PurePosixPath(path)
    candidates = (folder / base / relative for base in _FOLDERS[modality])
    return next((file for file in candidates if file.is_file()), None)


def _images(folder: Path, paths: Sequence[str], found: Paths, warnings: WarningLog) -> Images:
    report_missing(str(folder), "image", paths, found, advice=_WHERE, warnings=warnings)
    return Images(found)


def _texts(folder: Path, paths: Sequence[str], warnings: WarningLog) -> Texts:
    files = [_find(folder, "text", path) for path in paths]
    report_missing(str(folder), "text", paths, files, advice=_WHERE, warnings=warnings)
    texts: list[tuple[str, ...]] = []
    for file in files:
        text = ""
        if file is not None:
            try:
                text = _text(file)
            except DataError as error:
                warnings.report(error, instead="this sample has no text")
        texts.append((text,) if text else ())
    return Texts(texts)


def _text(file: Path) -> str:
    with reading(file, "a text in UTF-8"):
        text = " ".join(file.read_text(encoding="utf-8-sig").split())
    if not text:
        raise FileFormatError(
            f"{file} is empty",
            expected="a paragraph of text",
            found="nothing but white space",
            advice="copy the file again, or drop its line from both lists",
        )
    return text


def _features(folder: Path, modality: str, lists: _Lists) -> Features:
    """Read the rows of all splits; each file must have a row for each line of its list."""
    parts: list[NDArray[Any]] = []
    for spelled, count in lists.splits.values():
        file = _feature_file(folder, modality, spelled)
        with reading(file, "rows of numbers, separated by white space"):
            rows = np.loadtxt(file, dtype=np.float32, ndmin=2)
        if len(rows) != count or (parts and rows.shape[1] != parts[0].shape[1]):
            size = parts[0].shape[1] if parts else rows.shape[1]
            raise DataError(
                f"{file} does not match its list",
                expected=f"({count}, {size}) numbers, a row for each line of"
                f" {_list_file(folder, modality, spelled).name}",
                found=f"{rows.shape}",
                advice="copy both files again",
            )
        parts.append(rows)
    return Features(np.concatenate(parts))


def _unique(paths: Sequence[str]) -> list[str]:
    """Number an image that is in several pairs: "a.jpg", "a.jpg#2"."""
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        seen[path] = seen.get(path, 0) + 1
        names.append(path if seen[path] == 1 else f"{path}#{seen[path]}")
    return names

"""Folders of images with one folder for each class: class/image.jpg or train/class/image.jpg.

A text file of the same name beside an image (image.txt) holds its texts, one a line.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from commonspace.data.assemble import Table
from commonspace.data.columns import Column, Images, Texts
from commonspace.data.images import IMAGE_SUFFIXES
from commonspace.data.labels import labels_from_names
from commonspace.data.photo_folder import PhotoFolder
from commonspace.data.reading import WarningLog, reading
from commonspace.data.vocabulary import decode_bytes, split_name
from commonspace.errors import FileFormatError

__all__ = ["is_class_folder", "read_class_folder"]

_SPLIT = re.compile(r"(train|val|valid|dev|test)([\d_-]|$)", re.IGNORECASE)  # train2017


def is_class_folder(folder: Path) -> bool:
    """Return whether at least two folders inside, or inside the folders of splits, hold images."""
    try:
        classes = [sub for _, sub in _classes(folder) if _has_image(sub)]
    except OSError:  # a folder that may not be read, or that is gone meanwhile
        return False
    if any(any(sub.glob("[Mm]etadata.*")) for sub in classes):
        return False
    return len(classes) > 1 and not all(_SPLIT.match(sub.name) for sub in classes)


def read_class_folder(folder: Path, warnings: WarningLog) -> Table:
    """Read all images; the name of the folder is the label.

    Args:
        folder: holds a folder for each class, or those of the splits with the classes inside.
        warnings: gets class folders without images, and images in no class folder; raises or
            records texts that cannot be read.

    Raises:
        FileFormatError: a text file is not UTF-8.
    """
    images: list[Path] = []
    labels: list[str] = []
    splits: list[str] = []
    for split, sub in _classes(folder):
        files = sorted(_images_in(sub))
        if not files:
            warnings.add(f"{sub} holds no image: it is no class")
        images += files
        labels += [sub.name] * len(files)
        splits += [split] * len(files)
    _warn_of_others(folder, images, warnings)
    inside = PhotoFolder(folder)
    texts = Texts([_texts_beside(image, inside, warnings) for image in images])
    columns: dict[str, Column] = {"image": Images(images)}
    if texts.present.any():
        columns["text"] = texts
    marks, names = labels_from_names(labels, None, f"the label of {folder}", warnings)
    keys = {"image": "image files", "label": "folder names"}
    return Table(
        source=str(folder),
        ids=[image.relative_to(folder).as_posix() for image in images],
        columns=columns,
        labels=marks,
        class_names=names,
        splits=splits if any(splits) else None,
        keys=keys | ({"text": "text files"} if "text" in columns else {}),
    )


def _classes(folder: Path) -> list[tuple[str, Path]]:
    """Return (split, folder of a class); the split is "" where the folders inside are classes.

    Folders of splits hold the classes where one is "train", or all that hold images are splits.
    """
    inside = _folders_in(folder)
    splits = [sub for sub in inside if split_name(sub.name)]
    named = {split_name(sub.name) for sub in splits}
    if splits and any(map(_folders_in, splits)):
        others = [sub for sub in inside if sub not in splits]
        if ("train" in named and len(named) > 1) or not any(map(_has_image, others)):
            return [(sub.name, leaf) for sub in splits for leaf in _folders_in(sub)]
    return [("", sub) for sub in inside]


def _warn_of_others(folder: Path, images: list[Path], warnings: WarningLog) -> None:
    """Count the image files of a folder that are in no class folder."""
    used = set(images)
    others = sorted(path for path in _images_in(folder) if path not in used)
    if others:
        verb = "are" if len(others) > 1 else "is"
        warnings.add(
            f"{len(others)} image file{'s' * (len(others) > 1)} of {folder} {verb} in no class"
            f" folder and not used, for example {others[0].relative_to(folder)}"
        )


def _folders_in(folder: Path) -> list[Path]:
    return sorted(
        sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith((".", "__"))
    )


def _has_image(folder: Path) -> bool:
    return next(_images_in(folder), None) is not None


def _images_in(folder: Path) -> Iterator[Path]:
    return (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def _texts_beside(image: Path, inside: PhotoFolder, warnings: WarningLog) -> tuple[str, ...]:
    file = image.with_suffix(".txt")
    if not file.is_file() or file not in inside:
        return ()
    try:
        with reading(file, "a text file in UTF-8"):
            lines = decode_bytes(file.read_bytes(), file).splitlines()
    except FileFormatError as error:
        warnings.report(error, instead="this sample has no text")
        return ()
    return tuple(line.strip() for line in lines if line.strip())

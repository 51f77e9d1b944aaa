"""Folders of images with one folder for each class: class/image.jpg or train/class/image.jpg.

A text file of the same name beside an image (image.txt) holds its texts, one a line.
"""

from pathlib import Path

from commonspace.data.assemble import Table
from commonspace.data.columns import Column, Images, Texts
from commonspace.data.images import IMAGE_SUFFIXES
from commonspace.data.labels import labels_from_names
from commonspace.data.photo_folder import PhotoFolder
from commonspace.data.reading import WarningLog, reading
from commonspace.data.vocabulary import decode_bytes, split_name

__all__ = ["is_class_folder", "read_class_folder"]


def is_class_folder(folder: Path) -> bool:
    """Return whether every folder inside holds images, or is a split of such folders."""
    classes = [sub for _, sub in _classes(folder)]
    return len(classes) > 1 and all(any(_images_in(sub)) for sub in classes)


def read_class_folder(folder: Path, warnings: WarningLog) -> Table:
    """Read all images; the name of the folder is the label.

    Args:
        folder: holds a folder for each class, or those of the splits with the classes inside.
        warnings: gets class folders without images.

    Raises:
        FileFormatError: a text file is not UTF-8.
    """
    images: list[Path] = []
    labels: list[str] = []
    splits: list[str] = []
    for split, sub in _classes(folder):
        files = _images_in(sub)
        if not files:
            warnings.add(f"{sub} holds no image: it is no class")
        images += files
        labels += [sub.name] * len(files)
        splits += [split] * len(files)
    inside = PhotoFolder(folder)
    texts = Texts([_texts_beside(image, inside) for image in images])
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
    """Return (split, folder of a class); the split is "" where the folders inside are classes."""
    inside = _folders_in(folder)
    if inside and all(split_name(sub.name) for sub in inside):
        return [(sub.name, leaf) for sub in inside for leaf in _folders_in(sub)]
    return [("", sub) for sub in inside]


def _folders_in(folder: Path) -> list[Path]:
    return sorted(
        sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith((".", "__"))
    )


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    )


def _texts_beside(image: Path, inside: PhotoFolder) -> tuple[str, ...]:
    file = image.with_suffix(".txt")
    if not file.is_file() or file not in inside:
        return ()
    with reading(file, "a text file in UTF-8"):
        lines = decode_bytes(file.read_bytes(), file).splitlines()
    return tuple(line.strip() for line in lines if line.strip())

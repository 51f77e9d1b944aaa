r"""NUS-WIDE-10k, drawn from NUS-WIDE in its published layout (Chua et al., 2009).

``ImageList/Imagelist.txt`` names the images, a line each (``actor\\\\0001_2124494179.jpg``);
``Groundtruth/AllLabels/Labels_<concept>.txt`` has 0 or 1 for each of these lines;
``NUS_WID_Tags/All_Tags.txt`` the id of each image (the number after the underscore) and its tags,
or ``AllTags1k.txt`` a row of 0 and 1 for each line, with ``TagList1k.txt``. The images lie in
``Flickr/`` under the names of the list. The subset: ten classes, 1000 images of each that carry no
other of the ten. Image files are located, not opened. Features:
{train,val,test}_{img,txt,img_lab}.mat.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commonspace.data.assemble import Table
from commonspace.data.columns import Images, Texts
from commonspace.data.formats.mat_folder import is_mat_folder, read_mat_folder
from commonspace.data.reading import WarningLog, reading
from commonspace.datasets.benchmark import Paths, need_file, report_missing
from commonspace.errors import DataError, FileFormatError

__all__ = ["CLASSES", "PER_CLASS", "read_nuswide"]

CLASSES = (
    "animal", "clouds", "flowers", "food", "grass", "person", "sky", "toy", "water", "window",
)  # fmt: skip
PER_CLASS = 1000

_COUNT = 10
_LIST = Path("ImageList", "Imagelist.txt")
_TRUTH = Path("Groundtruth", "AllLabels")
_TAGS = Path("NUS_WID_Tags", "All_Tags.txt")
_TAGS_1K = Path("NUS_WID_Tags", "AllTags1k.txt")
_TAG_NAMES = Path("NUS_WID_Tags", "TagList1k.txt")
_IMAGES = ("Flickr", "images", "Images")
_WHERE = "unpack ImageList, Groundtruth and NUS_WID_Tags of the authors' NUS-WIDE page there"
_ZERO, _ONE = b"01"


def read_nuswide(folder: Path, warnings: WarningLog, seed: int) -> Table:
    """Read the folder for the benchmark: the published lists where they exist, else features.

    The ten classes are ``CLASSES``, those of the subset that papers use, where the ground truth has
    them all; else the ten with the most images. An image is a candidate if it carries exactly one
    of the ten (others of the 81 concepts do not count) and has a tag. Of the candidates of each
    class ``PER_CLASS`` are drawn, whether or not their files exist: the same seed gives the same
    pairs on every machine.

    Args:
        folder: holds ImageList/, Groundtruth/, NUS_WID_Tags/ and Flickr/; or
            {train,val,test}_{img,txt,img_lab}.mat.
        warnings: raises or records images that are missing; gets a sentence for each small class.
        seed: seed of the draw of images.

    Returns:
        A table without splits; the text of a sample is its tags, separated by spaces.

    Raises:
        DataError: a list is missing or does not match the others, or an image is missing.
        FileFormatError: a file is damaged.
    """
    if not (folder / _LIST).is_file() and is_mat_folder(folder):
        return read_mat_folder(folder, warnings)
    need_file(
        folder / _LIST,
        "ImageList/, Groundtruth/, NUS_WID_Tags/ and Flickr/;"
        " or {train,val,test}_{img,txt,img_lab}.mat",
        advice=_WHERE,
    )
    names = _image_names(folder)
    concepts, marks = _ground_truth(folder, len(names))
    chosen, how = _ten(concepts, marks)
    classes = tuple(concepts[k] for k in chosen)
    tags = _tags(folder, names)
    tagged = np.fromiter((bool(text) for text in tags), dtype=bool, count=len(tags))
    candidates = (marks[chosen].sum(axis=0) == 1) & tagged
    rows = _drawn(marks[chosen] & candidates, seed)
    for name, count in zip(classes, (marks[chosen] & candidates).sum(axis=1), strict=True):
        if count < PER_CLASS:
            warnings.add(f"{folder}: the class {name!r} has {count} images, not {PER_CLASS}")
    return Table(
        source=str(folder),
        ids=[names[row] for row in rows],
        columns={
            "image": Images(_images(folder, [names[row] for row in rows], warnings)),
            "text": Texts([(tags[row],) for row in rows]),
        },
        labels=np.ascontiguousarray(marks[chosen][:, rows].T),
        class_names=classes,
        provenance={
            "files": "lists, tags and images",
            "classes": how,
            "pairs": f"at most {PER_CLASS} a class that carry one of the classes only and have a"
            f" tag, drawn: seed {seed}",
        },
    )


def _image_names(folder: Path) -> list[str]:
    with reading(folder / _LIST, "a list of images in UTF-8"):
        lines = (folder / _LIST).read_text(encoding="utf-8-sig").splitlines()
    names = [line.strip().replace("\\", "/") for line in lines if line.strip()]
    if len(set(names)) != len(names):
        raise DataError(
            f"{folder / _LIST} names an image twice",
            expected="each image once",
            found=f"{len(names)} lines, {len(set(names))} of them distinct",
            advice="copy the list again",
        )
    return names


def _ground_truth(folder: Path, count: int) -> tuple[list[str], NDArray[np.bool_]]:
    """Return the concepts, sorted, and (concepts, images) bool."""
    files = sorted((folder / _TRUTH).glob("Labels_*.txt"))
    if not files:
        raise DataError(
            f"{folder / _TRUTH} holds no ground truth",
            expected="Labels_<concept>.txt, one file for each concept",
            found="none" if (folder / _TRUTH).is_dir() else "no such folder",
            advice=_WHERE,
        )
    marks = np.zeros((len(files), count), dtype=bool)
    for row, file in enumerate(files):
        with reading(file, "lines of 0 or 1"):
            content = np.frombuffer(file.read_bytes(), dtype=np.uint8)
        places = np.flatnonzero(content > ord(" "))
        values = content[places]
        whole = ((values == _ZERO) | (values == _ONE)).all() and (np.diff(places) > 1).all()
        if not whole or len(values) != count:
            raise FileFormatError(
                f"{file} does not match {_LIST.name}",
                expected=f"{count} lines, each 0 or 1: one for each image",
                found=f"{len(values)} lines" if whole else "something other than 0 or 1",
                advice="copy the file again",
            )
        marks[row] = values == _ONE
    return [file.stem.removeprefix("Labels_") for file in files], marks


def _ten(concepts: Sequence[str], marks: NDArray[np.bool_]) -> tuple[NDArray[np.intp], str]:
    if set(CLASSES) <= set(concepts):
        return np.array([concepts.index(name) for name in CLASSES]), "those of NUS-WIDE-10k"
    largest = np.argsort(-marks.sum(axis=1), kind="stable")[:_COUNT]
    return np.sort(largest), f"the {len(largest)} with the most images"


def _drawn(candidates: NDArray[np.bool_], seed: int) -> list[int]:
    """Draw from (classes, images) bool the rows of at most PER_CLASS images a class, ascending."""
    generator = np.random.default_rng([seed, PER_CLASS])  # not the stream that draws the splits
    drawn = [generator.permutation(np.flatnonzero(row))[:PER_CLASS] for row in candidates]
    return sorted(np.concatenate(drawn).tolist())


def _tags(folder: Path, names: Sequence[str]) -> list[str]:
    """Return for each image its tags, separated by spaces, "" where it has none."""
    if not (folder / _TAGS).is_file() and (folder / _TAGS_1K).is_file():
        return list(_tags_from_matrix(folder, len(names)))
    need_file(folder / _TAGS, "the id of each image and its tags", advice=_WHERE)
    by_id: dict[str, str] = {}
    # tags of 2009 from the web: bytes that are not UTF-8 become U+FFFD
    with reading(folder / _TAGS, "lines of image id and tags"):
        lines = (folder / _TAGS).read_text(encoding="utf-8", errors="replace").split("\n")
    for line in lines:
        image, _, words = " ".join(line.split()).partition(" ")
        by_id[image] = words
    ids = [Path(name).stem.rpartition("_")[2] for name in names]
    lost = [image for image in ids if image not in by_id]
    if lost:
        raise DataError(
            f"{folder / _TAGS} does not match {_LIST.name}",
            expected="a line for each image: its id, then its tags",
            found=f"no line for {len(lost)} of {len(names)} images, the first is {lost[0]}",
            advice="copy both lists again",
        )
    return [by_id[image] for image in ids]


def _tags_from_matrix(folder: Path, count: int) -> Iterator[str]:
    need_file(folder / _TAG_NAMES, f"the tags of the columns of {_TAGS_1K.name}", advice=_WHERE)
    words = (folder / _TAG_NAMES).read_text(encoding="utf-8", errors="replace").split()
    number = 0
    with reading(folder / _TAGS_1K, "rows of 0 and 1"), (folder / _TAGS_1K).open("rb") as file:
        for number, line in enumerate(file, start=1):
            digits = np.frombuffer(line, dtype=np.uint8)
            digits = digits[(digits == _ZERO) | (digits == _ONE)]
            if len(digits) != len(words):
                raise FileFormatError(
                    f"{folder / _TAGS_1K}, line {number}, cannot be read",
                    expected=f"{len(words)} numbers, 0 or 1, as many as {_TAG_NAMES.name} has tags",
                    found=f"{len(digits)}",
                    advice="copy the file again",
                )
            yield " ".join(words[k] for k in np.flatnonzero(digits == _ONE))
    if number != count:
        raise DataError(
            f"{folder / _TAGS_1K} does not match {_LIST.name}",
            expected=f"{count} lines, one for each image",
            found=f"{number}",
            advice="copy both files again",
        )


def _images(folder: Path, names: Sequence[str], warnings: WarningLog) -> Paths:
    """Find the images under their names, or all in one folder."""
    base = next((folder / name for name in _IMAGES if (folder / name).is_dir()), folder / "Flickr")
    images: Paths = []
    for name in names:
        candidates = (base / name, base / Path(name).name)
        images.append(next((file for file in candidates if file.is_file()), None))
    advice = f"get the images from the authors, or from Flickr by ImageList's urls, into {base}"
    report_missing(str(base), "image", names, images, advice=advice, warnings=warnings)
    return images

"""The Pascal Sentence data set in its published layout (Rashtchian et al., 2010).

Raw: images in a folder for each of the 20 classes (``aeroplane/2008_000716.jpg``), and their
sentences, five for each, either on the authors' web page, saved beside the folders (``index.html``:
an <img>, then a table of sentences), or in a text file for each image (``2008_000716.txt``, a
sentence a line) at any depth. Features: {train,val,test}_{img,txt,img_lab}.mat. The authors give no
splits. Texts are read here; image files are located, not opened.
"""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

from commonspace.data.assemble import Table
from commonspace.data.columns import Images, Texts
from commonspace.data.formats.mat_folder import is_mat_folder, read_mat_folder
from commonspace.data.labels import labels_from_names
from commonspace.data.reading import WarningLog, reading
from commonspace.datasets.benchmark import files_by_stem
from commonspace.errors import DataError

__all__ = ["read_pascal", "read_sentence_page"]

_EACH = 5  # sentences for an image, as published
_NAME = re.compile(r"\d{4}_\d{6}")  # 2008_000716: a page has other pictures too, a folder READMEs
_PAGES = frozenset({".html", ".htm"})
_WHERE = (
    "save the authors' page (University of Illinois, pascal-sentences) as index.html there,"
    " with its pictures in a folder for each class"
)


def read_pascal(folder: Path, warnings: WarningLog, seed: int) -> Table:
    """Read the folder for the benchmark: raw files where images exist, else features.

    Args:
        folder: holds class folders of images with the saved page or text files; or
            {train,val,test}_{img,txt,img_lab}.mat.
        warnings: raises or records files that are missing or damaged.
        seed: not used: all published pairs are read.

    Returns:
        A table without splits from raw files, with those of the file names from features.

    Raises:
        DataError: neither exists; an image has no sentences, or sentences have no image.
        FileFormatError: a file is damaged.
    """
    images = _by_class(folder)
    if not images and is_mat_folder(folder):
        return read_mat_folder(folder, warnings)
    if not images:
        raise DataError(
            f"{folder} does not hold the Pascal Sentence benchmark",
            expected="a folder of images for each class, with index.html or a .txt file for each"
            " image; or {train,test}_{img,txt,img_lab}.mat",
            found="neither",
            advice=_WHERE,
        )
    sentences = _sentences(folder)
    _check_sentences(folder, images, sentences, warnings)
    _check_images(folder, images, sentences, warnings)
    odd = Counter(len(sentences[name]) for name in images if sentences.get(name))
    for count in sorted(set(odd) - {_EACH}):
        warnings.add(f"{folder}: images with {count} sentences instead of {_EACH}: {odd[count]}")
    labels, class_names = labels_from_names(
        [(file.parent.name,) for file in images.values()], None, f"the class folders of {folder}"
    )
    return Table(
        source=str(folder),
        ids=[f"{file.parent.name}/{file.name}" for file in images.values()],
        columns={
            "image": Images(list(images.values())),
            "text": Texts([sentences.get(name, ()) for name in images]),
        },
        labels=labels,
        class_names=class_names,
        provenance={"files": "images and sentences"},
    )


def read_sentence_page(path: Path) -> dict[str, tuple[str, ...]]:
    """Read the authors' page: image name without suffix -> its sentences, in the order of the page.

    Every non-empty table cell after an <img> belongs to that image.

    Raises:
        DataError: the file is missing.
        FileFormatError: it is not UTF-8.
    """
    with reading(path, "the saved web page, in UTF-8"):
        page = _Page()
        page.feed(path.read_text(encoding="utf-8-sig"))
        page.close()
    return {name: tuple(sentences) for name, sentences in page.sentences.items() if sentences}


class _Page(HTMLParser):
    """Collects the table cells that follow each image; a cell around others has no text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sentences: dict[str, list[str]] = {}
        self._image: str | None = None
        self._cell: list[str] | None = None  # text of the open cell, None outside of one

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        source = dict(attrs).get("src")
        if tag == "img" and source:
            self._image = Path(source).stem
            self.sentences.setdefault(self._image, [])
        if tag in ("td", "tr", "table"):
            self._close_cell()
        if tag == "td":
            self._cell = []
        self.handle_data(" ")  # <br> and the like separate words

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "tr", "table"):
            self._close_cell()

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def _close_cell(self) -> None:
        text = " ".join("".join(self._cell or ()).split())
        self._cell = None
        if text and self._image is not None:
            self.sentences[self._image].append(text)


def _by_class(folder: Path) -> dict[str, Path]:
    """Return image name -> file, sorted by class; an image directly in the folder has no class."""
    files = [file for several in files_by_stem(folder).values() for file in several]
    files = sorted((f for f in files if f.parent != folder), key=lambda f: (f.parent.name, f.name))
    images: dict[str, Path] = {}
    for file in files:
        first = images.setdefault(file.stem, file)
        if first is not file:
            raise DataError(
                f"{folder} has two images of one name",
                expected="each image once, in the folder of its class",
                found=f"{first} and {file}",
                advice="remove one of them",
            )
    return images


def _sentences(folder: Path) -> dict[str, tuple[str, ...]]:
    """Read the text files; for images that have none, the pages."""
    found: dict[str, tuple[str, ...]] = {}
    for pages in files_by_stem(folder, _PAGES).values():
        for page in pages:
            found |= read_sentence_page(page)
    for name, (file, *_) in files_by_stem(folder, frozenset({".txt"})).items():
        with reading(file, "a sentence a line, in UTF-8"):
            lines = file.read_text(encoding="utf-8-sig").split("\n")
        found[name] = tuple(" ".join(line.split()) for line in lines if line.strip())
    return found


def _check_sentences(
    folder: Path,
    images: dict[str, Path],
    sentences: dict[str, tuple[str, ...]],
    warnings: WarningLog,
) -> None:
    silent = [file.name for name, file in images.items() if not sentences.get(name)]
    if silent:
        warnings.report(
            DataError(
                f"{folder}: {len(silent)} of {len(images)} images have no sentences",
                expected=f"{_EACH} sentences for each, in index.html or a .txt file of its name",
                found=f"none for {', '.join(silent[:3])}{', …' if len(silent) > 3 else ''}",
                advice=_WHERE,
            ),
            instead=f"{len(silent)} samples have no text",
        )


def _check_images(
    folder: Path,
    images: dict[str, Path],
    sentences: dict[str, tuple[str, ...]],
    warnings: WarningLog,
) -> None:
    """Report sentences whose image is missing: its folder would be their class."""
    lost = [name for name in sentences if name not in images and _NAME.fullmatch(name)]
    if lost:
        warnings.report(
            DataError(
                f"{folder} lacks images of its sentences",
                expected="an image in a class folder for each set of sentences",
                found=f"{len(lost)} without: no {', '.join(f'{name}.jpg' for name in lost[:3])}"
                f"{', …' if len(lost) > 3 else ''}",
                advice=_WHERE,
            ),
            instead="these sentences are left out",
        )

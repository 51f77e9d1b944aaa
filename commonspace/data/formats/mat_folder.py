"""Folders of .mat files with one matrix each, such as train_img.mat and train_img_lab.mat.

The layout of published cross-modal features (Pascal Sentence among them): a split, a modality or
"img_lab", and inside a variable of the same name. A missing file is named.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.assemble import Table
from commonspace.data.formats.arrays import table_from_arrays
from commonspace.data.formats.mat import read_mat
from commonspace.data.formats.names import canonical_key
from commonspace.data.reading import WarningLog
from commonspace.errors import FileFormatError

__all__ = ["is_mat_folder", "read_mat_folder"]

_NAME = re.compile(r"(train|val|valid|validation|test)_(\w+)")
_SHORT = {"image": "img", "text": "txt", "label": "img_lab"}


def is_mat_folder(folder: Path) -> bool:
    """Return whether a folder holds files named like this, with a file of labels."""
    return any(canonical_key(file.stem)[0] == "label" for file in _files(folder))


def read_mat_folder(folder: Path, warnings: WarningLog) -> Table:
    """Read all files of the layout as one table.

    Args:
        folder: holds {train,val,test}_{img,txt,…,img_lab}.mat.
        warnings: raises or records files that are missing or damaged.

    Raises:
        DataError: a file is missing that another split has, or rows do not match.
        FileFormatError: a file is damaged or has no variable of its name.
    """
    arrays: dict[str, NDArray[Any]] = {}
    spellings: dict[str, str] = {}
    for file in _files(folder):
        match = _NAME.fullmatch(file.stem)
        assert match is not None
        spellings[canonical_key(file.stem)[1]] = match[1]
        try:
            arrays[file.stem] = _matrix(file)
        except FileFormatError as error:
            warnings.report(error, instead=f"{file.name} left out")

    def file_name(base: str, split: str) -> str:
        return f"{spellings.get(split, split)}_{_SHORT.get(base, base)}.mat"

    return table_from_arrays(arrays, source=str(folder), warnings=warnings, key_name=file_name)


def _files(folder: Path) -> list[Path]:
    """Return the files of the layout: images before texts, and of each train before test."""

    def place(file: Path) -> tuple[str, bool, str]:
        base, split = canonical_key(file.stem)
        return base, split != "train", split

    return sorted((f for f in folder.glob("*.mat") if _NAME.fullmatch(f.stem)), key=place)


def _matrix(file: Path) -> NDArray[Any]:
    variables = read_mat(file)
    if file.stem not in variables and len(variables) != 1:
        raise FileFormatError(
            f"{file} has no variable of its own name",
            expected=f"a variable {file.stem!r}, or only one",
            found=", ".join(variables) or "no variable",
            advice="rename the variable",
        )
    return np.asarray(variables.get(file.stem, next(iter(variables.values()))))

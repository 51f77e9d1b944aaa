"""The Wikipedia featured-articles features in their published layout (Rasiwasia et al., 2010).

``raw_features.mat`` holds I_tr and I_te (128-d SIFT words), T_tr and T_te (10-d LDA topics); beside
it ``trainset_txt_img_cat.list`` and ``testset_txt_img_cat.list`` have one line for each row (text
id, image id, class from 1), and ``categories.list`` the names of the classes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.arrays import table_from_arrays
from commonspace.data.assemble import Table
from commonspace.data.files import reading
from commonspace.data.mat import read_mat
from commonspace.data.problems import Problems
from commonspace.errors import DataError, FileFormatError

__all__ = ["FEATURES_NAME", "has_wikipedia_keys", "is_wikipedia_folder", "read_wikipedia"]

FEATURES_NAME = "raw_features.mat"
_KEYS = {"image_train": "I_tr", "text_train": "T_tr", "image_test": "I_te", "text_test": "T_te"}
_CATEGORIES = "categories.list"


def is_wikipedia_folder(folder: Path) -> bool:
    """Tell whether a folder holds the features and at least one of the lists."""
    lists = [folder / _list_name(split) for split in ("train", "test")]
    return (folder / FEATURES_NAME).is_file() and any(file.is_file() for file in lists)


def has_wikipedia_keys(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Tell whether the variables of a .mat file are those of this layout."""
    return all(key in arrays for key in _KEYS.values())


def read_wikipedia(path: Path, problems: Problems) -> Table:
    """Read the features with the ids and classes of the lists beside them.

    Args:
        path: the folder, or the .mat file in it.
        problems: raises or records a missing list, or one of another length.

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
            problems.meet(error, instead=f"the rows of {split} have no label")
    categories = file.parent / _CATEGORIES
    if categories.is_file():
        with reading(categories, "a list of class names in UTF-8"):
            names = categories.read_text(encoding="utf-8").split()
        arrays["class_names"] = np.array(names, dtype=str)
    else:
        problems.note(f"{categories} is missing: the classes go by their numbers, from 0")
    lists = {"label": "the class in ", "text_id": "the text id in ", "image_id": "the image id in "}
    return table_from_arrays(
        arrays,
        source=str(path),
        problems=problems,
        key_name=lambda base, split: f"{lists.get(base, base)}{_list_name(split)}",
    )


def _list_name(split: str) -> str:
    return f"{split}set_txt_img_cat.list"


def _read_list(file: Path, split: str) -> dict[str, NDArray[Any]]:
    with reading(file, "lines of text id, image id and class"):
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    for number, line in enumerate(lines, start=1):
        if len(line) != 3 or not line[2].isdecimal() or int(line[2]) < 1:
            raise FileFormatError(
                f"{file}, line {number}, cannot be read",
                expected="text id, image id and class (from 1), divided by white space",
                found=" ".join(line)[:80] or "an empty line",
                advice="correct this line, or copy the file again",
            )
    return {
        f"text_id_{split}": np.array([line[0] for line in lines], dtype=str),
        f"image_id_{split}": np.array([line[1] for line in lines], dtype=str),
        f"label_{split}": np.array([int(line[2]) - 1 for line in lines], dtype=np.int64),
    }

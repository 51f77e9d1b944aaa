"""A folder of .npy files, one for each key: large ones are mapped into memory, not read.

The keys are those of an .npz file: image.npy and text.npy (n, d) float32, label.npy (n,), and
split.npy, id.npy and class_names.npy.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.reading import reading
from commonspace.data.row_blocks import watched
from commonspace.errors import FileFormatError

__all__ = ["is_npy_folder", "read_npy_folder"]

MAPPED = 2**20
"""Bytes from which a file is mapped rather than read."""


def is_npy_folder(folder: Path) -> bool:
    """Return whether a folder has .npy files."""
    return any(folder.glob("*.npy"))


def read_npy_folder(folder: Path) -> dict[str, NDArray[Any]]:
    """Return key -> array; large ones are mapped, and the files are never changed.

    Raises:
        FileFormatError: a file is damaged, or holds pickled objects, which could run code.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for path in sorted(folder.glob("*.npy")):
        with reading(path, "a .npy file, as numpy.save writes it"):
            with path.open("rb") as file:
                if file.read(6) != b"\x93NUMPY":
                    raise FileFormatError(
                        f"{path} is no .npy file",
                        expected="an array, as numpy.save writes it",
                        found="other content",
                        advice="write numpy.save(file, array)",
                    )
            try:
                mapped = path.stat().st_size >= MAPPED
                found = np.load(path, mmap_mode="r" if mapped else None)
                if isinstance(found, np.memmap):
                    as_it_is = found.dtype == np.float32  # torch wants what can be written to
                    found = np.load(path, mmap_mode="c") if as_it_is else watched(found)
                arrays[path.stem] = found
            except ValueError as exc:
                if "allow_pickle" not in str(exc) and "Python objects" not in str(exc):
                    raise
                raise FileFormatError(
                    f"{path} holds pickled Python objects",
                    expected="numbers or strings; pickled objects could run code when read",
                    found="dtype object",
                    advice="write strings with numpy.array(names, dtype=str)",
                ) from exc
    return arrays

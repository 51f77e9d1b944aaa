"""NumPy's .npz: a file of named arrays, read and written without pickle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.lib.format import write_array
from numpy.typing import NDArray

from commonspace.data.reading import reading
from commonspace.errors import FileFormatError

__all__ = ["read_npz", "write_npz"]


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays.

    Raises:
        FileFormatError: the file is damaged, or holds pickled objects, which could run code.
    """
    arrays: dict[str, NDArray[Any]] = {}
    with reading(path, "a .npz file, as numpy.savez writes it"), path.open("rb") as file:
        if file.read(2) not in (b"PK", b"\x93N"):  # NumPy would take anything else for a pickle
            raise ValueError("no archive of arrays")
        file.seek(0)
        content = np.load(file, allow_pickle=False)
        if not isinstance(content, np.lib.npyio.NpzFile):
            raise FileFormatError(
                f"{path} holds one array without a name",
                expected="named arrays, as numpy.savez writes them",
                found="a .npy file",
                advice="write numpy.savez(file, image=..., text=..., label=...)",
            )
        with content:
            for key in content.files:
                try:
                    arrays[key] = content[key]
                except ValueError as exc:
                    if "allow_pickle" not in str(exc):
                        raise
                    raise FileFormatError(
                        f"{path}: the array {key!r} holds pickled Python objects",
                        expected="numbers or strings; pickled objects could run code when read",
                        found="dtype object",
                        advice="write strings with numpy.array(names, dtype=str)",
                    ) from exc
    return arrays


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays (numbers and str, no objects), uncompressed as numpy.savez does.

    Unlike numpy.savez it takes any key, "file" too.
    """
    with ZipFile(path, "w", allowZip64=True) as archive:
        for key, values in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                write_array(member, np.asanyarray(values), allow_pickle=False)

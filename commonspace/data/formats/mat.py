"""MATLAB .mat files of named arrays, version 4 to 7.3 (the last is HDF5 with columns first).

MATLAB knows no one-dimensional arrays: a list comes as (n, 1) or (1, n), and strings come in cells.
Both are given on as they are, cells as object arrays of str; who reads them flattens them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.files import reading
from commonspace.data.formats.mat5 import check_mat5

__all__ = ["read_mat", "write_mat"]

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read_mat(path: Path) -> dict[str, NDArray[Any]]:
    """Read all variables.

    Returns:
        Name -> at least two-dimensional array of numbers, or of str (object) for cells of strings
        and for character matrices, one string a row.

    Raises:
        FileFormatError: the file is damaged, or no .mat file.
    """
    with reading(path, "a .mat file"):
        with path.open("rb") as file:
            file.seek(512)  # a file of version 7.3 is HDF5 behind a header of 512 bytes
            is_hdf5 = file.read(8) == _HDF5_SIGNATURE
        if is_hdf5:
            return _read_version_73(path)
        from scipy.io import loadmat  # a third of a second: only for who reads such a file

        check_mat5(path)
        content = loadmat(path)
        return {
            name: _plain(values) for name, values in content.items() if not name.startswith("__")
        }


def write_mat(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays (numbers and str) as version 5; strings as cells, lists as columns."""
    from scipy.io import savemat

    savemat(
        path,
        {
            key: values.astype(object) if values.dtype.kind == "U" else values
            for key, values in arrays.items()
        },
        appendmat=False,
        oned_as="column",
    )


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Unpack cells that hold strings or single numbers; pass everything else on."""
    if values.dtype.kind == "U":  # a character matrix: padded to one width
        return np.char.rstrip(values).astype(object)
    if values.dtype.kind != "O" or not all(isinstance(cell, np.ndarray) for cell in values.flat):
        return values
    flat: list[Any] = []
    for cell in values.reshape(-1).tolist():
        if cell.size == 0:
            flat.append("")
        elif cell.size == 1 and cell.dtype.kind in "Ubiuf":
            flat.append(cell.reshape(-1)[0].item())
        else:
            return values
    unpacked = np.empty(len(flat), dtype=object)
    unpacked[:] = flat
    return unpacked.reshape(values.shape)


def _read_version_73(path: Path) -> dict[str, NDArray[Any]]:
    import h5py

    with h5py.File(path, "r") as file:
        return {
            name: _variable(file, item)
            for name, item in file.items()
            if isinstance(item, h5py.Dataset)
        }


def _variable(file: Any, item: Any) -> NDArray[Any]:  # noqa: ANN401, h5py carries no types
    kind = item.attrs.get("MATLAB_class", b"")
    if item.attrs.get("MATLAB_empty", 0):
        return np.empty((0, 0), dtype=object if kind in (b"cell", b"char") else float)
    values = np.asarray(item[()]).T
    if kind == b"char":
        texts = [row.astype("<u2").tobytes().decode("utf-16-le").rstrip() for row in values]
        return np.array(texts, dtype=object)
    if kind == b"cell":
        cells = [_variable(file, file[reference]) for reference in values.reshape(-1)]
        strings = [str(cell.reshape(-1)[0]) if cell.size else "" for cell in cells]
        return np.array(strings, dtype=object).reshape(values.shape)
    return values

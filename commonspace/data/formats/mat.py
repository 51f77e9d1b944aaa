"""MATLAB .mat files of named arrays, version 4 to 7.3 (the last is HDF5 with columns first).

MATLAB has no one-dimensional arrays: a list is (n, 1) or (1, n), and strings are in cells. Both are
returned as they are, cells as object arrays of str. Sparse matrices become dense.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.formats.hdf5 import check_size, has_signature, members
from commonspace.data.formats.isolated import read_in_process
from commonspace.data.formats.mat5 import check_mat5
from commonspace.data.reading import reading
from commonspace.errors import DataError

__all__ = ["read_mat", "write_mat"]

_DENSE = 1 << 28  # bytes that a sparse matrix may always take when it is made dense
_DENSITY = 1000  # and how many times the size of its file


def read_mat(path: Path) -> dict[str, NDArray[Any]]:
    """Read all variables.

    Returns:
        Name -> at least two-dimensional array of numbers, or of str (object) for cells of strings
        and for character matrices, one string a row.

    Raises:
        FileFormatError: the file is damaged, or no .mat file.
    """
    with reading(path, "a .mat file"):
        if has_signature(path):
            return read_in_process("commonspace.data.formats.mat:_read_version_73", path)
        from scipy.io import loadmat  # slow to import

        check_mat5(path)
        content = loadmat(path)
        return {
            name: _plain(_dense(name, values, path))
            for name, values in content.items()
            if not name.startswith("__")
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


def _dense(name: str, values: Any, path: Path) -> NDArray[Any]:  # noqa: ANN401
    """Return a sparse matrix as a dense one; anything else as it is."""
    from scipy import sparse

    if not sparse.issparse(values):
        return np.asarray(values)
    _check_dense(name, values.shape, path)
    values.check_format(full_check=True)
    if np.issubdtype(values.dtype, np.complexfloating):
        return np.asarray(values.toarray())
    return np.asarray(values.astype(np.float32).toarray())


def _check_dense(name: str, shape: tuple[int, ...], path: Path) -> None:
    count = 4 * int(np.prod([int(extent) for extent in shape], dtype=object))
    if count > max(_DENSE, _DENSITY * path.stat().st_size):
        raise DataError(
            f"{path}: the sparse matrix {name!r} is too large",
            expected=f"at most {max(_DENSE, _DENSITY * path.stat().st_size):,} bytes when dense",
            found=f"{shape[0]} x {shape[1]}: {count:,} bytes",
            advice="reduce it, for example to its 1000 most frequent words or by a truncated SVD",
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


def _read_version_73(path: Path, allow: Callable[[int], None]) -> dict[str, NDArray[Any]]:
    """Read all variables of an HDF5 file as MATLAB writes it; runs in the child process."""
    import h5py

    available = path.stat().st_size
    with h5py.File(path, "r") as file:
        items = {
            name: item
            for name, item in members(file)
            if isinstance(item, h5py.Dataset) or "MATLAB_sparse" in item.attrs
        }
        total = 0
        for item in items.values():
            group = isinstance(item, h5py.Group)
            stored = [part for _, part in members(item)] if group else [item]
            total += sum(check_size(part, available) for part in stored)
        allow(4 * total)
        return {
            name: _sparse(item, path, allow)
            if isinstance(item, h5py.Group)
            else _variable(file, item)
            for name, item in items.items()
        }


def _sparse(group: Any, path: Path, allow: Callable[[int], None]) -> NDArray[Any]:  # noqa: ANN401
    """Return a sparse matrix of version 7.3 (compressed columns) as a dense one."""
    from scipy.sparse import csc_array

    rows, ends = int(group.attrs["MATLAB_sparse"]), np.asarray(group["jc"][()], dtype=np.int64)
    shape = (rows, len(ends) - 1)
    _check_dense(group.name, shape, path)
    allow(32 * rows * len(ends))
    if "data" not in group:
        return np.zeros(shape, dtype=np.float32)
    values = np.asarray(group["data"][()], dtype=np.float32)
    matrix = csc_array((values, np.asarray(group["ir"][()], dtype=np.int64), ends), shape=shape)
    matrix.check_format(full_check=True)
    return np.asarray(matrix.toarray())


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

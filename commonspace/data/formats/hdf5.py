"""HDF5 files of named arrays. A group is a prefix of its keys: train/image is train_image."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.files import reading

__all__ = ["read_hdf5", "write_hdf5"]


def read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays, in the order in which they were written where the file keeps it.

    Raises:
        FileFormatError: the file is damaged, or no HDF5 file. (Against bytes damaged with skill the
            HDF5 library itself is not safe: open files from strangers in another format.)
    """
    import h5py  # a quarter of a second: only for who reads such a file

    arrays: dict[str, NDArray[Any]] = {}

    def visit(group: Any, prefix: str) -> None:  # noqa: ANN401, h5py carries no types
        for name, item in group.items():
            if isinstance(item, h5py.Group):
                visit(item, f"{prefix}{name}_")
            else:
                _check_size(item, path.stat().st_size)
                is_text = h5py.check_string_dtype(item.dtype) is not None
                arrays[f"{prefix}{name}"] = np.asarray(item.asstr()[()] if is_text else item[()])

    with reading(path, "an HDF5 file"), h5py.File(path, "r") as file:
        visit(file, "")
    return arrays


def write_hdf5(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays (numbers and str) in order; strings as variable-length UTF-8."""
    import h5py

    # made in memory: when the disk is full, the library fails again and again while it closes
    image = BytesIO()
    with h5py.File(image, "w", track_order=True) as file:
        for key, values in arrays.items():
            if values.dtype.kind == "U":
                file.create_dataset(key, data=values.astype(object), dtype=h5py.string_dtype())
            else:
                file.create_dataset(key, data=values)
    path.write_bytes(image.getbuffer())


def _check_size(item: Any, available: int) -> None:  # noqa: ANN401
    """Refuse a damaged shape, which would otherwise fill the memory for minutes."""
    if item.chunks is None and not item.external and item.nbytes > available:
        raise ValueError(f"{item.name} promises {item.nbytes} bytes, the file has {available}")

"""HDF5 files of named arrays. A group is a prefix of its keys: train/image is train_image."""

from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.formats.isolated import read_in_process
from commonspace.data.reading import reading

__all__ = ["check_size", "has_signature", "members", "read_hdf5", "write_hdf5"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MOST = 1100  # the best ratio of its compression
_UNWRITTEN = 1 << 26  # bytes of an array that the file promises without holding any


def read_hdf5(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays in a process of its own, in the order of the file where it keeps one.

    Raises:
        FileFormatError: the file is damaged, or no HDF5 file.
    """
    with reading(path, "an HDF5 file"):
        if not has_signature(path):
            raise ValueError("no HDF5 signature")
        return read_in_process("commonspace.data.formats.hdf5:_read", path)


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


def has_signature(path: Path) -> bool:
    """Return whether a file is HDF5, behind a header of any size that the format allows."""
    size = path.stat().st_size
    with path.open("rb") as file:
        place = 0
        while place + len(_SIGNATURE) <= size:
            file.seek(place)
            if file.read(len(_SIGNATURE)) == _SIGNATURE:
                return True
            place = max(2 * place, 512)
    return False


def members(group: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401, h5py carries no types
    """Yield the arrays and groups in a group.

    Raises:
        ValueError: one of them is in another file, which the author of this one may not read.
    """
    import h5py

    for name in group:
        link = group.get(name, getlink=True)
        item = None if isinstance(link, h5py.ExternalLink) else group.get(name)
        if isinstance(link, h5py.ExternalLink) or (item and item.file.id != group.file.id):
            raise ValueError(f"{group.name.rstrip('/')}/{name} is a link to another file")
        if item is not None:
            yield name, item


def check_size(item: Any, available: int) -> int:  # noqa: ANN401
    """Return the bytes of an array; refuse a damaged shape, which would fill the memory.

    Raises:
        ValueError: the file cannot contain so much, or the array is stored in other files.
    """
    if item.size is None:
        return 0
    if item.external or (
        item.is_virtual and any(source.file_name != "." for source in item.virtual_sources())
    ):
        raise ValueError(f"{item.name} is stored in another file")
    count = int(item.nbytes)
    stored = min(int(item.id.get_storage_size()), available)
    allowed = available if item.chunks is None else _MOST * stored
    if count > max(allowed, _UNWRITTEN if stored == 0 else 0):
        raise ValueError(f"{item.name} promises {count} bytes, the file has {stored}")
    if count > (1 << 20) and item.dtype.kind == "O" and count > 64 * available:
        raise ValueError(f"{item.name} promises {item.size} strings, the file has {stored} bytes")
    return count


def _read(path: Path, allow: Callable[[int], None]) -> dict[str, NDArray[Any]]:
    """Read all arrays; runs in the child process."""
    import h5py

    available = path.stat().st_size
    arrays: dict[str, NDArray[Any]] = {}
    items: list[tuple[str, Any]] = []

    def visit(group: Any, prefix: str, depth: int) -> None:  # noqa: ANN401
        if depth > 8 or len(items) > 10_000:
            raise ValueError("groups within groups without end")
        for name, item in members(group):
            if isinstance(item, h5py.Group):
                visit(item, f"{prefix}{name}_", depth + 1)
            elif isinstance(item, h5py.Dataset):
                items.append((f"{prefix}{name}", item))

    with h5py.File(path, "r") as file:
        visit(file, "", 0)
        allow(sum(check_size(item, available) for _, item in items))
        for name, item in items:
            is_text = h5py.check_string_dtype(item.dtype) is not None
            arrays[name] = np.asarray(item.asstr()[()] if is_text else item[()])
        return arrays

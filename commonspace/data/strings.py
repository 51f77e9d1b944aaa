"""Arrays of strings in any usual dtype -> one form. Knows nothing of what the strings mean."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError

__all__ = ["as_strings", "is_strings"]


def is_strings(values: NDArray[Any]) -> bool:
    """Tell whether an array holds text: str, bytes, or objects of those and None.

    Example:
        >>> is_strings(np.array([b"a"])), is_strings(np.array(["a", None], object))
        (True, True)
        >>> is_strings(np.array([1.5]))
        False
    """
    if values.dtype.kind == "O":
        return all(value is None or isinstance(value, str | bytes) for value in values.flat)
    return values.dtype.kind in "US"


def as_strings(values: NDArray[Any]) -> NDArray[np.object_]:
    """Return str objects of the same shape: bytes decoded as UTF-8, None as "", numbers spelt.

    Args:
        values: any shape; str, bytes, numbers, or objects of those and None.

    Raises:
        DataError: bytes that are not UTF-8.

    Example:
        >>> as_strings(np.array([b"a", None, 3], dtype=object)).tolist()
        ['a', '', '3']
    """
    if values.dtype.kind == "S":
        values = values.astype(object)
    if values.dtype.kind != "O":
        return values.astype(str).astype(object)
    flat = [_spelt(value) for value in values.reshape(-1).tolist()]
    result = np.empty(len(flat), dtype=object)
    result[:] = flat
    return result.reshape(values.shape)


def _spelt(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise DataError(
            "a byte string is not text",
            expected="UTF-8",
            found=repr(value[:40]),
            advice="write the strings as UTF-8",
        ) from exc

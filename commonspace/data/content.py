"""Keys of equal content: which items of a column are the same photo, text or vector."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Column, Features, Images, Texts

__all__ = ["content_keys", "image_hash"]


def content_keys(column: Column) -> NDArray[np.intp]:
    """Return a number for each item; items of equal content have the same number.

    Texts are compared without the spaces around them, images by their bytes, vectors by value.

    Args:
        column: n items.

    Returns:
        (n,) numbers from 0 in the order of first occurrence. An item that is missing, or an image
        that cannot be read, has a number of its own.

    Example:
        >>> content_keys(Texts((("a cat",), ("a dog",), ("a cat ",)))).tolist()
        [0, 1, 0]
    """
    numbers: dict[Any, int] = {}
    contents = _contents(column)
    keys = [
        numbers.setdefault(("row", row) if content is None else content, len(numbers))
        for row, content in enumerate(contents)
    ]
    return np.array(keys, dtype=np.intp)


def image_hash(item: Path | NDArray[np.uint8] | None) -> bytes | None:
    """Return the SHA-256 of an image file or array; None if it is missing or unreadable."""
    if item is None:
        return None
    if isinstance(item, np.ndarray):
        return sha256(str(item.shape).encode() + item.tobytes()).digest()
    try:
        return sha256(item.read_bytes()).digest()
    except OSError:
        return None


def _contents(column: Column) -> Sequence[Any]:
    present = column.present
    if isinstance(column, Features):
        rows = column.values + np.float32(0)  # -0 becomes 0
        return [row.tobytes() if here else None for row, here in zip(rows, present, strict=True)]
    if isinstance(column, Texts):
        return [tuple(sorted(text.strip() for text in texts)) or None for texts in column.items]
    if isinstance(column, Images):
        with ThreadPoolExecutor() as pool:
            return list(pool.map(image_hash, column.items))
    return [None] * len(column)

"""Columns of a data set to what the store keeps of them, and back, to embed them anew.

Features are kept as they are, texts as they are, a picture by its path (or its pixels where it has
none). Knows nothing of spaces.
"""

import json
import struct
import zlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commonspace.data import Column, Features, Images, Texts
from commonspace.errors import DataError, StoreError
from commonspace.retrieval.records import FLOAT32, Source

__all__ = ["column_of", "sources_of"]

_SIDES = struct.Struct("<II")


def sources_of(raw: Column, features: Features | None) -> list[Source]:
    """Return what to keep of a column in which no entry is missing.

    Args:
        raw: n entries, as the data set has them.
        features: of the same n, where they were extracted from ``raw``; else None.

    Raises:
        DataError: a picture cannot be read.

    Example:
        >>> (kept,) = sources_of(Texts([("a cat", "some cat")]), None)
        >>> kept.form, kept.raw
        ('texts', '["a cat", "some cat"]')
    """
    if isinstance(raw, Features):
        return [_of_features(values) for values in raw.values]
    parts = [_of_raw(raw, row) for row in range(len(raw))]
    if features is None:
        return parts
    return [
        Source(part.form, part.raw, _bytes(values), part.digest)
        for part, values in zip(parts, features.values, strict=True)
    ]


def column_of(form: str, kept: Sequence[Source], *, features: bool) -> Column:
    """Return a column of what was kept.

    Args:
        form: of all of them.
        kept: n sources.
        features: whether their features are wanted; else what they were extracted from.

    Raises:
        StoreError: what is wanted was not kept.
    """
    if features:
        blobs = [source.features for source in kept]
        if None in blobs:
            raise _lacking("features", form)
        return Features(np.stack([np.frombuffer(blob or b"", FLOAT32) for blob in blobs]))
    if form == "texts":
        return Texts([tuple(json.loads(source.raw or "[]")) for source in kept])
    if form == "photo":
        return Images([Path(str(source.raw)) for source in kept])
    if form == "pixels":
        return Images([_pixels(source.raw) for source in kept])
    raise _lacking("texts or pictures", "features alone")


def _of_features(values: NDArray[np.float32]) -> Source:
    blob = _bytes(values)
    return Source("", None, blob, sha256(blob).digest())


def _of_raw(column: Column, row: int) -> Source:
    if isinstance(column, Texts):
        text = json.dumps(column.items[row], ensure_ascii=False)
        return Source("texts", text, None, sha256(text.encode(errors="surrogatepass")).digest())
    assert isinstance(column, Images)
    item = column.items[row]
    if isinstance(item, np.ndarray):
        height, width = item.shape[:2]
        pixels = _SIDES.pack(height, width) + item.tobytes()
        return Source("pixels", zlib.compress(pixels), None, sha256(pixels).digest())
    assert item is not None
    try:
        return Source("photo", str(item.resolve()), None, sha256(item.read_bytes()).digest())
    except OSError as exc:
        raise DataError(
            f"{item} cannot be read",
            expected="an image file",
            found=exc.strerror or str(exc),
            advice="put it back, or leave the item out",
        ) from exc


def _pixels(raw: str | bytes | None) -> NDArray[np.uint8]:
    assert isinstance(raw, bytes)
    pixels = zlib.decompress(raw)
    height, width = _SIDES.unpack_from(pixels)
    return np.frombuffer(pixels, np.uint8, offset=_SIDES.size).reshape(height, width, 3).copy()


def _bytes(values: NDArray[np.float32]) -> bytes:
    return values.astype(FLOAT32, copy=False).tobytes()


def _lacking(wanted: str, found: str) -> StoreError:
    return StoreError(
        "the index did not keep what this space reads",
        expected=wanted,
        found=found,
        advice="make a new index from the data: commonspace index RUN DATA --out INDEX",
    )

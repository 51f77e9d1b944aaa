"""Sources: what the vectors of an index were embedded from, stored to embed it again.

Features and texts are stored themselves; a photo by its path, or its pixels where it has no file.
"""

import json
import os
import struct
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data import Column, Features, Images, Texts
from commonspace.errors import DataError, SettingError, StoreError
from commonspace.retrieval.schema import FLOAT32

__all__ = [
    "NewItem",
    "PhotoFolders",
    "Source",
    "is_damaged_copy",
    "to_column",
    "to_pixels",
    "to_sources",
]

_SIZE = struct.Struct("<II")

COPIES = "photos"
"""Folder of an index for copied photos."""


@dataclass(frozen=True)
class Source:
    """The content of one modality of an item."""

    format: str
    """What ``raw`` holds: "texts", "photo" or "pixels"; "" if there are only features."""
    raw: str | bytes | None
    """Texts as a JSON list; the path of a photo; or pixels, compressed."""
    features: bytes | None
    """(d,) float32, little endian, if the space reads features."""
    digest: bytes
    """32 bytes; equal for equal content."""


@dataclass(frozen=True)
class NewItem:
    """An item to write."""

    id: str
    split: str
    labels: tuple[str, ...]
    fields: Mapping[str, Any]
    """JSON values; None for a missing value."""
    entries: Mapping[str, tuple[Source, bytes]] = field(default_factory=dict)
    """Modality -> source, and (d,) float32 vector, little endian."""


@dataclass(frozen=True)
class PhotoFolders:
    """The folders that photos of an index are in.

    A photo is stored as "NUMBER:PATH", relative to one of them. Files outside of them are refused,
    because a service sends photos to its clients.

    Args:
        index: the folder of the index.
        folders: paths, each absolute, or relative to the index.
    """

    index: Path
    folders: tuple[str, ...] = ()

    @cached_property
    def paths(self) -> list[Path]:
        """Return the folders: relative to the index if they are there, else where they were."""
        paths = []
        for text in self.folders:
            absolute, _, relative = text.partition("\0")
            beside = self.index / relative
            paths.append(
                beside if relative and not Path(absolute).exists() else Path(absolute or beside)
            )
        return paths

    def resolve(self, stored: str) -> Path:
        """Return the file of a stored photo path."""
        number, _, path = stored.partition(":")
        return self.paths[int(number)] / path

    def check_inside(self, stored: str) -> Path:
        """Return the file of a stored photo path, with its links resolved.

        Raises:
            StoreError: If it is outside the photo folder, as a symbolic link may be.
        """
        file = self.resolve(stored).resolve()
        folder = self.paths[int(stored.partition(":")[0])].resolve()
        if not file.is_relative_to(folder):
            raise StoreError(
                f"the photo {stored.partition(':')[2]!r} is outside the photo folder",
                expected=f"a file in {folder}",
                found=str(file),
                advice="replace the link by the file, or allow a larger folder with --photos",
            )
        return file

    def shorten(self, file: Path) -> str | None:
        """Return the stored form of a photo path; None if it is outside all folders."""
        real = file.resolve()
        for number, folder in enumerate(self.paths):
            if real.is_relative_to(folder.resolve()):
                return f"{number}:{real.relative_to(folder.resolve()).as_posix()}"
        return None

    def include(self, files: Sequence[Path], folder: Path | None) -> "PhotoFolders":
        """Return the folders, with one more if files are outside of them.

        Args:
            files: photos to add.
            folder: the folder that they must be in; None: their common parent folder.

        Raises:
            DataError: If a file is outside.
        """
        outside = [file for file in files if self.shorten(file) is None]
        if not outside:
            return self
        if folder is None:
            folder = Path(os.path.commonpath([file.absolute().parent for file in outside]))
            if len(folder.parts) < 2 or any(".." in file.parts for file in outside):
                raise DataError(
                    "the photos are not in one folder",
                    expected="photos in one folder, with paths without ..",
                    found=", ".join(map(str, outside[:2])),
                    advice="name the folder that all of them are in: photos=FOLDER",
                )
        real = folder.resolve()
        strange = next((file for file in outside if not file.resolve().is_relative_to(real)), None)
        if strange is not None:
            raise DataError(
                f"the photo {strange} is outside the folder of the data",
                expected=f"a file in {real}",
                found=str(strange.resolve()),
                advice="move it there, or allow a larger folder: --photos DIR",
            )
        return self.extend(real)

    def extend(self, folder: Path) -> "PhotoFolders":
        """Return the folders with one more."""
        return PhotoFolders(self.index, (*self.folders, self._text(folder)))

    def replace(self, folder: Path, used: Collection[int]) -> "PhotoFolders":
        """Return the folders with a new path for the only one, or for the only missing one.

        Args:
            folder: the new path.
            used: numbers of the folders that contain photos of items.

        Raises:
            SettingError: If it is not clear which folder has moved.
        """
        paths = {number: self.paths[number] for number in sorted(used)}
        missing = [number for number, path in paths.items() if not path.is_dir()]
        candidates = [*paths] if len(paths) == 1 else missing
        if not paths:
            return self.extend(folder.resolve())
        if len(candidates) != 1:
            raise SettingError(
                "it is not clear which photo folder has moved",
                expected="an index with one photo folder, or with one that is missing",
                found=", ".join(map(str, paths.values())),
                advice="update the index with the data in its new place: commonspace update",
            )
        text = self._text(folder.resolve())
        changed = [text if at == candidates[0] else old for at, old in enumerate(self.folders)]
        return PhotoFolders(self.index, tuple(changed))

    def _text(self, folder: Path) -> str:
        index = self.index.resolve()
        inside = folder.is_relative_to(index)
        return ("" if inside else str(folder)) + "\0" + os.path.relpath(folder, index)


def to_sources(raw: Column, photos: PhotoFolders) -> list[Source]:
    """Return the sources of a column in which no entry is missing.

    Args:
        raw: n entries of the data set.
        photos: folders that contain every photo file.

    Raises:
        DataError: If a photo cannot be read.

    Example:
        >>> (source,) = to_sources(Texts([("a cat", "some cat")]), PhotoFolders(Path("shop")))
        >>> source.format, source.raw
        ('texts', '["a cat", "some cat"]')
    """
    if isinstance(raw, Features):
        blobs = [row.astype(FLOAT32, copy=False).tobytes() for row in raw.values]
        return [Source("", None, blob, sha256(blob).digest()) for blob in blobs]
    if isinstance(raw, Texts):
        texts = [json.dumps(item, ensure_ascii=False) for item in raw.items]
        digests = [sha256(text.encode(errors="surrogatepass")).digest() for text in texts]
        return [
            Source("texts", text, None, digest) for text, digest in zip(texts, digests, strict=True)
        ]
    assert isinstance(raw, Images)
    return [_image_source(item, photos) for item in raw.items if item is not None]


def to_column(format: str, sources: Sequence[Source], *, photos: PhotoFolders | None) -> Column:
    """Return a column of sources, to embed it again.

    Args:
        format: of all of them.
        sources: n sources.
        photos: the folders of photos; None: return the features of the sources.

    Raises:
        StoreError: If the features, or the raw items, are not stored, or a photo is now a link to
            a file outside of its folder.
    """
    if photos is None:
        blobs = [source.features for source in sources]
        if None in blobs:
            raise _missing("features", format)
        return Features(np.stack([np.frombuffer(blob or b"", FLOAT32) for blob in blobs]))
    if format == "texts":
        return Texts([tuple(json.loads(source.raw or "[]")) for source in sources])
    if format == "photo":
        return Images([photos.check_inside(str(source.raw)) for source in sources])
    if format == "pixels":
        return Images([to_pixels(source.raw) for source in sources])
    raise _missing("texts or images", "only features")


def to_pixels(raw: str | bytes | None) -> NDArray[np.uint8]:
    """Return the (h, w, 3) pixels of a stored source."""
    assert isinstance(raw, bytes)
    pixels = zlib.decompress(raw)
    height, width = _SIZE.unpack_from(pixels)
    return np.frombuffer(pixels, np.uint8, offset=_SIZE.size).reshape(height, width, 3).copy()


def is_damaged_copy(index: Path, file: Path) -> bool:
    """Return whether a photo copied into an index differs from the hash that is its name.

    Args:
        index: the folder of the index.
        file: any file; false for one that is missing, or is no copy.
    """
    if file.parent != (index / COPIES).resolve():
        return False
    try:
        return sha256(file.read_bytes()).hexdigest() != file.stem
    except OSError:
        return False


def _image_source(item: Path | NDArray[np.uint8], photos: PhotoFolders) -> Source:
    if isinstance(item, np.ndarray):
        height, width = item.shape[:2]
        pixels = _SIZE.pack(height, width) + item.tobytes()
        return Source("pixels", zlib.compress(pixels), None, sha256(pixels).digest())
    try:
        digest = sha256(item.read_bytes()).digest()
    except OSError as exc:
        raise DataError(
            f"{item} cannot be read",
            expected="an image file",
            found=exc.strerror or str(exc),
            advice="restore the file, or leave the item out",
        ) from exc
    path = photos.shorten(item)
    assert path is not None  # `PhotoFolders.include` was called before
    return Source("photo", path, None, digest)


def _missing(wanted: str, found: str) -> StoreError:
    return StoreError(
        "the index does not store what this space reads",
        expected=wanted,
        found=found or "raw items without features",
        advice="build a new index from the data: commonspace index RUN DATA --out INDEX",
    )

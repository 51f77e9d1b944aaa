"""Pictures that come in, in limits of format, pixels and time; pictures that go out.

It knows no HTTP and no index; what it refuses, it refuses with a status.
"""

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from commonspace.data.images import rgb_of
from commonspace.errors import DataError
from commonspace.serve.refusals import RefusedError

__all__ = ["LONGEST_SIDE", "Decoder", "Thumbnails", "bounded", "photo_bytes", "png_of"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SENT_AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
LONGEST_SIDE = 1600
"""Pixels to which a picture is scaled down that is put into the index."""


class Decoder:
    """Decodes pictures that somebody sent.

    Args:
        pixels: how many a picture may have.
        seconds: how long decoding may take.
    """

    def __init__(self, pixels: int, seconds: float) -> None:
        """Begin with idle threads."""
        self._pixels = pixels
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="decode")

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Return (h, w, 3) uint8 RGB of an image file.

        Raises:
            RefusedError: no image of a format that is read here, damaged, too large or too slow.
        """
        try:
            return self._pool.submit(self._decoded, data).result(self._seconds)
        except Late as exc:
            raise RefusedError(
                413,
                "decoding the image takes too long",
                expected=f"at most {self._seconds:g} seconds",
                advice="send a smaller one",
            ) from exc

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _decoded(self, data: bytes) -> NDArray[np.uint8]:
        try:
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > self._pixels:
                    raise RefusedError(
                        413,
                        "the image has too many pixels",
                        expected=f"at most {self._pixels:,}",
                        found=f"{width} x {height}",
                        advice="send a smaller one",
                    )
                return rgb_of(image, "the image")
        except RefusedError:
            raise
        except DataError as exc:
            raise RefusedError(
                415, exc.problem, expected=exc.expected, found=exc.found, advice=exc.advice
            ) from exc
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
            raise RefusedError(
                413,
                "the image has too many pixels",
                expected=f"at most {self._pixels:,}",
                advice="send a smaller one",
            ) from exc
        except Exception as exc:  # whatever a damaged file makes of the libraries that read it
            raise RefusedError(
                415,
                "the image cannot be read",
                expected="a whole file: " + ", ".join(FORMATS),
                found=f"{len(data):,} bytes that begin with {data[:8]!r}",
                advice="convert it to JPEG or PNG",
            ) from exc


class Thumbnails:
    """Small pictures, the last ones kept in memory.

    Args:
        room: bytes that may be kept.
    """

    def __init__(self, room: int = 64 * 2**20) -> None:
        """Keep nothing yet."""
        self._room = room
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def of(self, picture: NDArray[np.uint8] | Path, size: int, pixels: int) -> bytes:
        """Return a JPEG that fits into a square.

        Args:
            picture: (h, w, 3) uint8 RGB, or a file.
            size: the side of the square.
            pixels: how many a file may have.

        Raises:
            RefusedError: the file is gone, or cannot be read.
        """
        key = (_name_of(picture), size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        small = _small(picture, size, pixels)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = small
                self._size += len(small)
            while self._size > self._room:
                self._size -= len(self._kept.popitem(last=False)[1])
        return small


def photo_bytes(path: Path, pixels: int) -> tuple[bytes, str]:
    """Return a photo of the index as a browser can show it, and its media type.

    Raises:
        RefusedError: the file is gone, or cannot be read.
    """
    try:
        data = path.read_bytes()
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            if image.format in SENT_AS_THEY_ARE:
                return data, SENT_AS_THEY_ARE[image.format]
            if image.width * image.height > pixels:
                raise ValueError("too many pixels")
            return png_of(rgb_of(image, "the photo")), "image/png"
    except Exception as exc:
        raise _gone() from exc


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of (h, w, 3) uint8 RGB."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def bounded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture, scaled down where its longer side is longer than ``LONGEST_SIDE``.

    Example:
        >>> bounded(np.zeros((3200, 10, 3), dtype=np.uint8)).shape
        (1600, 5, 3)
    """
    if max(pixels.shape[:2]) <= LONGEST_SIDE:
        return pixels
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _name_of(picture: NDArray[np.uint8] | Path) -> str:
    if isinstance(picture, Path):
        try:
            facts = picture.stat()
        except OSError as exc:
            raise _gone() from exc
        return f"{picture} {facts.st_mtime_ns} {facts.st_size}"
    return sha256(np.ascontiguousarray(picture).tobytes()).hexdigest()


def _small(picture: NDArray[np.uint8] | Path, size: int, pixels: int) -> bytes:
    try:
        if isinstance(picture, Path):
            with Image.open(picture, formats=FORMATS) as opened:
                if opened.width * opened.height > pixels:
                    raise ValueError("too many pixels")
                opened.draft("RGB", (size, size))  # a JPEG is decoded at a fraction of its size
                image = Image.fromarray(rgb_of(opened, "the photo"))
        else:
            image = Image.fromarray(picture)
        image.thumbnail((size, size), Image.Resampling.LANCZOS)
        file = BytesIO()
        image.save(file, "JPEG", quality=85)
    except Exception as exc:
        raise _gone() from exc
    return file.getvalue()


def _gone() -> RefusedError:
    return RefusedError(
        404,
        "the photo of this item cannot be read any more",
        expected="the file that the index was made from",
        advice="put it back where it was, or update the index",
    )

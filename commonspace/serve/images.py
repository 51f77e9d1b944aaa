"""Photos that the service sends: thumbnails, and files without private metadata."""

import re
import struct
import threading
import zlib
from collections import OrderedDict
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from commonspace.data.images import ORIENTATION, decode_image, orientation_of, rgb_of
from commonspace.serve.errors import RequestError

__all__ = ["Thumbnails", "encode_png", "read_photo", "strip_metadata"]

_JPEG_KEPT = {*range(0xC0, 0xD0), 0xDB, 0xDD} - {0xC8}
"""Frame, tables, restart interval. Of JFIF, Adobe and color profiles, ``_jpeg_segment`` decides."""
_JFIF, _ADOBE, _PROFILE = b"JFIF\0", b"Adobe", b"ICC_PROFILE\0"
_PNG_KEPT = set(b"IHDR PLTE IDAT IEND tRNS acTL fcTL fdAT".split())
_PNG_SIZES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"sBIT": 4, b"pHYs": 9, b"bKGD": 6, b"cICP": 4}
"""Chunks that are kept, and the largest size of each: a longer one hides something."""
_WEBP_KEPT = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}
_MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


class Thumbnails:
    """Small JPEG versions of photos, the most recent ones cached in memory.

    Args:
        capacity: size of the cache in bytes.
    """

    def __init__(self, capacity: int = 64 * 2**20) -> None:
        self._capacity = capacity
        self._cache: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, photo: NDArray[np.uint8] | Path, side: int) -> bytes:
        """Return a JPEG that fits into a square.

        Args:
            photo: (h, w, 3) uint8 RGB, or a file.
            side: of the square in pixels.

        Raises:
            RequestError: The file is missing or cannot be read.
        """
        key = (_identity(photo), side)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        small = _thumbnail(photo, side)
        with self._lock:
            if key not in self._cache:
                self._cache[key] = small
                self._size += len(small)
            while self._size > self._capacity:
                self._size -= len(self._cache.popitem(last=False)[1])
        return small


def read_photo(path: Path) -> tuple[bytes, str]:
    """Return a photo of the index as browsers can show it, without metadata, and its media type.

    JPEG, PNG and WebP keep their pixels bit by bit; other formats become PNG.

    Raises:
        RequestError: The file is missing or cannot be read.
    """
    try:
        data = path.read_bytes()
        with Image.open(BytesIO(data)) as image:
            format, orientation = image.format or "", orientation_of(image)
        if format in _MEDIA_TYPES:
            return strip_metadata(data, format, orientation), _MEDIA_TYPES[format]
        return encode_png(decode_image(path)), "image/png"
    except Exception as exc:
        raise _unreadable() from exc


def strip_metadata(data: bytes, format: str, orientation: int = 1) -> bytes:
    """Return an image file without EXIF, XMP, IPTC, comments and data after its end.

    Pixels and color profile stay as they are; of the EXIF data only the orientation is kept.

    Args:
        data: a valid file.
        format: "JPEG", "PNG" or "WEBP".
        orientation: EXIF orientation, 1 to 8.
    """
    exif = b""
    if orientation in range(2, 9):
        tags = Image.Exif()
        tags[ORIENTATION] = orientation
        exif = tags.tobytes().removeprefix(b"Exif\0\0")
    strip = {"JPEG": _strip_jpeg, "PNG": _strip_png, "WEBP": _strip_webp}[format]
    return strip(data, exif)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a PNG of (h, w, 3) uint8 RGB."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _strip_jpeg(data: bytes, exif: bytes) -> bytes:
    parts, profile = [b"\xff\xd8"], False
    if exif:
        parts.append(b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif)
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            raise ValueError("no marker")
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == 0xD9:
            break
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xDA:  # a scan: until the next marker that is not part of it
            after = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]").search(data, end)
            end = after.start() if after else len(data)
            parts.append(data[place:end])
        elif marker in _JPEG_KEPT:
            parts.append(data[place:end])
        elif body := _jpeg_segment(marker, data[place + 4 : end], profile):
            profile = profile or marker == 0xE2
            parts.append(bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body)
        place = end
    return b"".join([*parts, b"\xff\xd9"])


def _jpeg_segment(marker: int, body: bytes, profile: bool) -> bytes:
    """Return what is kept of an application segment; b"" if nothing is.

    Args:
        marker: of the segment.
        body: its content.
        profile: whether the first part of a color profile came before it.
    """
    if marker == 0xE0 and body.startswith(_JFIF) and len(body) >= 14:
        return body[:12] + b"\0\0"  # without its thumbnail, which may show more than the photo
    if marker == 0xEE and body.startswith(_ADOBE):
        return body[:12]
    if marker == 0xE2 and body.startswith(_PROFILE) and (profile or _is_profile(body[14:])):
        return body
    return b""


def _is_profile(data: bytes) -> bool:
    """Return whether data begins like a color profile of the ICC."""
    return data[36:40] == b"acsp"


def _png_profile(body: bytes) -> bytes:
    """Return the chunk iCCP with a neutral name; b"" if it has no color profile."""
    packed = body.partition(b"\0")[2]
    try:
        start = zlib.decompressobj().decompress(packed[1:], 128)
    except zlib.error:
        return b""
    return _png_chunk(b"iCCP", b"icc\0" + packed) if _is_profile(start) else b""


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _strip_png(data: bytes, exif: bytes) -> bytes:
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        kind = data[place + 4 : place + 8]
        if kind in _PNG_KEPT or end - place - 12 <= _PNG_SIZES.get(kind, -1):
            parts.append(data[place:end])
        elif kind == b"iCCP":
            parts.append(_png_profile(data[place + 8 : end - 4]))
        if kind == b"IHDR" and exif:
            parts.append(_png_chunk(b"eXIf", exif))
        if kind == b"IEND":
            break
        place = end
    return b"".join(parts)


def _strip_webp(data: bytes, exif: bytes) -> bytes:
    chunks, place = [], 12
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while place + 8 <= end:
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        chunk = data[place : place + 8 + size + size % 2]
        if chunk[:4] in _WEBP_KEPT or (chunk[:4] == b"ICCP" and _is_profile(chunk[8:])):
            chunks.append(chunk)
        place += len(chunk)
    if chunks and chunks[0][:4] == b"VP8X":  # bit 2: XMP, bit 3: EXIF, bit 5: a color profile
        profile = any(chunk[:4] == b"ICCP" for chunk in chunks)
        flags = chunks[0][8] & ~0x2C | (0x08 if exif else 0) | (0x20 if profile else 0)
        chunks[0] = chunks[0][:8] + bytes([flags]) + chunks[0][9:]
        if exif:
            padding = b"\0" * (len(exif) % 2)
            chunks.append(b"EXIF" + struct.pack("<I", len(exif)) + exif + padding)
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _identity(photo: NDArray[np.uint8] | Path) -> str:
    if isinstance(photo, Path):
        try:
            status = photo.stat()
        except OSError as exc:
            raise _unreadable() from exc
        return f"{photo} {status.st_mtime_ns} {status.st_size}"
    return sha256(np.ascontiguousarray(photo).tobytes()).hexdigest()


def _thumbnail(photo: NDArray[np.uint8] | Path, side: int) -> bytes:
    try:
        if isinstance(photo, Path):
            with Image.open(photo) as opened:
                opened.draft("RGB", (side, side))  # decodes a JPEG at a fraction of its size
                image = Image.fromarray(rgb_of(opened, "the photo"))
        else:
            image = Image.fromarray(photo)
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = BytesIO()
        image.save(file, "JPEG", quality=85)
    except Exception as exc:
        raise _unreadable() from exc
    return file.getvalue()


def _unreadable() -> RequestError:
    return RequestError(
        404,
        "the photo of this item is not available",
        code="photo_unavailable",
        expected="the file that was indexed",
        advice="put the file back in its place, or update the index",
    )

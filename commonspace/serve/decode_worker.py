"""Process that decodes uploaded photos, one by one, from standard input to standard output.

Run by ``commonspace.serve.decoding``, which kills it at a limit of time. It limits its own memory
and processor time, so that a malicious file costs one worker and nothing else.
"""

import json
import os
import select
import signal
import struct
import sys
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from commonspace.allocator import trim_memory
from commonspace.data.images import rgb_of
from commonspace.errors import DataError

__all__ = ["FORMATS", "IDLE_SECONDS", "REPLY", "REQUEST", "ImageError", "decode", "main"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
REQUEST = struct.Struct(">IQIQ")
"""Longest side, maximum number of pixels, seconds, number of bytes that follow."""
REPLY = struct.Struct(">IQ")
"""Bytes of JSON that follow, bytes of pixels after it."""

IDLE_SECONDS = 0.5
"""Time without photos after which their memory is returned to the system."""
MAX_SEGMENTS = 2_000
"""JPEG segments before the first scan; honest files have at most some hundred."""
MAX_CHUNKS = 20_000
"""Chunks of a PNG."""
SCAN_FACTOR = 16
"""A progressive JPEG may go over its pixels as often as one scan over this many times the limit."""
SCALING = Image.Resampling.HAMMING
"""Half the time of Lanczos, and close to bicubic in quality."""
_RESIZABLE = ("RGB", "RGBA", "L", "LA", "CMYK", "YCbCr")


class ImageError(Exception):
    """A photo that cannot be used: HTTP status, code, and the parts of the message."""

    def __init__(self, status: int, code: str, problem: str, **parts: str) -> None:
        super().__init__(problem)
        self.reply = {"status": status, "code": code, "problem": problem, **parts}


def decode(data: bytes, side: int, max_pixels: int) -> NDArray[np.uint8]:
    """Return (h, w, 3) uint8 RGB of an image file, upright, its longest side at most ``side``.

    Args:
        data: the file.
        side: pixels; smaller images keep their size.
        max_pixels: number of pixels that may be decoded.

    Raises:
        ImageError: The format is not supported, or the file is damaged, cut short or too large.
    """
    try:
        _check_structure(data)  # before Pillow reads all of it
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check_scans(data, image, max_pixels)
            longest = max(image.size)
            if image.format == "JPEG" and longest > side:  # decodes 1/2, 1/4 or 1/8 of each side
                width, height = (max(1, each * side // longest) for each in image.size)
                image.draft(None, (width, height))
            if image.width * image.height > max_pixels:
                raise _too_large(
                    f"at most {max_pixels:,} pixels", f"{image.width} x {image.height}"
                )
            if longest > side and image.mode in _RESIZABLE:
                image.thumbnail((side, side), SCALING)
            return _bounded(rgb_of(image, "the image"), side)
    except (ImageError, MemoryError):
        raise
    except DataError as exc:
        raise ImageError(
            415,
            "image_unreadable",
            exc.problem,
            expected=exc.expected,
            found=exc.found,
            advice=exc.advice,
        ) from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise _too_large(f"at most {max_pixels:,} pixels", "many more") from exc
    except Exception as exc:  # decoders raise anything for a damaged file
        if _is_cut_short(data, exc):
            raise ImageError(
                415,
                "image_truncated",
                "the image file is cut short",
                expected="a complete file",
                found=f"{len(data):,} bytes, and no end of the image",
                advice="send it again",
            ) from exc
        raise ImageError(
            415,
            "image_unreadable",
            "the file is not an image that can be read",
            expected=", ".join(FORMATS),
            found=f"{len(data):,} bytes that start with {data[:8]!r}",
            advice="convert it to JPEG or PNG",
        ) from exc


def main() -> None:
    """Answer requests until standard input ends."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    for stream in (1, 2):  # what libraries print about a file reaches neither replies nor the log
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the service, which ends this
    _limit_memory(int(sys.argv[1]))
    while head := source.read(REQUEST.size):
        side, max_pixels, seconds, size = REQUEST.unpack(head)
        data = source.read(size)
        if len(data) < size:
            return
        _limit_time(seconds)
        _answer(target, data, side, max_pixels)
        _limit_time(0)
        del data
        _trim_when_idle(source)


def _answer(target: BinaryIO, data: bytes, side: int, max_pixels: int) -> None:
    try:
        pixels = decode(data, side, max_pixels)
        _write(target, {"shape": pixels.shape}, pixels.tobytes())
    except ImageError as exc:
        _write(target, exc.reply)
    except MemoryError:
        _write(target, _too_large("an image that fits into the memory limit", "").reply)


def _trim_when_idle(source: BinaryIO) -> None:
    """Return the memory of a photo to the system, unless the next one comes within a moment."""
    if sys.platform == "linux" and not select.select([source], [], [], IDLE_SECONDS)[0]:
        trim_memory()


def _bounded(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if max(pixels.shape[:2]) <= side:
        return pixels
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), SCALING)
    return np.asarray(image)


def _check_structure(data: bytes) -> None:
    """Refuse files of so many parts that reading them is far more work than their pixels."""
    if data[:2] == b"\xff\xd8" and _count_segments(data) > MAX_SEGMENTS:
        raise _too_large(f"at most {MAX_SEGMENTS:,} segments", "more")
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        place, chunks = 8, 0
        while place + 8 <= len(data):
            place += 12 + int.from_bytes(data[place : place + 4], "big")
            chunks += 1
            if chunks > MAX_CHUNKS:
                raise _too_large(f"at most {MAX_CHUNKS:,} chunks", "more")


def _check_scans(data: bytes, image: Image.Image, max_pixels: int) -> None:
    """Refuse a JPEG that goes over its pixels too often."""
    if image.format == "JPEG":
        scans = data.count(b"\xff\xda")
        if scans * image.width * image.height > SCAN_FACTOR * max_pixels:
            raise _too_large(
                f"at most {SCAN_FACTOR * max_pixels:,} pixels in all scans of a JPEG",
                f"{scans:,} scans of {image.width} x {image.height} pixels",
            )


def _count_segments(data: bytes) -> int:
    place, segments = 2, 0
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        segments += 1
        if segments > MAX_SEGMENTS:
            break
    return segments


def _is_cut_short(data: bytes, exc: Exception) -> bool:
    if "truncated" in str(exc).lower():
        return True
    if data[:2] == b"\xff\xd8":
        return b"\xff\xd9" not in data[-64:]
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return b"IEND" not in data[-64:]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    return False


def _too_large(expected: str, found: str) -> ImageError:
    return ImageError(
        413,
        "image_too_large",
        "the image is too large to decode",
        expected=expected,
        found=found,
        advice="send a smaller one",
    )


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _limit_time(seconds: int) -> None:
    """End the process when it has used so many further seconds of a processor; 0: no limit."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + seconds if seconds else hard
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _write(target: BinaryIO, reply: dict[str, Any], pixels: bytes = b"") -> None:
    head = json.dumps(reply).encode()
    target.write(REPLY.pack(len(head), len(pixels)) + head)
    target.write(pixels)
    target.flush()


if __name__ == "__main__":
    main()

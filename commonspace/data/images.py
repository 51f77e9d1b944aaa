"""Decoding of image files to (h, w, 3) uint8 RGB."""

from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from commonspace.atomic import replace_file, write_error
from commonspace.cache_folder import default_cache
from commonspace.data.reading import WarningLog, reading
from commonspace.errors import DataError, FileFormatError

__all__ = [
    "IMAGE_SUFFIXES",
    "ORIENTATION",
    "EncodedImages",
    "decode_image",
    "orientation_of",
    "rgb_of",
    "turn_upright",
    "unpacked_folder",
]

ORIENTATION = 0x0112
"""EXIF tag of the orientation."""
UNPACKED = 2**26
"""Bytes of an archive or table from which its images are unpacked into files."""

_MEMORY = 1_000_000_000
"""Bytes that decoding an image may take."""
_BYTES_A_PIXEL, _BY_FORMAT, _ANIMATED_WEBP = 8, {"WEBP": 17, "AVIF": 13}, 27
"""Bytes that decoding takes for each pixel, as measured."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ROWS = 256
"""Rows that are converted at a time."""

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif")
) | {".tiff", ".avif", ".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico"}


def decode_image(item: str | Path | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Open an image as it is meant to be seen.

    The EXIF orientation is applied; transparency is laid on white; palettes, gray, 16-bit gray and
    CMYK become 8-bit RGB; of an animation the first picture is taken. Color profiles are ignored.

    Args:
        item: a file, or an (h, w, 3) uint8 array, which is returned as it is.

    Returns:
        (h, w, 3) uint8, RGB.

    Raises:
        DataError: there is no such file, or the array has another form.
        FileFormatError: not an image, cut short, damaged, or so large that it looks like an attack.

    Example:
        >>> decode_image(np.zeros((2, 3, 3), np.uint8)).shape
        (2, 3, 3)
    """
    if isinstance(item, np.ndarray):
        if item.ndim != 3 or item.shape[2] != 3 or item.dtype != np.uint8:
            raise DataError(
                "an image array has the wrong form",
                expected="uint8 of shape (height, width, 3), RGB",
                found=f"{item.dtype} of shape {item.shape}",
                advice="convert it to 8-bit RGB",
            )
        return item
    path = Path(item)
    try:
        with reading(path, "an image file (JPEG, PNG, WebP, …)"), Image.open(path) as image:
            return rgb_of(image, str(path))
    except FileFormatError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            raise FileFormatError(
                f"{path} has too many pixels to be opened safely",
                expected=f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels",
                found=str(error.__cause__),
                advice="make it smaller if you trust it, or drop it",
            ) from error.__cause__
        raise


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of an image, 1 to 8; 1 if there is none, or it is damaged."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises nearly anything; browsers show such a photo as it is
        return 1
    return int(value) if value in range(1, 9) else 1


def turn_upright(image: Image.Image) -> Image.Image:
    """Return an image as its EXIF orientation says."""
    turn = _TURNS.get(orientation_of(image))
    return image if turn is None else image.transpose(turn)


def rgb_of(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Return an image that Pillow has opened as it is meant to be seen; see ``decode_image``.

    Args:
        image: opened; its pixels are decoded here.
        name: what to call it in messages.

    Returns:
        (h, w, 3) uint8, RGB.

    Raises:
        FileFormatError: its pixels have no agreed range.
        OSError: it is cut short or damaged, as Pillow says.
    """
    _fit_memory(image, name)
    image = turn_upright(image)
    if image.mode == "F":
        raise FileFormatError(
            f"{name} has floating-point pixels, which have no agreed range",
            expected="8 or 16 bits a channel",
            found="mode F",
            advice="convert it to 8-bit RGB",
        )
    width, height = image.size
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    transparent = image.has_transparency_data
    for top in range(0, height, _ROWS):  # as a whole, the copies would take several times as much
        part = image.crop((0, top, width, min(top + _ROWS, height)))
        pixels[top : top + _ROWS] = _strip(part, name, transparent=transparent)
    return pixels


def _strip(image: Image.Image, name: str, *, transparent: bool) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        return _from_deep_gray(np.asarray(image), name)
    if transparent:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def _fit_memory(image: Image.Image, name: str) -> None:
    """Let a large JPEG be decoded at a fraction of its size; refuse other images that are so large.

    Raises:
        FileFormatError: decoding would take more than 1 GB.
    """
    cost = _BY_FORMAT.get(image.format or "", _BYTES_A_PIXEL)
    if image.format == "WEBP" and getattr(image, "is_animated", False):
        cost = _ANIMATED_WEBP
    most, (width, height) = _MEMORY // cost, image.size
    if image.format == "JPEG" and width * height > most:  # decodes 1/2, 1/4 or 1/8 of each side
        part = next((part for part in (2, 4) if width * height <= most * part**2), 8)
        image.draft(None, (width // part, height // part))
    count = image.width * image.height
    if count > most:
        raise FileFormatError(
            f"{name} has too many pixels to be opened safely",
            expected=f"at most {most:,} pixels",
            found=f"{image.width} x {image.height}",
            advice="make it smaller, or drop it",
        )


class EncodedImages:
    """Images of an archive or table: decoded as they are added, or unpacked where they are large.

    Args:
        source: the file or folder that holds them.
        warnings: raises or records images that cannot be decoded.
        size: bytes of the source. From 64 MiB on, each image becomes a file in the cache folder,
            named after its content, so that the images take no memory.
        most: how many bytes the decoded images may take in all.
    """

    def __init__(
        self, source: Path, warnings: WarningLog, size: int = 0, most: int = 2 << 30
    ) -> None:
        self.source, self.warnings, self.most = source, warnings, most
        self.items: list[Any] = []
        self._size = 0
        self._folder = unpacked_folder(source) if size >= UNPACKED else None

    def add(self, content: bytes | str | None, name: str) -> None:
        """Append an image: its encoded bytes, its path as str, or None for no image.

        Raises:
            FileFormatError: strict, and the bytes are no image.
            DataError: all images together take more than ``most`` bytes.
            OutputError: it cannot be unpacked.
        """
        if not isinstance(content, bytes):
            self.items.append(content or None)
            return
        try:
            with (
                reading(Path(f"{self.source}, {name}"), "an image (JPEG, PNG, WebP, …)"),
                Image.open(BytesIO(content)) as image,
            ):
                if self._folder is not None:
                    suffix = f".{(image.format or 'bin').lower()}"
                    self.items.append(_unpack(content, self._folder, suffix))
                    return
                pixels = rgb_of(image, f"{self.source}, {name}")
        except FileFormatError as error:
            if isinstance(error.__cause__, UnidentifiedImageError):
                error = _unknown_image(Path(f"{self.source}, {name}"), content)
            self.warnings.report(error, instead="this sample has no image")
            self.items.append(None)
            return
        self._size += pixels.nbytes
        if self._size > self.most:
            raise DataError(
                f"the images in {self.source} are too many to be held in memory",
                expected=f"at most {self.most:,} bytes of pixels",
                found=f"more after {len(self.items)} images",
                advice="write them as files, with a metadata.jsonl that names them",
            )
        self.items.append(pixels)


def _unknown_image(path: Path, content: bytes) -> FileFormatError:
    return FileFormatError(
        f"{path} is no image",
        expected="an image (JPEG, PNG, WebP, …)",
        found=f"{len(content):,} bytes that begin with {content[:8]!r}",
        advice="write it as JPEG or PNG, or drop it",
    )


def unpacked_folder(source: Path) -> Path:
    """Return the folder in the cache that the images of an archive or table are unpacked into."""
    name = sha256(str(source.resolve()).encode()).hexdigest()[:24]
    return default_cache() / "unpacked" / name


def _unpack(content: bytes, folder: Path, suffix: str) -> Path:
    """Write an image file named after its content, unless it is there."""
    digest = sha256(content).hexdigest()[:40]
    path = folder / digest[:2] / (digest + suffix)
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise write_error(path, exc) from exc
        with replace_file(path, overwrite=True) as draft:
            draft.write_bytes(content)
    return path


def _from_deep_gray(pixels: NDArray[np.integer], name: str) -> NDArray[np.uint8]:
    """Scale 0..65535 to 0..255, rounded, and repeat it over the three channels."""
    if pixels.min(initial=0) < 0 or pixels.max(initial=0) > 65535:
        raise FileFormatError(
            f"{name} has pixels outside the range of 16 bits",
            expected="0 to 65535",
            found=f"{pixels.min()} to {pixels.max()}",
            advice="convert it to 8-bit RGB",
        )
    gray = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)

"""An image file of any usual kind -> (h, w, 3) uint8 RGB. Knows nothing of networks or sizes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from commonspace.data.columns import Column, Images
from commonspace.data.dataset import Dataset
from commonspace.data.files import reading
from commonspace.errors import DataError, FileFormatError

__all__ = ["check_images", "decode_image", "drop_unreadable_images", "rgb_of"]


def decode_image(item: str | Path | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Open an image as it is meant to be seen.

    The EXIF orientation is applied; transparency is laid on white; palettes, grey, 16-bit grey and
    CMYK become 8-bit RGB; of an animation the first picture is taken. Colour profiles are ignored.

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
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return _from_deep_grey(np.asarray(image), name)
    if image.mode == "F":
        raise FileFormatError(
            f"{name} has floating-point pixels, which have no agreed range",
            expected="8 or 16 bits a channel",
            found="mode F",
            advice="convert it to 8-bit RGB",
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def check_images(dataset: Dataset) -> list[str]:
    """Open every image file of a data set, and say of each that cannot be opened what is wrong.

    Args:
        dataset: columns that are not images are passed over.

    Returns:
        One sentence for each unreadable image, in the order of columns and samples.
    """
    return [sentence for found in _unreadable(dataset).values() for sentence in found.values()]


def drop_unreadable_images(dataset: Dataset) -> Dataset:
    """Open every image file of a data set, and return it without those that cannot be opened.

    Args:
        dataset: columns that are not images are passed over.

    Returns:
        The same data set, where such samples have no image and samples without any modality are
        left out; a sentence in ``warnings`` says so of each.
    """
    unreadable = {name: found for name, found in _unreadable(dataset).items() if found}
    if not unreadable:
        return dataset
    columns, problems = dict(dataset.columns), list(dataset.warnings)
    for name, found in unreadable.items():
        items = (None if row in found else item for row, item in enumerate(_items(columns[name])))
        columns[name] = Images(list(items))
        problems += [f"{sentence}: it has no {name}" for sentence in found.values()]
    some = np.any([column.present for column in columns.values()], axis=0)
    if not some.all():
        problems.append(f"samples left without any modality: {int((~some).sum())}, left out")
    rows = np.flatnonzero(some)
    columns = {name: column.take(rows) for name, column in columns.items()}
    return replace(dataset.take(rows), columns=columns, warnings=tuple(problems))


def _unreadable(dataset: Dataset) -> dict[str, dict[int, str]]:
    """Return modality -> row -> what is wrong with its image file."""
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside Python's global lock
        return {
            modality: {
                row: f"sample {dataset.ids[row]!r}: {problem}"
                for row, problem in enumerate(pool.map(_problem, _items(column)))
                if problem
            }
            for modality, column in dataset.columns.items()
            if isinstance(column, Images)
        }


def _items(column: Column) -> tuple[Path | NDArray[np.uint8] | None, ...]:
    assert isinstance(column, Images)
    return column.items


def _problem(item: Path | NDArray[np.uint8] | None) -> str:
    if not isinstance(item, Path):
        return ""
    try:
        decode_image(item)
    except DataError as error:
        return f"{error.problem} ({error.found})"
    return ""


def _from_deep_grey(pixels: NDArray[np.integer], name: str) -> NDArray[np.uint8]:
    """Scale 0..65535 to 0..255, rounded, and repeat it over the three channels."""
    if pixels.min(initial=0) < 0 or pixels.max(initial=0) > 65535:
        raise FileFormatError(
            f"{name} has pixels outside the range of 16 bits",
            expected="0 to 65535",
            found=f"{pixels.min()} to {pixels.max()}",
            advice="convert it to 8-bit RGB",
        )
    grey = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)

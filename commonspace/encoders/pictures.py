"""Whatever a caller may hand over as a picture -> (h, w, 3) uint8 RGB.

It knows nothing of file formats, which are the data room's, or of sizes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from commonspace.data.columns import Images
from commonspace.data.images import decode_image
from commonspace.errors import DataError

__all__ = ["Picture", "decoded", "pictures_of"]

Picture = str | Path | NDArray[np.uint8] | Image.Image
"""One picture: the path of a file, an (h, w, 3) uint8 RGB array, or a Pillow image."""


def pictures_of(
    items: Images | Sequence[Picture | None] | NDArray[np.uint8],
) -> Sequence[Picture | None] | NDArray[np.uint8]:
    """Return the pictures of a column, or those of a sequence.

    Raises:
        DataError: a single picture in place of several, or a column of another kind.
    """
    if isinstance(items, Images):
        return items.items
    single = isinstance(items, str | Path | Image.Image)
    if single or (isinstance(items, np.ndarray) and items.ndim != 4):
        raise DataError(
            "pictures come as a sequence",
            expected="a list of paths, arrays or Pillow images",
            found=f"one {type(items).__name__}",
            advice="put a single picture into a list: [picture]",
        )
    if not isinstance(items, Sequence | np.ndarray):
        raise DataError(
            "these items are no pictures",
            expected="a column of images, or a list of paths, arrays or Pillow images",
            found=repr(items)[:60],
            advice="this modality was fitted on pictures: give it pictures",
        )
    return items


def decoded(picture: Picture, row: int) -> NDArray[np.uint8]:
    """Return one picture as (h, w, 3) uint8 RGB.

    Args:
        picture: what was given.
        row: its place, for messages.

    Raises:
        DataError: it is not a picture.
        FileFormatError: a file cannot be decoded.
    """
    if isinstance(picture, Image.Image):
        layers = ImageOps.exif_transpose(picture).convert("RGBA")  # as files are decoded
        white = Image.new("RGBA", layers.size, "white")
        return np.asarray(Image.alpha_composite(white, layers).convert("RGB"))
    if isinstance(picture, str | Path | np.ndarray):
        return decode_image(picture)
    raise DataError(
        f"item {row} is not a picture",
        expected="a path, a uint8 array or a Pillow image",
        found=type(picture).__name__,
        advice="use None for a missing picture",
    )

"""Photos to a tensor of bytes, as networks trained on ImageNet expect them.

The shorter side is scaled to one length and the centre is cut out. Values stay uint8 from 0 to 255;
the backbone subtracts the mean. It knows nothing of file formats: decoding is the data room's.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from commonspace.data.columns import Images
from commonspace.encoders.pictures import Picture, decoded, pictures_of
from commonspace.errors import DataError, SettingError

__all__ = ["Photos"]

NARROWEST = 100
"""A longer side than this many times the shorter one would be scaled to gigabytes first."""


class Photos:
    """The input of VGG-19: resize 256, centre crop 224, exactly as its weights were trained.

    The shorter side becomes ``resize``, the longer one its share rounded down, by Pillow's
    antialiased bilinear interpolation; the crop begins at (side - crop) / 2, halves rounded to
    even. That is the usual evaluation pre-processing of the ImageNet checkpoints, bit for bit.

    Args:
        resize: the length of the shorter side, in pixels.
        crop: height and width of the centre.

    Raises:
        SettingError: the crop is larger than what it is cut from, or less than 1.

    Example:
        >>> Photos(resize=8, crop=6)([np.zeros((20, 30, 3), dtype=np.uint8)]).shape
        torch.Size([1, 3, 6, 6])
    """

    kind = "photos"

    def __init__(self, resize: int = 256, crop: int = 224) -> None:
        """Remember the two lengths."""
        if not 1 <= crop <= resize:
            raise SettingError(
                "the crop does not fit into the photo",
                expected=f"1 to {resize} pixels, the side that it is cut from",
                found=f"{crop}",
                advice="256 and 224 are usual",
            )
        self.resize = resize
        self.crop = crop

    def __repr__(self) -> str:
        """Return the call that makes this input."""
        return f"Photos(resize={self.resize}, crop={self.crop})"

    def __call__(
        self, items: Images | Sequence[Picture | None] | NDArray[np.uint8]
    ) -> torch.Tensor:
        """Return the photos as one tensor.

        Args:
            items: a column of images, or n pictures; None is a missing one.

        Returns:
            (n, 3, crop, crop) uint8 RGB; missing ones are zero.

        Raises:
            DataError: a single picture in place of several, one that is not a picture, or one
                that is more than 100 times as long as wide.
            FileFormatError: a file cannot be decoded.
        """
        pictures = pictures_of(items)
        table = np.zeros((len(pictures), self.crop, self.crop, 3), dtype=np.uint8)
        for row, picture in enumerate(pictures):
            if picture is not None:
                table[row] = self._centre(decoded(picture, row))
        return torch.from_numpy(table).permute(0, 3, 1, 2).contiguous()

    def _centre(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = picture.shape[:2]
        shorter = min(height, width)
        size = (self.resize * width // shorter, self.resize * height // shorter)
        if max(size) > NARROWEST * self.resize:
            raise DataError(
                "a picture is too narrow to be cut to its centre",
                expected=f"sides in a ratio of at most {NARROWEST} to 1",
                found=f"{width} x {height} pixels",
                advice="drop it, or cut it to the part that matters",
            )
        scaled = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
        left, top = (round((side - self.crop) / 2) for side in size)
        return np.asarray(scaled.crop((left, top, left + self.crop, top + self.crop)))

    def to_config(self) -> dict[str, Any]:
        """Return kind, resize and crop."""
        return {"kind": self.kind, "resize": self.resize, "crop": self.crop}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls(resize=config["resize"], crop=config["crop"])

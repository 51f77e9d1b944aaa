"""Pictures to a tensor of bytes: decoded, cut to the centre square, scaled to one side.

Values stay uint8 from 0 to 255, a quarter of the memory of float32; the backbone scales them. It
knows nothing of file formats: decoding is the data room's.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from commonspace.data.columns import Images
from commonspace.encoders.pictures import Picture, decoded, pictures_of
from commonspace.errors import SettingError

__all__ = ["Pixels"]


class Pixels:
    """The input of modalities that come as pictures.

    The largest centred square of a picture is scaled to ``side`` by antialiased bicubic
    interpolation, which is the same as scaling its shorter side and cutting the rest away. A
    picture that already has that form passes unchanged, bit for bit.

    Args:
        side: height and width of the result, in pixels.

    Raises:
        SettingError: the side is less than 1.

    Example:
        >>> Pixels(side=8)([np.zeros((20, 30, 3), dtype=np.uint8)]).shape
        torch.Size([1, 3, 8, 8])
    """

    kind = "pixels"

    def __init__(self, side: int = 64) -> None:
        """Remember the side that every picture is scaled to."""
        if side < 1:
            raise SettingError(
                "side is too small",
                expected="at least 1 pixel",
                found=f"{side}",
                advice="64 suits small networks",
            )
        self.side = side

    def __repr__(self) -> str:
        """Return the call that makes this input."""
        return f"Pixels(side={self.side})"

    def __call__(
        self, items: Images | Sequence[Picture | None] | NDArray[np.uint8]
    ) -> torch.Tensor:
        """Return the pictures as one tensor.

        Args:
            items: a column of images, or n pictures; None is a missing one. An (n, h, w, 3)
                uint8 array counts as n pictures.

        Returns:
            (n, 3, side, side) uint8 RGB, in memory channels last; missing ones are zero.

        Raises:
            DataError: a single picture in place of several, or one that is not a picture.
            FileFormatError: a file cannot be decoded.
        """
        pictures = pictures_of(items)
        squares = np.zeros((len(pictures), self.side, self.side, 3), dtype=np.uint8)

        def place(row: int) -> None:
            picture = pictures[row]
            if picture is not None:
                squares[row] = self._square(decoded(picture, row))

        with ThreadPoolExecutor() as pool:  # Pillow decodes and scales outside the lock
            for _ in pool.map(place, range(len(pictures))):
                pass
        return torch.from_numpy(squares).permute(0, 3, 1, 2)

    def _square(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = picture.shape[:2]
        if height == width == self.side:
            return picture
        shorter = min(height, width)
        left, top = (width - shorter) / 2, (height - shorter) / 2
        box = (left, top, left + shorter, top + shorter)
        scaled: NDArray[np.uint8] = np.asarray(
            Image.fromarray(picture).resize(
                (self.side, self.side), Image.Resampling.BICUBIC, box=box
            )
        )
        return scaled

    def to_config(self) -> dict[str, Any]:
        """Return kind and side."""
        return {"kind": self.kind, "side": self.side}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls(side=config["side"])

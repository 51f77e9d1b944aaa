"""Network input from images: decode, crop, pad or stretch, and scale to the side of the network."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from commonspace.data.columns import Images
from commonspace.data.images import decode_image, turn_upright
from commonspace.errors import DataError, SettingError, SpaceError
from commonspace.extras import optional

__all__ = ["FORMS", "Form", "Photos", "Picture", "Pixels", "Processed"]

Picture = str | Path | NDArray[np.uint8] | Image.Image
"""One image: the path of a file, an (h, w, 3) uint8 RGB array, or a Pillow image."""

Form = Literal["crop", "pad", "stretch"]

FORMS: tuple[Form, ...] = get_args(Form)
"""How a photo becomes a square: its center; the whole photo with white at its sides; the whole
photo with its sides scaled to one length."""

NARROWEST = 100
"""Largest ratio of the sides of a photo that is cropped: scaling it first would take gigabytes."""


class Pixels:
    """Center square of each image, scaled to one side: the input of networks without weights.

    Scaling is antialiased bicubic. An image that already has that size passes unchanged.

    Args:
        side: height and width of the result, in pixels.

    Raises:
        SettingError: If the side is less than 1.

    Example:
        >>> Pixels(side=8)([np.zeros((20, 30, 3), dtype=np.uint8)]).shape
        torch.Size([1, 3, 8, 8])
    """

    kind = "pixels"

    def __init__(self, side: int = 64) -> None:
        if side < 1:
            raise SettingError(
                f"`side` must be >= 1, got {side}",
                expected="at least 1 pixel",
                found=f"{side}",
                advice="64 suits small networks",
            )
        self.side = side

    def __repr__(self) -> str:
        return f"Pixels(side={self.side})"

    def __call__(
        self, items: Images | Sequence[Picture | None] | NDArray[np.uint8]
    ) -> torch.Tensor:
        """Return the images as one tensor.

        Args:
            items: a column of images, or n images; None is a missing one. An (n, h, w, 3)
                uint8 array counts as n images.

        Returns:
            (n, 3, side, side) uint8 RGB, in memory channels last; missing ones are zero.

        Raises:
            DataError: If the items are a single image, or one of them is not an image.
            FileFormatError: If a file cannot be decoded.
        """
        pictures = _pictures(items)
        squares = np.zeros((len(pictures), self.side, self.side, 3), dtype=np.uint8)

        def place(row: int) -> None:
            picture = pictures[row]
            if picture is not None:
                squares[row] = self._square(_decode(picture, row))

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
        image = Image.fromarray(picture)
        return np.asarray(image.resize((self.side, self.side), Image.Resampling.BICUBIC, box=box))

    def to_config(self) -> dict[str, Any]:
        """Return kind and side."""
        return {"kind": self.kind, "side": self.side}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls(side=config["side"])


class Photos:
    """Photos as square images: cropped, padded or stretched to the side of the network.

    "crop" scales the shorter side to ``resize`` and takes the center of ``side`` x ``side`` pixels:
    the usual evaluation pre-processing of ImageNet checkpoints, bit for bit. "pad" scales the
    longer side to ``side`` and fills the rest with white; "stretch" scales both sides to ``side``.
    Scaling is Pillow's antialiased bilinear interpolation.

    Args:
        resize: length of the shorter side before the crop, in pixels; used by "crop" only.
        side: height and width of the result, in pixels.
        form: one of ``FORMS``.

    Raises:
        SettingError: If a length is out of range, or the form is unknown.

    Example:
        >>> Photos(resize=8, side=6)([np.zeros((20, 30, 3), dtype=np.uint8)]).shape
        torch.Size([1, 3, 6, 6])
    """

    kind = "photos"

    def __init__(self, resize: int = 256, side: int = 224, form: Form = "crop") -> None:
        if form not in FORMS:
            raise SettingError(
                f"unknown form of a photo: {form!r}",
                expected=" or ".join(map(repr, FORMS)),
                found=repr(form),
                advice="'pad' shows the network the whole photo",
            )
        if side < 1 or (form == "crop" and side > resize):
            raise SettingError(
                f"`side` must be from 1 to {resize}, got {side}",
                expected=f"1 to {resize} pixels, the side that the center is cut from",
                found=f"{side}",
                advice="256 and 224 are usual",
            )
        self.resize = resize
        self.side = side
        self.form: Form = form

    def __repr__(self) -> str:
        return f"Photos(resize={self.resize}, side={self.side}, form={self.form!r})"

    def __call__(
        self, items: Images | Sequence[Picture | None] | NDArray[np.uint8]
    ) -> torch.Tensor:
        """Return the photos as one tensor.

        Args:
            items: a column of images, or n images; None is a missing one.

        Returns:
            (n, 3, side, side) uint8 RGB; missing ones are zero.

        Raises:
            DataError: If the items are a single image, one of them is not an image, or one to be
                cropped is more than 100 times as long as wide.
            FileFormatError: If a file cannot be decoded.
        """
        pictures = _pictures(items)
        table = np.zeros((len(pictures), self.side, self.side, 3), dtype=np.uint8)
        make = {"crop": self._crop, "pad": self._pad, "stretch": self._stretch}[self.form]
        for row, picture in enumerate(pictures):
            if picture is not None:
                table[row] = make(_decode(picture, row))
        return torch.from_numpy(table).permute(0, 3, 1, 2).contiguous()

    def _crop(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = picture.shape[:2]
        shorter = min(height, width)
        size = (self.resize * width // shorter, self.resize * height // shorter)
        if max(size) > NARROWEST * self.resize:
            raise DataError(
                "the image is too narrow for a center crop",
                expected=f"sides in a ratio of at most {NARROWEST} to 1",
                found=f"{width} x {height} pixels",
                advice="drop it, or cut it to the part that matters",
            )
        scaled = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
        left, top = (round((length - self.side) / 2) for length in size)
        return np.asarray(scaled.crop((left, top, left + self.side, top + self.side)))

    def _pad(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = picture.shape[:2]
        longer = max(height, width)
        rows, columns = (max(1, round(self.side * length / longer)) for length in (height, width))
        scaled = Image.fromarray(picture).resize((columns, rows), Image.Resampling.BILINEAR)
        square = np.full((self.side, self.side, 3), 255, dtype=np.uint8)
        top, left = (self.side - rows) // 2, (self.side - columns) // 2
        square[top : top + rows, left : left + columns] = np.asarray(scaled)
        return square

    def _stretch(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image = Image.fromarray(picture)
        return np.asarray(image.resize((self.side, self.side), Image.Resampling.BILINEAR))

    def to_config(self) -> dict[str, Any]:
        """Return kind, form and lengths."""
        lengths = {"resize": self.resize, "side": self.side}
        return {"kind": self.kind, "form": self.form, **lengths}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls(resize=config["resize"], side=config["side"], form=config["form"])


class Processed:
    """Images prepared by the image processor of a transformers model.

    Where the processor ends in the usual scaling and standardization, the network does that part,
    so that images travel as bytes, a quarter of the memory.

    Args:
        processor: name of a class of transformers.
        settings: what that class is built from.
        as_bytes: whether scaling and standardization are left to the network.

    Raises:
        MissingExtraError: If transformers is not installed.
        SpaceError: If the installed version has no such processor.
    """

    kind = "processed"

    def __init__(self, processor: str, settings: Mapping[str, Any], as_bytes: bool) -> None:
        transformers = optional("transformers", "reading images for a pretrained model")
        build = getattr(transformers, processor, None) if _is_processor(processor) else None
        if build is None:
            raise SpaceError(
                f"there is no image processor {processor!r}",
                expected="one that the installed transformers has",
                found=f"transformers {transformers.__version__}",
                advice="install the version of transformers that the space was made with",
            )
        self.processor = processor
        self.settings = dict(settings)
        self.as_bytes = as_bytes
        self._process = build(**self.settings)
        self._options = {"do_rescale": False, "do_normalize": False} if as_bytes else {}

    def __repr__(self) -> str:
        return f"Processed({self.processor})"

    def __call__(
        self, items: Images | Sequence[Picture | None] | NDArray[np.uint8]
    ) -> torch.Tensor:
        """Return the images as one tensor.

        Args:
            items: a column of images, or n images; None is a missing one.

        Returns:
            (n, 3, h, w), uint8 RGB in 0..255, or floats as the model expects them; missing ones
            are zero.

        Raises:
            DataError: If the items are a single image, one of them is not an image, or the
                processor does not support it.
            FileFormatError: If a file cannot be decoded.
        """
        pictures = _pictures(items)
        made = [
            torch.zeros(()) if picture is None else self._prepare(_decode(picture, row))
            for row, picture in enumerate(pictures)
        ]
        shape = next((image for image in made if image.ndim), torch.zeros(3, 1, 1))
        return torch.stack([image if image.ndim else torch.zeros_like(shape) for image in made])

    def _prepare(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        try:
            values = self._process(
                picture, return_tensors="np", input_data_format="channels_last", **self._options
            )["pixel_values"][0]
        except (ValueError, TypeError, ArithmeticError, MemoryError) as exc:
            raise DataError(
                "the image processor of the model does not support an image",
                expected=f"an image that {self.processor} supports",
                found=f"{picture.shape[1]} x {picture.shape[0]} pixels: {exc}",
                advice="drop it, or cut it to the part that matters",
            ) from exc
        return torch.from_numpy(np.ascontiguousarray(values))

    def to_config(self) -> dict[str, Any]:
        """Return kind, the name and settings of the processor, and where values are scaled."""
        return {
            "kind": self.kind,
            "processor": self.processor,
            "settings": self.settings,
            "as_bytes": self.as_bytes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls(config["processor"], config["settings"], config["as_bytes"])


def _is_processor(name: str) -> bool:
    """Whether a class is an image processor by its name: a saved config names no other class."""
    return "ImageProcessor" in name


def _pictures(
    items: Images | Sequence[Picture | None] | NDArray[np.uint8],
) -> Sequence[Picture | None] | NDArray[np.uint8]:
    """Return the images of a column or a sequence, refusing a single image."""
    if isinstance(items, Images):
        return items.items
    single = isinstance(items, str | Path | Image.Image)
    if single or (isinstance(items, np.ndarray) and items.ndim != 4):
        raise DataError(
            "expected a sequence of images",
            expected="a list of paths, arrays or Pillow images",
            found=f"one {type(items).__name__}",
            advice="put a single image into a list: [image]",
        )
    if not isinstance(items, Sequence | np.ndarray):
        raise DataError(
            "these items are not images",
            expected="a column of images, or a list of paths, arrays or Pillow images",
            found=repr(items)[:60],
            advice="this modality was fitted on images: give it images",
        )
    return items


def _decode(picture: Picture, row: int) -> NDArray[np.uint8]:
    """Return one image as (h, w, 3) uint8 RGB; ``row`` is its position, for messages."""
    if isinstance(picture, Image.Image):
        layers = turn_upright(picture).convert("RGBA")  # as files are decoded
        white = Image.new("RGBA", layers.size, "white")
        return np.asarray(Image.alpha_composite(white, layers).convert("RGB"))
    if isinstance(picture, str | Path | np.ndarray):
        return decode_image(picture)
    raise DataError(
        f"item {row} is not an image",
        expected="a path, a uint8 array or a Pillow image",
        found=type(picture).__name__,
        advice="use None for a missing image",
    )

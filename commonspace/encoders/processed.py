"""Pictures to what a pretrained model reads, by the model's own image processor.

The processor's settings are a JSON object, which a saved space carries. Where they end in the
usual scaling and standardising, that part is left to the backbone, so that pictures travel as bytes,
a quarter of the memory. It knows nothing of the model.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data.columns import Images
from commonspace.encoders.pictures import Picture, decoded, pictures_of
from commonspace.errors import DataError, SpaceError
from commonspace.extras import optional

__all__ = ["Processed"]


class Processed:
    """The input of modalities that come as pictures and are read by a pretrained model.

    Args:
        processor: the name of a class of transformers.
        settings: what that class is built from.
        as_bytes: whether scaling and standardising are left out.

    Raises:
        MissingExtraError: transformers is not installed.
        SpaceError: the installed version has no such processor.
    """

    kind = "processed"

    def __init__(self, processor: str, settings: Mapping[str, Any], as_bytes: bool) -> None:
        """Build the processor."""
        transformers = optional("transformers", "reading pictures for a pretrained model")
        found = getattr(transformers, processor, None)
        if found is None:
            raise SpaceError(
                f"there is no image processor {processor!r}",
                expected="one that the installed transformers has",
                found=f"transformers {transformers.__version__}",
                advice="install the version of transformers that the space was made with",
            )
        self.processor = processor
        self.settings = dict(settings)
        self.as_bytes = as_bytes
        self._process = found(**self.settings)
        self._options = {"do_rescale": False, "do_normalize": False} if as_bytes else {}

    def __repr__(self) -> str:
        """Return the processor's name."""
        return f"Processed({self.processor})"

    def __call__(
        self, items: Images | Sequence[Picture | None] | NDArray[np.uint8]
    ) -> torch.Tensor:
        """Return the pictures as one tensor.

        Args:
            items: a column of images, or n pictures; None is a missing one.

        Returns:
            (n, 3, h, w), uint8 RGB in 0..255, or floats as the model wants them; missing ones
            are zero.

        Raises:
            DataError: a single picture in place of several, one that is not a picture, or one
                that the processor cannot handle.
            FileFormatError: a file cannot be decoded.
        """
        pictures = pictures_of(items)
        made = [
            torch.zeros(()) if picture is None else self._one(decoded(picture, row))
            for row, picture in enumerate(pictures)
        ]
        shape = next((one for one in made if one.ndim), torch.zeros(3, 1, 1))
        return torch.stack([one if one.ndim else torch.zeros_like(shape) for one in made])

    def _one(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        try:
            values = self._process(
                picture, return_tensors="np", input_data_format="channels_last", **self._options
            )["pixel_values"][0]
        except (ValueError, TypeError, ArithmeticError, MemoryError) as exc:
            raise DataError(
                "a picture cannot be prepared for the model",
                expected=f"what {self.processor} can handle",
                found=f"{picture.shape[1]} x {picture.shape[0]} pixels: {exc}",
                advice="drop it, or cut it to the part that matters",
            ) from exc
        return torch.from_numpy(np.ascontiguousarray(values))

    def to_config(self) -> dict[str, Any]:
        """Return kind, the processor's name, its settings, and where standardising happens."""
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

"""Network input from feature vectors, checked for shape and finite values."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike

from commonspace.data.columns import Features
from commonspace.data.row_blocks import largest_by_row, row_blocks, rows_on_disk, to_rows
from commonspace.errors import DataError

__all__ = ["Vectors"]

LARGEST = 1e15
"""Rows with a larger absolute value are scaled down to it, so that squares stay finite."""


class Vectors:
    """The input of modalities that come as feature vectors.

    Args:
        size: d, the length of one vector.

    Example:
        >>> Vectors(size=2)([[0.5, 1.0], [2.0, 3.0]])
        tensor([[0.5000, 1.0000],
                [2.0000, 3.0000]])
    """

    kind = "vectors"

    def __init__(self, size: int) -> None:
        self.size = size

    def __repr__(self) -> str:
        """Return the call that makes this input."""
        return f"Vectors(size={self.size})"

    def __call__(self, items: Features | torch.Tensor | ArrayLike) -> torch.Tensor:
        """Return the vectors as one tensor, which may share the memory of the items.

        Args:
            items: a column of features, or real numbers of shape (n, d).

        Returns:
            (n, d) float32; the rows of missing entries are zero, and rows with values beyond
            ±1e15 are scaled down to them.

        Raises:
            DataError: If they are not two-dimensional, not of size d, or a present value is not
                finite.
        """
        column = items if isinstance(items, Features) else _features(items)
        if column.size != self.size:
            raise DataError(
                "feature vectors have the wrong size",
                expected=f"{self.size} numbers in each row",
                found=f"{column.size}",
                advice="extract them with the model that made the training features",
            )
        values = column.values
        if not column.present.all() or not values.flags.writeable:
            values = to_rows(values)
            values[~column.present] = 0
        largest = largest_by_row(values)
        if (largest > LARGEST).any():
            scale = (LARGEST / np.maximum(largest, LARGEST)).astype(np.float32)
            given, values = values, rows_on_disk(len(column), column.size)
            for rows in row_blocks(given):
                values[rows] = given[rows] * scale[rows, None]
        return torch.from_numpy(values)

    def to_config(self) -> dict[str, Any]:
        """Return kind and size."""
        return {"kind": self.kind, "size": self.size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls(size=config["size"])


def _features(items: torch.Tensor | ArrayLike) -> Features:
    if isinstance(items, torch.Tensor):
        return Features(items.detach().to("cpu", torch.float32).numpy())
    try:
        return Features(items)
    except DataError:
        raise
    except (TypeError, ValueError) as exc:  # rows of different lengths
        rows = f"{len(items)} rows" if isinstance(items, Sequence) else type(items).__name__
        raise DataError(
            "feature vectors do not form a table",
            expected="rows of equally many real numbers",
            found=f"{rows}: {exc}",
            advice="give an array of shape (samples, size)",
        ) from exc

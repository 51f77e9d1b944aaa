"""Random numbers for each row of a batch, as a layer."""

import torch
from torch import Tensor, nn

__all__ = ["RowNoise"]


class RowNoise(nn.Module):
    """Uniform random numbers for each row of a batch, from torch's global generator.

    A layer, so that a training by several processes can draw them for the whole batch.

    Example:
        >>> RowNoise()(2, 3).shape
        torch.Size([2, 3])
    """

    def forward(self, rows: int, *shape: int, device: torch.device | None = None) -> Tensor:
        """Return (rows, *shape) float32 numbers in [0, 1)."""
        return torch.rand(rows, *shape, device=device)

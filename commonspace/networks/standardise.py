"""Bytes of pictures -> the numbers that a network was trained on, channel by channel."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["standardised"]


def standardised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return (x - mean) / std for each channel of pictures with values x in [0, 1].

    Args:
        images: (n, c, h, w) uint8 in 0..255, which are divided by 255, or floats in [0, 1].
        mean: c numbers.
        std: c numbers.

    Returns:
        (n, c, h, w) float32, or the type of the floats that came.

    Example:
        >>> standardised(torch.full((1, 1, 1, 2), 255, dtype=torch.uint8), [0.5], [0.25])
        tensor([[[[2., 2.]]]])
    """
    values = images.float().div_(255) if images.dtype == torch.uint8 else images
    shift = torch.as_tensor(mean, dtype=values.dtype, device=values.device)[:, None, None]
    scale = torch.as_tensor(std, dtype=values.dtype, device=values.device)[:, None, None]
    return (values - shift) / scale

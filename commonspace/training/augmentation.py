"""Random changes of photos during training: mirror images, shifts, sizes, rotations, light.

They work on a whole batch of network input, before its standardization.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

__all__ = ["augment"]

SHIFT = 0.1
"""Largest shift, as a part of the side."""
ZOOM = 0.15
"""Largest change of the size, as a part of it."""
ROTATION = 8.0
"""Largest rotation in degrees."""
LIGHT = 0.2
"""Largest change of brightness and of contrast, as a part of them."""


def augment(images: Tensor, among: int | None = None, start: int = 0) -> Tensor:
    """Return each image mirrored in half of the cases, moved, scaled, rotated and relit at random.

    What comes into view from outside repeats the border, so that a photo padded with white stays
    so. Random numbers come from torch's global generator.

    Args:
        images: (n, 3, h, w) uint8 in 0..255, or float32 in [0, 1] or standardized.
        among: Number of images of the whole batch, if these are a part of it: numbers are drawn for
            all, so that every process of a training draws the same; None: n.
        start: Number of images before this part.

    Returns:
        The same shape and dtype; channels last in memory, which convolutions on CPUs prefer.

    Example:
        >>> white = torch.full((2, 3, 8, 8), 255, dtype=torch.uint8)
        >>> augment(white).shape, augment(white).dtype
        (torch.Size([2, 3, 8, 8]), torch.uint8)
    """
    n, device = len(images), images.device
    among = n if among is None else among
    part = slice(start, start + n)
    between = torch.rand(6, among, device=device)[:, part] * 2 - 1
    light = 1 + LIGHT * (torch.rand(2, among, 1, 1, 1, device=device)[:, part] * 2 - 1)
    if not n:
        return images
    values = images.float().contiguous(memory_format=torch.channels_last)
    mirror = torch.where(between[0] < 0, -1.0, 1.0)
    size = 1 + ZOOM * between[1]
    angle = math.radians(ROTATION) * between[2]
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2, n)
    scaled = (turn * size).permute(2, 0, 1) * torch.stack(
        [mirror, torch.ones(n, device=device)], 1
    )[:, None]
    shift = 2 * SHIFT * between[3:5].T[:, :, None]  # a side is 2 long in the coordinates of a grid
    grid = affine_grid(torch.cat([scaled, shift], dim=2), list(values.shape), align_corners=False)
    moved = grid_sample(values, grid, padding_mode="border", align_corners=False)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    relit = (moved - mean) * light[0] + mean * light[1]
    if images.dtype == torch.uint8:
        return relit.round_().clamp_(0, 255).to(torch.uint8)
    return relit

"""A small convolutional backbone for images, trained from scratch in seconds on a CPU."""

import torch
from torch import nn
from torch.nn.functional import affine_grid, grid_sample

from commonspace.networks.backbones.noise import RowNoise

__all__ = ["ImageCNN"]


class ImageCNN(nn.Module):
    """A convolutional network for images of at least 16 x 16 pixels.

    Four convolutions each halve the side, the first by its stride, the others by a 2 x 2 maximum;
    then the mean and the maximum over all positions pass a linear layer. During training, each
    image is randomly shifted, scaled, rotated, mirrored and tinted, by torch's global generator:
    with few training images this matters most.

    Args:
        size: Length of a feature vector.
        width: Channels of the first convolution; the others have 2, 4 and 8 times as many.
        augment: Whether images are augmented during training.

    Example:
        >>> backbone = ImageCNN(size=8, width=4).eval()
        >>> backbone(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape
        torch.Size([2, 8])
    """

    def __init__(self, size: int = 256, width: int = 24, augment: bool = True) -> None:
        super().__init__()
        self.size = size
        self.augment = augment
        self.noise = RowNoise()
        self.layers = nn.Sequential(
            _convolution(3, width, kernel=5, stride=2),
            _convolution(width, 2 * width, pool=2),
            _convolution(2 * width, 4 * width, pool=2),
            _convolution(4 * width, 8 * width, pool=2),
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.out = nn.Linear(2 * 8 * width, size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features of the images.

        Args:
            images: (n, 3, h, w) uint8 in 0..255, or floats in [0, 1].

        Returns:
            (n, size) float32, or the lower precision under autocast.
        """
        if images.dtype == torch.uint8:
            images = images.float() / 255
        if self.training and self.augment:
            images = _augment(images, self.noise(len(images), 11))
        maps = self.layers((2 * images - 1).contiguous(memory_format=torch.channels_last))
        features: torch.Tensor = self.out(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1))
        return features


def _convolution(
    source: int, target: int, *, kernel: int = 3, stride: int = 1, pool: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        # No bias: the norm subtracts the mean, and any bias with it.
        nn.Conv2d(source, target, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.MaxPool2d(pool) if pool > 1 else nn.Identity(),
        nn.BatchNorm2d(target),
        nn.ReLU(inplace=True),
    )


def _augment(images: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return each image shifted, scaled, rotated, mirrored and tinted at random.

    Shift: up to 1/8 of the side; scale: up to 1.22 times; rotation: up to 0.15 radians; tint: each
    channel times 0.7 to 1.3 and plus -0.15 to 0.15. Pixels beyond the border are reflected.

    Args:
        images: (n, 3, h, w).
        noise: (n, 11) in [0, 1), on the CPU, so that a seed gives the same images on every device.
    """
    if not len(images):
        return images
    noise = (2 * noise - 1).to(images.device, images.dtype)
    scale, angle = torch.exp(0.2 * noise[:, 0]), 0.15 * noise[:, 1]
    mirror = torch.where(noise[:, 2] < 0, -1, 1)
    cos, sin, shift = scale * angle.cos(), scale * angle.sin(), 0.25 * noise[:, 3:5]
    rows = (
        torch.stack([mirror * cos, -sin, shift[:, 0]], dim=1),
        torch.stack([mirror * sin, cos, shift[:, 1]], dim=1),
    )
    grid = affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    shifted = grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    gain, offset = 1 + 0.3 * noise[:, 5:8], 0.15 * noise[:, 8:11]
    return shifted * gain[:, :, None, None] + offset[:, :, None, None]

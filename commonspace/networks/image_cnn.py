"""A small convolutional trunk for pictures, trained from nothing in seconds on a CPU.

Four convolutions, each halving the side, then the mean and the maximum over what is left. It
knows nothing of files, labels or losses; it takes any picture of at least 16 x 16 pixels.
"""

import torch
from torch import nn

__all__ = ["ImageCNN"]


class ImageCNN(nn.Module):
    """Pictures -> feature vectors.

    Args:
        size: length of a feature vector.
        width: channels of the first convolution; the others have 2, 4 and 8 times as many.

    Example:
        >>> trunk = ImageCNN(size=8, width=4).eval()
        >>> trunk(torch.zeros(2, 3, 64, 64, dtype=torch.uint8)).shape
        torch.Size([2, 8])
    """

    def __init__(self, size: int = 256, width: int = 32) -> None:
        """Build the layers with torch's default initialisation."""
        super().__init__()
        self.size = size
        widths = [width, 2 * width, 4 * width, 8 * width]
        sources = [3, *widths[:-1]]
        self.layers = nn.Sequential(
            *(
                _halving(source, target, kernel)
                for source, target, kernel in zip(sources, widths, (5, 3, 3, 3), strict=True)
            )
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.out = nn.Linear(2 * widths[-1], size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features of the pictures.

        Args:
            images: (n, 3, h, w) uint8 in 0..255, or floats in [0, 1].

        Returns:
            (n, size) float32, or the lower precision under autocast.
        """
        if images.dtype == torch.uint8:
            images = images.float() / 255
        maps = self.layers((2 * images - 1).contiguous(memory_format=torch.channels_last))
        features: torch.Tensor = self.out(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1))
        return features


def _halving(source: int, target: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        # The norm subtracts the mean, a bias with it.
        nn.Conv2d(source, target, kernel, stride=2, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(target),
        nn.ReLU(inplace=True),
    )

"""VGG-19 up to its second fully connected layer (fc7)."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from commonspace.networks.backbones.base import PretrainedBackbone, standardize

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "VGG19"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of the red, green and blue values of the ImageNet training images, in [0, 1]."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of the same values."""

BLOCKS = ((1, 2), (2, 2), (4, 4), (8, 4), (8, 4))
"""Width of each block, in units of the first, and its number of 3 x 3 convolutions."""


class VGG19(PretrainedBackbone):
    """VGG-19 without the classifier of the ImageNet classes, for images of 224 x 224 pixels.

    Five blocks of 3 x 3 convolutions, each ending in a 2 x 2 maximum; their output, averaged to
    7 x 7, passes fc6 and fc7. Dropout follows fc6 during training. Weights have the names of the
    common ImageNet checkpoints: ``features.<n>``, ``classifier.0`` and ``classifier.3``.

    Source: Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image
    Recognition, ICLR 2015, configuration E.

    Args:
        batch_norm: Whether a batch norm follows each convolution.
        before_relu: Whether the features are fc7 before its ReLU instead of after it.
        width: Channels of the first block; 64 is VGG-19, smaller values are for tests.
        size: Length of fc6, of fc7, and so of a feature vector; 4096 is VGG-19.

    Example:
        >>> VGG19(width=2, size=8).eval()(torch.zeros(1, 3, 224, 224, dtype=torch.uint8)).shape
        torch.Size([1, 8])
    """

    def __init__(
        self,
        batch_norm: bool = False,
        before_relu: bool = False,
        width: int = 64,
        size: int = 4096,
    ) -> None:
        super().__init__()
        self.size = size
        self.features = nn.Sequential(*_convolutions(width, batch_norm))
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(BLOCKS[-1][0] * width * 7 * 7, size),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(size, size),
            nn.Identity() if before_relu else nn.ReLU(inplace=True),
        )
        self._checkpointing = False

    def forward(self, images: Tensor) -> Tensor:
        """Return the output of fc7.

        Args:
            images: (n, 3, 224, 224) uint8 RGB in 0..255, or floats in [0, 1].

        Returns:
            (n, size) float32, or the lower precision under autocast.
        """
        maps = standardize(images, IMAGENET_MEAN, IMAGENET_STD)
        if self._checkpointing and self.training and torch.is_grad_enabled():
            for block in self._blocks():
                maps = checkpoint(block, maps, use_reentrant=False)
        else:
            maps = self.features(maps)
        features: Tensor = self.classifier(self.avgpool(maps).flatten(1))
        return features

    def top(self) -> Sequence[nn.Module]:
        """Return the fully connected layers, fc6 and fc7."""
        return (self.classifier,)

    def checkpoint_gradients(self) -> None:
        """Store only the input of each of the five blocks, and compute the rest again."""
        self._checkpointing = True

    def _blocks(self) -> Iterator[nn.Module]:
        start = 0
        for position, layer in enumerate(self.features):
            if isinstance(layer, nn.MaxPool2d):
                yield self.features[start : position + 1]
                start = position + 1


def _convolutions(width: int, batch_norm: bool) -> Iterator[nn.Module]:
    source = 3
    for factor, count in BLOCKS:
        for _ in range(count):
            yield nn.Conv2d(source, factor * width, 3, padding=1)
            if batch_norm:
                yield nn.BatchNorm2d(factor * width)
            yield nn.ReLU(inplace=True)
            source = factor * width
        yield nn.MaxPool2d(2)

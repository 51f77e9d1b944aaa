"""Base class of backbones with pretrained weights: which layers are fine-tuned."""

from collections.abc import Callable, Sequence
from typing import Literal, Self, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from commonspace.errors import SettingError
from commonspace.networks.backbones.lora import add_lora

__all__ = ["FINE_TUNING", "FineTuning", "PretrainedBackbone", "mean_of_views", "standardize"]

FineTuning = Literal["none", "top", "all", "lora", "auto"]

FINE_TUNING: tuple[FineTuning, ...] = ("none", "top", "all", "lora", "auto")
"""What is trained: nothing, the last block, all layers, low-rank updates of the linear layers, or
what validation decides between."""


TOGETHER = 32
"""Texts, or photos of 224 pixels, whose activations are kept for the gradient at a time. Those of a
photo take about 150 MB in MobileNetV2."""
PHOTO = 3 * 224 * 224
"""Numbers of a photo of 224 pixels."""


class PretrainedBackbone(nn.Module):
    """Base class of backbones with pretrained weights.

    The memory of training does not grow with the batch: a batch of more pixels than 32 photos of
    224 x 224, or of more than 32 texts, is computed in parts, whose activations are computed a
    second time for the gradient. So a loss that compares all samples of a batch can have a large
    one (Gao et al.: Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup,
    RepL4NLP 2021).

    Frozen layers have ``requires_grad`` off and stay in evaluation mode, whatever the mode of the
    network around them. The running statistics of batch norm never change, since those of the
    pretraining images are better than those of small batches; its weights are trained with their
    block. In a checkpoint whose batch norms were folded into the convolutions, statistics of
    batches destroy the network: MobileNetV2 converted from TFLite had a loss of 3.99 after 40 steps
    with them, and 1.03 without.
    """

    size: int
    """Length of a feature vector."""

    def __init__(self) -> None:
        super().__init__()
        self._trained: FineTuning = "all"

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return (n, size) features, with the activations of at most one part in memory.

        Args:
            inputs: (n, ...) items as ``forward`` takes them.
        """
        call = super().__call__
        photos = inputs.ndim == 4
        most = max(1, TOGETHER * PHOTO // max(1, inputs[:1].numel())) if photos else TOGETHER
        if not (self.training and torch.is_grad_enabled()) or len(inputs) <= most:
            return cast(Tensor, call(inputs))
        parts = [checkpoint(call, part, use_reentrant=False) for part in torch.split(inputs, most)]
        return torch.cat(cast(list[Tensor], parts))

    def top(self) -> Sequence[nn.Module]:
        """Return the modules of the last block, which "top" trains."""
        raise NotImplementedError

    def checkpoint_gradients(self) -> None:
        """Store fewer activations during training and compute them again: less memory, more time.

        Raises:
            SettingError: If this architecture does not support it.
        """
        raise SettingError(
            f"gradient checkpointing is not supported by {type(self).__name__}",
            expected="a backbone with gradient checkpointing, such as vgg19",
            found="one without",
            advice="leave the option out and choose a smaller batch",
        )

    def fine_tune(self, layers: FineTuning) -> None:
        """Choose the layers that are trained.

        Args:
            layers: "none", "top" (the last block), "all", or "lora", which adds trainable updates
                of low rank to all linear layers; ``merge_lora`` makes them part of the weights.

        Raises:
            SettingError: If ``layers`` is another value, or there is no linear layer for "lora".
            MissingExtraError: If "lora" needs a package that is not installed.
        """
        if layers not in FINE_TUNING or layers == "auto":
            raise SettingError(
                f"`fine_tune` of a backbone must be one of 'none', 'top', 'all', 'lora',"
                f" got {layers!r}",
                advice="'none' freezes the backbones, 'all' trains all of their layers",
            )
        if layers == "lora":
            add_lora(self)
            self._trained = "all"  # what is trained is marked by requires_grad
            self.train(self.training)
            return
        self._trained = layers
        self.requires_grad_(layers == "all")
        if layers == "top":
            for module in self.top():
                module.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the trained layers; frozen ones stay in evaluation mode."""
        super().train(mode and self._trained == "all")
        if self._trained == "top":
            for module in self.top():
                module.train(mode)
        self.training = mode and self._trained != "none"
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self


def standardize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return (x - mean) / std for each channel of images with values x in [0, 1].

    Args:
        images: (n, c, h, w) uint8 in 0..255, which are divided by 255, or floats in [0, 1].
        mean: c numbers.
        std: c numbers.

    Returns:
        (n, c, h, w) float32, or the type of the input floats; on a CPU with the channels of a pixel
        side by side in memory, which makes convolutions a tenth (VGG-19) to a third (MobileNetV2)
        faster.

    Example:
        >>> standardize(torch.full((1, 1, 1, 2), 255, dtype=torch.uint8), [0.5], [0.25])
        tensor([[[[2., 2.]]]])
    """
    if images.device.type == "cpu":
        images = images.contiguous(memory_format=torch.channels_last)
    values = images.float().div_(255) if images.dtype == torch.uint8 else images
    shift = torch.as_tensor(mean, dtype=values.dtype, device=values.device)[:, None, None]
    scale = torch.as_tensor(std, dtype=values.dtype, device=values.device)[:, None, None]
    return (values - shift) / scale


def mean_of_views(embed: Callable[[Tensor], Tensor], images: Tensor, views: int) -> Tensor:
    """Return the features of images, or the mean of those of the images and their mirror images.

    Args:
        embed: Images -> (n, size) features.
        images: (n, 3, h, w).
        views: 1 or 2.

    Example:
        >>> images = torch.tensor([[[[1.0, 3.0]]]])
        >>> mean_of_views(lambda view: view[:, 0, 0, :1], images, 2)
        tensor([[2.]])
    """
    features = embed(images)
    return features if views == 1 else (features + embed(images.flip(-1))) / 2

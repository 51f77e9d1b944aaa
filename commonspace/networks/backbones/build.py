"""Construction of a backbone from its description in a config."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from commonspace.networks.backbones.image_cnn import ImageCNN
from commonspace.networks.backbones.joined import JoinedBackbone
from commonspace.networks.backbones.multi_caption import MeanOfCaptions
from commonspace.networks.backbones.onnx import OnnxBackbone
from commonspace.networks.backbones.pretrained import PretrainedImages, PretrainedTexts
from commonspace.networks.backbones.text_cnn import TextCNN
from commonspace.networks.backbones.tfidf import TfidfBackbone
from commonspace.networks.backbones.torch_module import TorchModuleBackbone
from commonspace.networks.backbones.vgg19 import VGG19
from commonspace.networks.kinds import build_kind

__all__ = ["BACKBONES", "VectorBackbone", "backbone_from_config"]


class VectorBackbone(nn.Module):
    """Identity for features that were computed before.

    Args:
        size: Length of a feature vector.

    Example:
        >>> import torch
        >>> VectorBackbone(2)(torch.tensor([[1.0, 2.0]]))
        tensor([[1., 2.]])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the (n, size) floats unchanged."""
        return inputs


BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "vectors": VectorBackbone,
    "image_cnn": ImageCNN,
    "text_cnn": TextCNN,
    "vgg19": VGG19,
    "pretrained_images": PretrainedImages,
    "pretrained_texts": PretrainedTexts,
    "tfidf": TfidfBackbone,
    "onnx": OnnxBackbone,
    "torch_module": TorchModuleBackbone,
    "mean_of_captions": lambda backbone: MeanOfCaptions(backbone_from_config(backbone)),
    "joined": lambda backbones: JoinedBackbone([backbone_from_config(one) for one in backbones]),
}
"""Kind -> class; the arguments of a class are the other keys of a description."""


def backbone_from_config(config: Mapping[str, Any]) -> nn.Module:
    """Build a backbone with fresh weights.

    Args:
        config: ``{"kind": a key of BACKBONES, ...}``; the other keys are the arguments.

    Raises:
        SpaceError: If the kind is unknown, or the arguments do not fit it.
    """
    return build_kind("backbone", BACKBONES, config)

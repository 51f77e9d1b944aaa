"""Backbones: modules that turn network input of one modality into feature vectors.

A backbone has a ``size`` and maps its input to (n, size) features. The config of a network
describes each of its backbones by a kind and JSON values.
"""

from commonspace.networks.backbones.base import FINE_TUNING, FineTuning, PretrainedBackbone
from commonspace.networks.backbones.build import BACKBONES, VectorBackbone, backbone_from_config
from commonspace.networks.backbones.image_cnn import ImageCNN
from commonspace.networks.backbones.multi_caption import MeanOfCaptions
from commonspace.networks.backbones.pretrained import PretrainedImages, PretrainedTexts
from commonspace.networks.backbones.text_cnn import TextCNN
from commonspace.networks.backbones.vgg19 import VGG19

__all__ = [
    "BACKBONES",
    "FINE_TUNING",
    "VGG19",
    "FineTuning",
    "ImageCNN",
    "MeanOfCaptions",
    "PretrainedBackbone",
    "PretrainedImages",
    "PretrainedTexts",
    "TextCNN",
    "VectorBackbone",
    "backbone_from_config",
]

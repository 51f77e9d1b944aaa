"""Raw items to network inputs and to feature vectors: pictures, words, pretrained models."""

from commonspace.encoders.configs import INPUTS, input_from_config
from commonspace.encoders.encoder import Encoder
from commonspace.encoders.extract import Extraction, Watcher, extract
from commonspace.encoders.input import Input
from commonspace.encoders.photos import Photos
from commonspace.encoders.pixels import Pixels
from commonspace.encoders.specs import (
    ENCODERS,
    MULTI_CAPTION,
    MultiCaption,
    Source,
    encoder_from_spec,
)
from commonspace.encoders.tokenise import tokenise
from commonspace.encoders.vectors import Vectors
from commonspace.encoders.words import Words

__all__ = [
    "ENCODERS",
    "INPUTS",
    "MULTI_CAPTION",
    "Encoder",
    "Extraction",
    "Input",
    "MultiCaption",
    "Photos",
    "Pixels",
    "Source",
    "Vectors",
    "Watcher",
    "Words",
    "encoder_from_spec",
    "extract",
    "input_from_config",
    "tokenise",
]

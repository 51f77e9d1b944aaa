"""Encoders: raw items to network input and to feature vectors."""

from commonspace.encoders.encoder import Encoder
from commonspace.encoders.extract import Extraction, extract
from commonspace.encoders.forms import InputForm
from commonspace.encoders.images import Photos, Pixels
from commonspace.encoders.inputs import INPUTS, Input, input_from_config, input_reads
from commonspace.encoders.specs import (
    ENCODERS,
    MULTI_CAPTION,
    MultiCaption,
    Source,
    encoder_from_spec,
    names_code,
    read_kinds,
)
from commonspace.encoders.texts import Words
from commonspace.encoders.tokenize import tokenize
from commonspace.encoders.vectors import Vectors

__all__ = [
    "ENCODERS",
    "INPUTS",
    "MULTI_CAPTION",
    "Encoder",
    "Extraction",
    "Input",
    "InputForm",
    "MultiCaption",
    "Photos",
    "Pixels",
    "Source",
    "Vectors",
    "Words",
    "encoder_from_spec",
    "extract",
    "input_from_config",
    "input_reads",
    "names_code",
    "read_kinds",
    "tokenize",
]

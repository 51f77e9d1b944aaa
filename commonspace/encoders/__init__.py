"""Raw items to network inputs: pictures, words and ready vectors."""

from commonspace.encoders.configs import INPUTS, input_from_config
from commonspace.encoders.input import Input
from commonspace.encoders.pixels import Pixels
from commonspace.encoders.vectors import Vectors
from commonspace.encoders.words import Words, tokenise

__all__ = ["INPUTS", "Input", "Pixels", "Vectors", "Words", "input_from_config", "tokenise"]

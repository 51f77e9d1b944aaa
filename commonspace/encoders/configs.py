"""Which input a saved config names.

It knows the inputs by name and nothing of what they do.
"""

from collections.abc import Callable
from typing import Any

from commonspace.encoders.each_text import EachText
from commonspace.encoders.input import Input
from commonspace.encoders.photos import Photos
from commonspace.encoders.pixels import Pixels
from commonspace.encoders.processed import Processed
from commonspace.encoders.tokens import Tokens
from commonspace.encoders.vectors import Vectors
from commonspace.encoders.words import Words
from commonspace.errors import SpaceError

__all__ = ["INPUTS", "input_from_config"]

INPUTS: dict[str, Callable[[dict[str, Any]], Input]] = {
    "pixels": Pixels.from_config,
    "photos": Photos.from_config,
    "processed": Processed.from_config,
    "tokens": Tokens.from_config,
    "vectors": Vectors.from_config,
    "words": Words.from_config,
    "each_text": lambda config: EachText(input_from_config(config["reader"]), config["fill"]),
}
"""Kind in a saved config -> what builds the input again."""


def input_from_config(config: dict[str, Any]) -> Input:
    """Build the input that a config describes.

    Args:
        config: what the ``to_config`` of an input returned.

    Raises:
        SpaceError: the kind is unknown, or the config lacks or garbles an entry.

    Example:
        >>> input_from_config({"kind": "pixels", "side": 32})
        Pixels(side=32)
    """
    kind = config.get("kind")
    if kind not in INPUTS:
        raise SpaceError(
            "a saved space reads its items in a way that is unknown here",
            expected=", ".join(INPUTS),
            found=repr(kind),
            advice="load it with the version of commonspace that wrote it",
        )
    try:
        return INPUTS[kind](config)
    except (KeyError, TypeError, ValueError) as exc:
        raise SpaceError(
            f"the saved settings of the input {kind!r} cannot be used",
            expected="the entries that its to_config wrote",
            found=f"{type(exc).__name__}: {exc}",
            advice="restore config.json, or train again",
        ) from exc

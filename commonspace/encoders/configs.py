"""Which input a saved config names.

It knows the inputs by name and nothing of what they do.
"""

from typing import Any

from commonspace.encoders.input import Input
from commonspace.encoders.pixels import Pixels
from commonspace.encoders.vectors import Vectors
from commonspace.encoders.words import Words
from commonspace.errors import SpaceError

__all__ = ["INPUTS", "input_from_config"]

INPUTS: dict[str, type[Input]] = {"pixels": Pixels, "vectors": Vectors, "words": Words}
"""Kind in a saved config -> class."""


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
        return INPUTS[kind].from_config(config)
    except (KeyError, TypeError, ValueError) as exc:
        raise SpaceError(
            f"the saved settings of the input {kind!r} cannot be used",
            expected="the entries that its to_config wrote",
            found=f"{type(exc).__name__}: {exc}",
            advice="restore config.json, or train again",
        ) from exc

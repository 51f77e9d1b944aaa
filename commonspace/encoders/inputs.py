"""Network input: the protocol of inputs, and the input that a saved config describes."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from commonspace.data.columns import Texts
from commonspace.encoders.images import Photos, Pixels, Processed
from commonspace.encoders.texts import Ngrams, Text, Tokens, Words
from commonspace.encoders.vectors import Vectors
from commonspace.errors import SpaceError
from commonspace.networks.backbones.joined import pack
from commonspace.networks.backbones.multi_caption import NO_CAPTION

__all__ = ["INPUTS", "EachText", "Input", "Joined", "input_from_config", "input_reads"]


class Input(Protocol):
    """Turns raw items of one modality into the tensor that the network reads.

    An input is pre-processing without learned weights, fixed before training. Its config is a JSON
    object. The row of a missing item is zero.

    Attributes:
        kind: name of this input in a saved config.
    """

    kind: str

    def __call__(self, items: Any) -> Tensor:  # noqa: ANN401 - each input names its own items
        """Return a tensor whose first dimension counts the items.

        Args:
            items: a column of a data set, or a sequence of items; None is a missing one.

        Raises:
            DataError: an item is of a form that this input cannot read.
        """

    def to_config(self) -> dict[str, Any]:
        """Return the JSON object from which the input is built again, with the key "kind"."""


class EachText:
    """Several texts of one sample, each read on its own: for networks that average over them.

    Args:
        reader: the input that reads one text; it fills rows with one number.
        fill: that number.

    Example:
        >>> reader = EachText(Words(["a", "red", "kite"]), fill=0)
        >>> reader([("a red kite", "kite"), "red"]).tolist()
        [[[2, 3, 4], [4, 0, 0]], [[3, 0, 0], [-2, -2, -2]]]
    """

    kind = "each_text"

    def __init__(self, reader: Input, fill: int) -> None:
        self.reader = reader
        self.fill = fill

    def __repr__(self) -> str:
        return f"EachText({self.reader!r}, fill={self.fill})"

    def __call__(self, items: Texts | Sequence[Text | None]) -> Tensor:
        """Return the numbers of each text of each sample.

        Args:
            items: a column of texts, or n entries of one or several texts each, or None.

        Returns:
            (n, k, length) int64, k being the largest number of texts of a sample; the row of a
            text that a sample does not have is -2.
        """
        samples = items.items if isinstance(items, Texts) else [_as_tuple(item) for item in items]
        flat = [text for texts in samples for text in texts]
        numbers = self.reader(flat)
        most = max((len(texts) for texts in samples), default=0)
        shape = (len(samples), max(most, 1), numbers.shape[1])
        table = torch.full(shape, NO_CAPTION, dtype=numbers.dtype)
        counts = torch.tensor([len(texts) for texts in samples], dtype=torch.int64)
        table[torch.arange(table.shape[1]) < counts[:, None]] = numbers
        return table

    def to_config(self) -> dict[str, Any]:
        """Return kind, reader and filling."""
        return {"kind": self.kind, "reader": self.reader.to_config(), "fill": self.fill}


class Joined:
    """Input of several encoders side by side: each item is prepared for every one of them.

    Args:
        inputs: one input for each encoder, in order.
    """

    kind = "joined"

    def __init__(self, inputs: Sequence[Input]) -> None:
        self.inputs = tuple(inputs)

    def __repr__(self) -> str:
        return f"Joined({', '.join(map(repr, self.inputs))})"

    def __call__(self, items: Any) -> Tensor:  # noqa: ANN401 - what all of the inputs read
        """Return (n, bytes) uint8: the prepared items of all inputs, as ``joined.unpack`` reads."""
        return pack([one(items) for one in self.inputs])

    def to_config(self) -> dict[str, Any]:
        """Return kind and the configs of the inputs."""
        return {"kind": self.kind, "inputs": [one.to_config() for one in self.inputs]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls([input_from_config(one) for one in config["inputs"]])


INPUTS: dict[str, Callable[[dict[str, Any]], Input]] = {
    "pixels": Pixels.from_config,
    "photos": Photos.from_config,
    "processed": Processed.from_config,
    "tokens": Tokens.from_config,
    "ngrams": Ngrams.from_config,
    "vectors": Vectors.from_config,
    "words": Words.from_config,
    "each_text": lambda config: EachText(input_from_config(config["reader"]), config["fill"]),
    "joined": Joined.from_config,
}
"""Kind in a saved config -> function that builds the input."""


def input_reads(input_: Input) -> str:
    """Return what an input reads: "images", "texts" or "features".

    Example:
        >>> input_reads(Words(["red"])), input_reads(Vectors(3))
        ('texts', 'features')
    """
    if isinstance(input_, Joined):
        return input_reads(input_.inputs[0])
    if isinstance(input_, Photos | Pixels | Processed):
        return "images"
    return "features" if isinstance(input_, Vectors) else "texts"


def input_from_config(config: dict[str, Any]) -> Input:
    """Build the input that a config describes.

    Args:
        config: what the ``to_config`` of an input returned.

    Raises:
        SpaceError: the kind is unknown, or an entry of the config is missing or malformed.

    Example:
        >>> input_from_config({"kind": "pixels", "side": 32})
        Pixels(side=32)
    """
    kind = config.get("kind")
    if kind not in INPUTS:
        raise SpaceError(
            "the saved space has an unknown kind of network input",
            expected=", ".join(INPUTS),
            found=repr(kind),
            advice="load it with the version of commonspace that wrote it",
        )
    try:
        return INPUTS[kind](config)
    except (KeyError, TypeError, ValueError) as exc:
        raise SpaceError(
            f"the saved settings of the network input {kind!r} are malformed",
            expected="the entries that its to_config wrote",
            found=f"{type(exc).__name__}: {exc}",
            advice="restore config.json, or train again",
        ) from exc


def _as_tuple(item: Text | None) -> tuple[str, ...]:
    if item is None:
        return ()
    return (item,) if isinstance(item, str) else tuple(item)

"""Several texts for one sample, each read on its own: for backbones that average over them."""

from collections.abc import Sequence
from typing import Any

import torch

from commonspace.data.columns import Texts
from commonspace.encoders.input import Input
from commonspace.encoders.words import Text
from commonspace.networks.backbones.multi_caption import NO_CAPTION

__all__ = ["EachText"]


class EachText:
    """The input of modalities whose samples have several texts that are not to be joined.

    Args:
        reader: the input that reads one text; it fills rows with one number.
        fill: that number.

    Example:
        >>> from commonspace.encoders.words import Words
        >>> reader = EachText(Words(["a", "red", "kite"]), fill=0)
        >>> reader([("a red kite", "kite"), "red"]).tolist()
        [[[2, 3, 4], [4, 0, 0]], [[3, 0, 0], [-2, -2, -2]]]
    """

    kind = "each_text"

    def __init__(self, reader: Input, fill: int) -> None:
        """Keep the reader."""
        self.reader = reader
        self.fill = fill

    def __repr__(self) -> str:
        """Return the call that makes this input."""
        return f"EachText({self.reader!r}, fill={self.fill})"

    def __call__(self, items: Texts | Sequence[Text | None]) -> torch.Tensor:
        """Return the numbers of each text of each sample.

        Args:
            items: a column of texts, or n entries of one or several texts each, or None.

        Returns:
            (n, k, length) int64, k being the most texts that a sample has here; the place of a
            text that a sample does not have holds -2.
        """
        several = items.items if isinstance(items, Texts) else [_texts(item) for item in items]
        flat = [text for texts in several for text in texts]
        read = self.reader(flat)
        most = max((len(texts) for texts in several), default=0)
        table = torch.full(
            (len(several), max(most, 1), read.shape[1]), NO_CAPTION, dtype=read.dtype
        )
        counts = torch.tensor([len(texts) for texts in several], dtype=torch.int64)
        table[torch.arange(table.shape[1]) < counts[:, None]] = read
        return table

    def to_config(self) -> dict[str, Any]:
        """Return kind, reader and filling."""
        return {"kind": self.kind, "reader": self.reader.to_config(), "fill": self.fill}


def _texts(item: Text | None) -> tuple[str, ...]:
    if item is None:
        return ()
    return (item,) if isinstance(item, str) else tuple(item)

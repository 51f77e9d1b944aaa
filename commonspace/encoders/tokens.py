"""Texts to the token numbers of a pretrained model, by the model's own tokenizer.

The whole tokenizer is one JSON object, which a saved space carries. It knows nothing of the model.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data.columns import Texts
from commonspace.encoders.words import Text, texts_of
from commonspace.extras import optional
from commonspace.networks.backbones.pretrained import NO_TOKEN

__all__ = ["Tokens"]


class Tokens:
    """The input of modalities that come as texts and are read by a pretrained model.

    Args:
        tokenizer: the JSON object of a tokenizer of the library tokenizers ("tokenizer.json").
        maximum_length: how many tokens of a text are kept, the marks at its ends included.
        fill: None, or the number of a token with which every row is filled up to the maximum
            length, for models that were trained so (SigLIP).

    Raises:
        MissingExtraError: the library tokenizers is not installed; transformers brings it.
    """

    kind = "tokens"

    def __init__(
        self, tokenizer: Mapping[str, Any], maximum_length: int, fill: int | None = None
    ) -> None:
        """Build the tokenizer; cutting and filling are set here, whatever the file says."""
        library = optional("tokenizers", "reading text for a pretrained model")
        self.tokenizer = dict(tokenizer, truncation=None, padding=None)
        self.maximum_length = maximum_length
        self.fill = fill
        self._tokenizer = library.Tokenizer.from_str(json.dumps(self.tokenizer))
        self._tokenizer.enable_truncation(maximum_length)

    def __repr__(self) -> str:
        """Return the number of tokens instead of the tokens."""
        count = self._tokenizer.get_vocab_size()
        return f"Tokens({count} tokens, maximum_length={self.maximum_length})"

    def __call__(self, items: Texts | Sequence[Text | None]) -> torch.Tensor:
        """Return the token numbers of the texts, in one table.

        Args:
            items: a column of texts, or n entries of one or several texts each, which are read
                one after the other; a missing one, None, is read as an empty text.

        Returns:
            (n, length) int64, where length is that of the longest text here, at least 1. Rows
            are filled with -1 behind the last token, or with ``fill`` to the maximum length.

        Raises:
            DataError: a single text in place of several, or an entry that is not a text.
        """
        texts = [text.encode(errors="replace").decode() for text in texts_of(items)]
        rows = [found.ids for found in self._tokenizer.encode_batch(texts)]
        longest = max((len(row) for row in rows), default=0)
        length = max(longest, 1) if self.fill is None else self.maximum_length
        filling = NO_TOKEN if self.fill is None else self.fill
        table: NDArray[np.int64] = np.full((len(rows), length), filling, dtype=np.int64)
        for line, row in zip(table, rows, strict=True):
            line[: len(row)] = row
        return torch.from_numpy(table)

    def to_config(self) -> dict[str, Any]:
        """Return kind, the tokenizer, the maximum length and the filling."""
        return {
            "kind": self.kind,
            "tokenizer": self.tokenizer,
            "maximum_length": self.maximum_length,
            "fill": self.fill,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls(config["tokenizer"], config["maximum_length"], config["fill"])

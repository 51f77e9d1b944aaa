"""Texts to word numbers, by a vocabulary from the training texts.

It knows nothing of word meanings: vectors are the backbone's.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data.columns import Texts
from commonspace.encoders.tokenise import Han, check_han, tokenise
from commonspace.errors import DataError, SettingError

__all__ = ["PADDING", "UNKNOWN", "Text", "Words", "texts_of"]

PADDING = 0
"""The number that fills a row behind its last word."""

UNKNOWN = 1
"""The number of every word that the vocabulary lacks."""

Text = str | tuple[str, ...] | list[str]
"""What one sample says: one text, or several, which are read one after the other."""


class Words:
    """The input of modalities that come as texts.

    Args:
        vocabulary: the known words; the first has the number 2.
        maximum_length: how many words of a text are kept.
        han: how Chinese is cut: "characters", or "words", which needs jieba.

    Raises:
        SettingError: the maximum length is less than 1, or ``han`` is unknown.

    Example:
        >>> words = Words.fit(["a red kite", "a red house"])
        >>> words.vocabulary
        ('a', 'red', 'house', 'kite')
        >>> words(["A RED balloon!", "kite"])
        tensor([[2, 3, 1],
                [5, 0, 0]])
    """

    kind = "words"

    def __init__(
        self, vocabulary: Sequence[str], maximum_length: int = 200, han: Han = "characters"
    ) -> None:
        """Number the words of the vocabulary."""
        if maximum_length < 1:
            raise SettingError(
                "maximum_length is too small",
                expected="at least 1 word",
                found=f"{maximum_length}",
                advice="200 holds a paragraph",
            )
        self.vocabulary = tuple(vocabulary)
        self.maximum_length = maximum_length
        self.han: Han = check_han(han)
        self._numbers = {word: number for number, word in enumerate(self.vocabulary, UNKNOWN + 1)}

    @classmethod
    def fit(
        cls,
        texts: Texts | Sequence[Text | None],
        *,
        minimum_count: int = 1,
        maximum_length: int = 200,
        han: Han = "characters",
    ) -> Self:
        """Take the vocabulary from texts: the most frequent word first, equals by alphabet.

        Args:
            texts: the texts of the training split, and of no other.
            minimum_count: how often a word must occur to be known.
            maximum_length: how many words of a text are kept.
            han: how Chinese is cut: "characters" or "words".

        Raises:
            DataError: no word occurs often enough.
            SettingError: the maximum length is less than 1, or ``han`` is unknown.
        """
        counts = Counter(word for text in texts_of(texts) for word in tokenise(text, han))
        vocabulary = [word for word, count in counts.items() if count >= minimum_count]
        if not vocabulary:
            raise DataError(
                "the training texts hold no words",
                expected=f"words that occur at least {minimum_count} times",
                found=f"{len(counts)} distinct words",
                advice="check the text column, or lower minimum_count",
            )
        vocabulary.sort(key=lambda word: (-counts[word], word))
        return cls(vocabulary, maximum_length, han)

    def __repr__(self) -> str:
        """Return the number of words instead of the words."""
        return f"Words({len(self.vocabulary)} words, maximum_length={self.maximum_length})"

    @property
    def size(self) -> int:
        """How many numbers there are: the words, padding and unknown."""
        return len(self.vocabulary) + UNKNOWN + 1

    def __call__(self, items: Texts | Sequence[Text | None]) -> torch.Tensor:
        """Return the word numbers of the texts, in one table.

        Args:
            items: a column of texts, or n entries of one or several texts each; None is a
                missing one.

        Returns:
            (n, length) int64, where length is that of the longest text here, at least 1. Rows
            are filled with 0 behind the last word; missing texts are all 0.

        Raises:
            DataError: a single text in place of several, or an entry that is not a text.
        """
        rows = [
            [self._numbers.get(word, UNKNOWN) for word in self.words(text)]
            for text in texts_of(items)
        ]
        length = max((len(row) for row in rows), default=0)
        table: NDArray[np.int64] = np.full((len(rows), max(length, 1)), PADDING, dtype=np.int64)
        for line, row in zip(table, rows, strict=True):
            line[: len(row)] = row
        return torch.from_numpy(table)

    def words(self, text: str) -> list[str]:
        """Return the words of one text that are read: the first ``maximum_length``."""
        return tokenise(text, self.han)[: self.maximum_length]

    def to_config(self) -> dict[str, Any]:
        """Return kind, vocabulary, maximum length and the way to cut Chinese."""
        return {
            "kind": self.kind,
            "vocabulary": list(self.vocabulary),
            "maximum_length": self.maximum_length,
            "han": self.han,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls(config["vocabulary"], config["maximum_length"], config.get("han", "characters"))


def texts_of(items: Texts | Sequence[Text | None]) -> list[str]:
    """Return one text for each item: several are joined by a blank, a missing one is empty.

    Raises:
        DataError: a single text in place of several, an entry that is not a text, or a column of
            another kind.
    """
    if isinstance(items, Texts):
        return [" ".join(texts) for texts in items.items]
    if isinstance(items, str):
        raise DataError(
            "texts come as a sequence",
            expected="a list of strings",
            found="one string",
            advice="put a single text into a list: [text]",
        )
    if not isinstance(items, Sequence | np.ndarray):
        raise DataError(
            "these items are no texts",
            expected="a column of texts, or a list of strings",
            found=repr(items)[:60],
            advice="this modality was fitted on texts: give it texts",
        )
    return [_joined(entry, row) for row, entry in enumerate(items)]


def _joined(entry: Text | None, row: int) -> str:
    if entry is None:
        return ""
    if isinstance(entry, str):
        return entry
    if isinstance(entry, tuple | list) and all(isinstance(text, str) for text in entry):
        return " ".join(entry)
    raise DataError(
        f"item {row} is not a text",
        expected="a string, or a tuple of strings",
        found=repr(entry)[:60],
        advice="use None for a missing text",
    )

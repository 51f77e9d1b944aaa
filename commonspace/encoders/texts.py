"""Network input from texts: word numbers, token numbers and n-gram numbers."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from commonspace.data.columns import Texts
from commonspace.encoders.tokenize import Han, check_han, tokenize
from commonspace.errors import DataError, SettingError
from commonspace.extras import optional
from commonspace.networks.backbones.pretrained import NO_TOKEN

__all__ = ["PADDING", "UNKNOWN", "Ngrams", "Text", "Tokens", "Words", "join_texts"]

PADDING = 0
"""Number that fills a row of word numbers behind its last word."""

UNKNOWN = 1
"""Number of every word outside the vocabulary."""

Text = str | tuple[str, ...] | list[str]
"""The text of one sample, or several, which are read one after the other."""


class Words:
    """Word numbers by a vocabulary from the training texts.

    Args:
        vocabulary: the known words; the first has the number 2.
        maximum_length: number of words kept of a text.
        han: how Chinese is divided: "characters", or "words", which needs jieba.

    Raises:
        SettingError: If the maximum length is less than 1, or ``han`` is unknown.

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
        if maximum_length < 1:
            raise SettingError(
                f"`maximum_length` must be >= 1, got {maximum_length}",
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
        """Take the vocabulary from texts: the most frequent word first, equal ones by alphabet.

        Args:
            texts: the texts of the training split, and of no other.
            minimum_count: how often a word must occur to be known.
            maximum_length: number of words kept of a text.
            han: how Chinese is divided: "characters" or "words".

        Raises:
            DataError: If no word occurs often enough.
            SettingError: If the maximum length is less than 1, or ``han`` is unknown.
        """
        counts = Counter(word for text in join_texts(texts) for word in tokenize(text, han))
        vocabulary = [word for word, count in counts.items() if count >= minimum_count]
        if not vocabulary:
            raise DataError(
                "the training texts contain no words",
                expected=f"words that occur at least {minimum_count} times",
                found=f"{len(counts)} distinct words",
                advice="check the text column, or lower minimum_count",
            )
        vocabulary.sort(key=lambda word: (-counts[word], word))
        return cls(vocabulary, maximum_length, han)

    def __repr__(self) -> str:
        return f"Words({len(self.vocabulary)} words, maximum_length={self.maximum_length})"

    @property
    def size(self) -> int:
        """Number of word numbers: the words, padding and unknown."""
        return len(self.vocabulary) + UNKNOWN + 1

    def __call__(self, items: Texts | Sequence[Text | None]) -> torch.Tensor:
        """Return the word numbers of the texts, in one table.

        Args:
            items: a column of texts, or n entries of one or several texts each; None is a
                missing one.

        Returns:
            (n, length) int64, where length is that of the longest text, at least 1. Rows are
            filled with 0 behind the last word; missing texts are all 0.

        Raises:
            DataError: If the items are a single text, or an entry is not a text.
        """
        numbers = [
            [self._numbers.get(word, UNKNOWN) for word in self.words(text)]
            for text in join_texts(items)
        ]
        return _table(numbers, PADDING)

    def words(self, text: str) -> list[str]:
        """Return the words of one text that are read: the first ``maximum_length``."""
        return tokenize(text, self.han)[: self.maximum_length]

    def to_config(self) -> dict[str, Any]:
        """Return kind, vocabulary, maximum length and the division of Chinese."""
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


class Tokens:
    """Token numbers by the tokenizer of a pretrained model, which the input contains as JSON.

    Args:
        tokenizer: the JSON object of a tokenizer of the library tokenizers ("tokenizer.json").
        maximum_length: number of tokens kept of a text, including those at its ends.
        fill: None, or the number of a token with which every row is filled to the maximum length,
            for models that were trained so (SigLIP).

    Raises:
        MissingExtraError: If the library tokenizers, which comes with transformers, is missing.
    """

    kind = "tokens"

    def __init__(
        self, tokenizer: Mapping[str, Any], maximum_length: int, fill: int | None = None
    ) -> None:
        library = optional("tokenizers", "reading text for a pretrained model")
        self.tokenizer = dict(tokenizer, truncation=None, padding=None)  # both are set here
        self.maximum_length = maximum_length
        self.fill = fill
        self._tokenizer = library.Tokenizer.from_str(json.dumps(self.tokenizer))
        self._tokenizer.enable_truncation(maximum_length)

    def __repr__(self) -> str:
        count = self._tokenizer.get_vocab_size()
        return f"Tokens({count} tokens, maximum_length={self.maximum_length})"

    def __call__(self, items: Texts | Sequence[Text | None]) -> torch.Tensor:
        """Return the token numbers of the texts, in one table.

        Args:
            items: a column of texts, or n entries of one or several texts each, which are read
                one after the other; a missing one, None, is read as an empty text.

        Returns:
            (n, length) int64, where length is that of the longest text, at least 1. Rows are
            filled with -1 behind the last token, or with ``fill`` to the maximum length.

        Raises:
            DataError: If the items are a single text, or an entry is not a text.
        """
        texts = [text.encode(errors="replace").decode() for text in join_texts(items)]
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        if self.fill is None:
            return _table(rows, NO_TOKEN)
        return _table(rows, self.fill, self.maximum_length)

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


class Ngrams:
    """Numbers of the words, word pairs and character n-grams of a text, for TF-IDF.

    Args:
        vocabulary: the known n-grams as ``split`` writes them; the first has the number 0.
        han: how Chinese is divided: "characters", or "words", which needs jieba.

    Example:
        >>> ngrams = Ngrams(["red", "red kite", "#ite"])
        >>> ngrams(["A red, red kite", "dog"]).tolist()
        [[0, 0, 1, 2], [-1, -1, -1, -1]]
    """

    kind = "ngrams"

    def __init__(self, vocabulary: Sequence[str], han: Han = "characters") -> None:
        self.vocabulary = tuple(vocabulary)
        self.han: Han = check_han(han)
        self._numbers = {ngram: number for number, ngram in enumerate(self.vocabulary)}

    def __repr__(self) -> str:
        return f"Ngrams({len(self.vocabulary)} n-grams)"

    @staticmethod
    def split(text: str, han: Han = "characters") -> Iterator[str]:
        """Yield words, then pairs of words, then "#" and 3 to 5 characters of a word with its ends.

        Example:
            >>> ngrams = list(Ngrams.split("Red ox"))
            >>> ngrams[:9]
            ['red', 'ox', 'red ox', '# re', '#red', '#ed ', '# red', '#red ', '# red ']
            >>> ngrams[9:]
            ['# ox', '#ox ', '# ox ']
        """
        words = tokenize(text, han)
        yield from words
        yield from map(" ".join, pairwise(words))
        for word in words:
            ended = f" {word} "
            for length in (3, 4, 5):
                for start in range(len(ended) - length + 1):
                    yield "#" + ended[start : start + length]

    def __call__(self, items: Texts | Sequence[Text | None]) -> torch.Tensor:
        """Return the n-gram numbers of the texts, in one table.

        Args:
            items: a column of texts, or n entries of one or several texts each; None is a
                missing one.

        Returns:
            (n, length) int64; an n-gram that occurs k times has k entries, and rows are filled
            with -1.

        Raises:
            DataError: If the items are a single text, or an entry is not a text.
        """
        known = self._numbers
        rows = [
            [known[ngram] for ngram in self.split(text, self.han) if ngram in known]
            for text in join_texts(items)
        ]
        return _table(rows, NO_TOKEN)

    def to_config(self) -> dict[str, Any]:
        """Return kind, vocabulary and the division of Chinese."""
        return {"kind": self.kind, "vocabulary": list(self.vocabulary), "han": self.han}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the input from what ``to_config`` returned."""
        return cls(config["vocabulary"], config["han"])


def join_texts(items: Texts | Sequence[Text | None]) -> list[str]:
    """Return one text for each item: several are joined by a blank, a missing one is empty.

    Raises:
        DataError: If the items are a single text, an entry is not a text, or the column is of
            another kind.
    """
    if isinstance(items, Texts):
        return [" ".join(texts) for texts in items.items]
    if isinstance(items, str):
        raise DataError(
            "expected a sequence of texts",
            expected="a list of strings",
            found="one string",
            advice="put a single text into a list: [text]",
        )
    if not isinstance(items, Sequence | np.ndarray):
        raise DataError(
            "these items are not texts",
            expected="a column of texts, or a list of strings",
            found=repr(items)[:60],
            advice="this modality was fitted on texts: give it texts",
        )
    return [_join(entry, row) for row, entry in enumerate(items)]


def _join(entry: Text | None, row: int) -> str:
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


def _table(rows: Sequence[Sequence[int]], filling: int, length: int | None = None) -> torch.Tensor:
    """Return rows of numbers as (n, length) int64, filled behind their ends."""
    longest = max((len(row) for row in rows), default=0)
    table: NDArray[np.int64] = np.full(
        (len(rows), length or max(longest, 1)), filling, dtype=np.int64
    )
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(table)

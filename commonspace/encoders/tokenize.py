"""Tokenization of a text into words, by script.

Letters and digits in a row are one word, lower-cased and in Unicode's NFKC form. Chinese is written
without spaces: each character is a word, or a dictionary divides runs of characters into words.
"""

import re
import unicodedata
from functools import cache
from typing import Any, Literal

from commonspace.errors import SettingError
from commonspace.extras import optional

__all__ = ["HAN", "Han", "check_han", "holds_han", "tokenize"]

Han = Literal["characters", "words"]

HAN: tuple[Han, ...] = ("characters", "words")
"""Each Han character is a word, or the dictionary of jieba divides runs of them into words."""


def tokenize(text: str, han: Han = "characters") -> list[str]:
    """Divide a text into words.

    Args:
        text: in any script and any Unicode form.
        han: how runs of Han characters are divided, one of ``HAN``.

    Returns:
        The words in order, lower-cased, without punctuation, symbols and emoji. An apostrophe
        between two letters stays, so that "don't" is one word.

    Raises:
        MissingExtraError: If ``han`` is "words", the text contains Han characters, and jieba is
            not installed.

    Example:
        >>> tokenize("The Dog's 2 toys: 红色 T恤!")
        ['the', "dog's", '2', 'toys', '红', '色', 't', '恤']
        >>> tokenize("The Dog's 2 toys: 红色 T恤!", "words")
        ['the', "dog's", '2', 'toys', '红色', 't', '恤']
    """
    plain = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")
    words = _pattern(check_han(han)).findall(plain)
    if han == "characters":
        return words
    return [part for word in words for part in (_divide(word) if _is_han(word) else [word])]


def holds_han(text: str) -> bool:
    """Return whether a text contains Han characters.

    Example:
        >>> holds_han("T恤"), holds_han("shirt")
        (True, False)
    """
    return _han().search(unicodedata.normalize("NFKC", text)) is not None


def check_han(han: Han) -> Han:
    """Return ``han``, or raise a SettingError if it is not one of ``HAN``."""
    if han not in HAN:
        raise SettingError(
            f"unknown division of Chinese: {han!r}",
            expected=" or ".join(map(repr, HAN)),
            found=repr(han),
            advice="'characters' needs no further package",
        )
    return han


def _is_han(word: str) -> bool:
    return _han().match(word) is not None


def _divide(run: str) -> list[str]:
    words: list[str] = _jieba().lcut(run)
    return words


@cache
def _jieba() -> Any:  # noqa: ANN401 - jieba has no types
    tokenizer = optional("jieba", "dividing Chinese into words").Tokenizer()
    # jieba's own initialization would write a cache file to the folder for temporary files.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


_RANGES = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


@cache
def _han() -> re.Pattern[str]:
    return re.compile(f"[{_RANGES}]")


@cache
def _pattern(han: Han) -> re.Pattern[str]:
    # Vowel signs and accents belong to their letter, though Python's \w leaves them out.
    planes = map(chr, range(0x20000))
    marks = "".join(char for char in planes if unicodedata.category(char).startswith("M"))
    word = rf"[^\W_{_RANGES}](?:[^\W_{_RANGES}]|[{marks}])*"
    runs = "+" if han == "words" else ""
    return re.compile(rf"[{_RANGES}]{runs}|{word}(?:'{word})*")

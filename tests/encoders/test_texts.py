"""Texts to numbers: words by a vocabulary from train, and several texts of a sample."""

import json
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.data import Texts
from commonspace.encoders import Words, input_from_config, tokenize
from commonspace.errors import DataError, SettingError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A red, RED kite!", ["a", "red", "red", "kite"]),
        ("don\u2019t stop — it's 5 o'clock", ["don't", "stop", "it's", "5", "o'clock"]),
        ("'quoted' words'", ["quoted", "words"]),
        ("snake_case and e-mail", ["snake", "case", "and", "e", "mail"]),
        ("红色的风筝 kite2", ["红", "色", "的", "风", "筝", "kite2"]),
        ("T恤XL", ["t", "恤", "xl"]),
        ("Straße ÉCOLE Ёлка", ["straße", "école", "ёлка"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # vowel signs stay with their letters
        ("\uff21\uff22\uff23 \ufb01sh", ["abc", "fish"]),  # full width, ligature: NFKC
        ("cafe\u0301", ["caf\u00e9"]),  # the accent apart, and composed
        ("🙂 … ?!", []),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert tokenize(text) == words


@settings(deadline=None, max_examples=100)
@given(st.text())
def test_words_are_made_of_letters_digits_and_marks_and_are_words_again(text: str) -> None:
    words = tokenize(text)
    assert tokenize(" ".join(words)) == words
    assert not any(char.isspace() or char in '.,;:!?"()[]_-' for word in words for char in word)


def test_the_most_frequent_word_comes_first_and_equals_by_alphabet() -> None:
    texts = ["b a c", "c b", "d b"]
    assert Words.fit(texts).vocabulary == ("b", "c", "a", "d")
    assert Words.fit(texts, minimum_count=2).vocabulary == ("b", "c")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6).map(" ".join), min_size=1))
def test_numbers_read_backwards_give_the_words(texts: list[str]) -> None:
    counts = Counter(word for text in texts for word in text.split())
    if not counts:
        return
    words = Words.fit(texts)
    table = words(texts)
    assert table.dtype == torch.int64
    assert table.shape == (len(texts), max(1, *(len(text.split()) for text in texts), 1))
    for row, text in zip(table.tolist(), texts, strict=True):
        known = [words.vocabulary[number - 2] for number in row if number]
        assert known == text.split()
        assert row == [number for number in row if number] + [0] * row.count(0)


def test_words_that_train_lacks_are_unknown() -> None:
    words = Words.fit(["a kite"])
    assert words.size == 4
    assert words(["a blue kite"]).tolist() == [[2, 1, 3]]


def test_several_texts_of_a_sample_are_read_one_after_the_other() -> None:
    words = Words.fit(["a b c d"])
    expected = words(["a b c d"])
    assert torch.equal(words(Texts([("a b", "c d")])), expected)
    assert torch.equal(words([("a b", "c d")]), expected)
    assert torch.equal(words([["a b", "c d"]]), expected)


def test_missing_texts_are_zero() -> None:
    words = Words.fit(["a b"])
    expected = [[0, 0], [2, 3], [0, 0]]
    assert words(Texts([(), ("a b",), ("",)])).tolist() == expected
    assert words([None, "a b", "?!"]).tolist() == expected
    assert words([None]).tolist() == [[0]]
    assert words([]).shape == (0, 1)


def test_a_long_text_is_cut() -> None:
    words = Words.fit(["a b c"], maximum_length=2)
    assert words(["c b a", "a"]).tolist() == [[4, 3], [2, 0]]


@pytest.mark.parametrize("texts", [[], ["?!", ""], [None]])
def test_train_without_words_is_refused(texts: list[str | None]) -> None:
    with pytest.raises(DataError, match="contain no words"):
        Words.fit(texts)


def test_a_vocabulary_of_rare_words_only_says_what_to_lower() -> None:
    with pytest.raises(DataError, match="lower minimum_count"):
        Words.fit(["a b"], minimum_count=2)


def test_a_single_text_is_refused_with_the_way_to_write_it() -> None:
    with pytest.raises(DataError, match=r"\[text\]"):
        Words.fit(["a"])("a kite")


@pytest.mark.parametrize("entry", [3, ("a", 4), b"bytes"])
def test_an_entry_that_is_no_text_is_named_by_its_row(entry: object) -> None:
    with pytest.raises(DataError, match="item 1 is not a text"):
        Words.fit(["a"])(["a", entry])  # type: ignore[list-item]


def test_a_length_of_nothing_is_refused() -> None:
    with pytest.raises(SettingError, match="at least 1 word"):
        Words(["a"], maximum_length=0)


def test_a_config_through_json_reads_texts_the_same_way() -> None:
    words = Words.fit(["风筝 a kite", "a house"], maximum_length=3)
    again = input_from_config(json.loads(json.dumps(words.to_config())))
    texts = ["a kite above a house", "房 筝", ""]
    assert torch.equal(again(texts), words(texts))

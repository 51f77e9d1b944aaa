"""Words by script: the same cut at training and at search, Chinese by characters or by jieba."""

import pytest
import torch

from commonspace.encoders import Words, input_from_config, tokenize
from commonspace.encoders.inputs import EachText
from commonspace.encoders.tokenize import holds_han
from commonspace.errors import SettingError


def test_scripts_are_cut_each_in_its_own_way() -> None:
    text = "Red T恤, 红色棉质上衣! Привет мир 2026"
    shared = ["red", "t"]
    rest = ["привет", "мир", "2026"]
    assert tokenize(text) == [*shared, "恤", *"红色棉质上衣", *rest]
    assert tokenize(text, "words") == [*shared, "恤", "红色", "棉质", "上衣", *rest]
    assert tokenize("no Han here", "words") == tokenize("no Han here")


def test_empty_and_emoji_texts_have_no_words() -> None:
    for text in ("", "   ", "😀👍🏽🎉", "!?…"):
        assert tokenize(text) == []
        assert tokenize(text, "words") == []
    words = Words(["red"])
    assert words(["😀👍🏽🎉", None, "red"]).tolist() == [[0], [0], [2]]


def test_a_megabyte_of_text_is_cut_short() -> None:
    words = Words.fit(["red kite"], maximum_length=7)
    assert words(["red kite " * 120_000]).tolist() == [[3, 2] * 3 + [3]]


def test_the_way_to_cut_is_kept_with_the_vocabulary() -> None:
    texts = ["红色棉质上衣", "绿色上衣"]
    words = Words.fit(texts, han="words")
    assert set(words.vocabulary) == {"红色", "棉质", "上衣", "绿色"}
    twin = input_from_config(words.to_config())
    assert torch.equal(twin(["上衣是红色"]), words(["上衣是红色"]))
    assert Words.fit(texts).vocabulary[0] in "色上衣"
    with pytest.raises(SettingError, match="Chinese"):
        Words(["a"], han="syllables")  # type: ignore[arg-type]


def test_which_texts_hold_chinese() -> None:
    assert [holds_han(text) for text in ("a 上 b", "ab", "カタカナ", "㐀")] == [
        True,
        False,
        False,
        True,
    ]


def test_each_text_is_read_alone_and_built_again() -> None:
    reader = EachText(Words(["a", "b", "c"]), fill=0)
    found = reader([("a b", "c"), "b", None])
    assert found.tolist() == [[[2, 3], [4, 0]], [[3, 0], [-2, -2]], [[-2, -2], [-2, -2]]]
    twin = input_from_config(reader.to_config())
    assert torch.equal(twin([("a b", "c"), "b", None]), found)

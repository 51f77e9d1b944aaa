"""TextCNN against loops over words; padding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.networks.backbones.text_cnn import TextCNN

VOCABULARY = 12


def _backbone(*, word_dropout: float = 0.0, windows: tuple[int, ...] = (3, 4, 5)) -> TextCNN:
    torch.manual_seed(0)
    return TextCNN(
        VOCABULARY, size=4, word_size=6, windows=windows, maps=5, word_dropout=word_dropout
    )


def _features(backbone: TextCNN, sentence: list[int]) -> NDArray[np.float64]:
    """Return the features of one sentence without padding in float64, one window at a time."""
    state = {name: values.double().numpy() for name, values in backbone.state_dict().items()}
    maps = []
    for index in range(len(backbone.windows)):
        weight, bias = state[f"windows.{index}.weight"], state[f"windows.{index}.bias"]
        for map_weight, map_bias in zip(weight, bias, strict=True):
            largest = 0.0
            for middle in range(len(sentence)):
                response = map_bias
                for offset in range(weight.shape[2]):
                    at = middle - weight.shape[2] // 2 + offset
                    if 0 <= at < len(sentence):
                        response += state["words.weight"][sentence[at]] @ map_weight[:, offset]
                largest = max(largest, response)
            maps.append(largest)
    features: NDArray[np.float64] = state["out.weight"] @ np.array(maps) + state["out.bias"]
    return features


sentences = st.lists(st.integers(1, VOCABULARY - 1), max_size=9)


@settings(deadline=None, max_examples=40)
@given(sentence=sentences, padding=st.integers(0, 7), windows=st.sampled_from([(3, 4, 5), (1, 2)]))
def test_features_equal_loops_for_any_padding(
    sentence: list[int], padding: int, windows: tuple[int, ...]
) -> None:
    backbone = _backbone(windows=windows).eval()
    words = torch.tensor([sentence + [0] * max(padding, 1 - len(sentence))])
    expected = _features(backbone, sentence)
    np.testing.assert_allclose(backbone(words)[0].detach(), expected, rtol=1e-4, atol=1e-5)


def test_padding_never_wins_the_maximum_over_negative_responses() -> None:
    backbone = _backbone().eval()
    with torch.no_grad():
        for window in backbone.windows:
            assert isinstance(window.bias, torch.Tensor)
            window.bias.fill_(3)  # the response of padding alone
            assert isinstance(window.weight, torch.Tensor)
            window.weight.fill_(-1)
        backbone.words.weight[1:].fill_(1)
    short, long = torch.tensor([[2, 3]]), torch.tensor([[2, 3, 0, 0, 0, 0, 0, 0, 0, 0]])
    torch.testing.assert_close(backbone(long), backbone(short))


def test_a_sentence_without_words_has_the_features_of_zero_maps() -> None:
    backbone = _backbone().eval()
    empty = backbone(torch.zeros(2, 3, dtype=torch.int64))
    torch.testing.assert_close(empty, backbone.out.bias.expand(2, -1))


def test_padding_keeps_the_zero_vector_in_training() -> None:
    backbone = _backbone()
    optimizer = torch.optim.Adam(backbone.parameters(), lr=0.1)
    backbone(torch.tensor([[2, 3, 0, 0], [4, 0, 0, 0]])).square().sum().backward()
    optimizer.step()
    assert not backbone.words.weight[0].any()


def test_the_order_of_the_words_counts() -> None:
    backbone = _backbone().eval()
    one, other = backbone(torch.tensor([[2, 3, 4], [4, 3, 2]]))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize(("chance", "read_as_unknown"), [(0.0, False), (1.0, True)])
def test_dropped_words_are_read_as_unknown_and_padding_is_not(
    chance: float, read_as_unknown: bool
) -> None:
    backbone = _backbone(word_dropout=chance).train()
    backbone.dropout.p = 0.0
    words = torch.tensor([[2, 3, 4, 0, 0]])
    unknown = torch.tensor([[1, 1, 1, 0, 0]])
    seen = backbone(words)
    backbone.eval()
    torch.testing.assert_close(seen, backbone(unknown if read_as_unknown else words))


def test_word_dropout_drops_the_given_share() -> None:
    backbone = _backbone(word_dropout=0.3).train()
    seen: list[torch.Tensor] = []
    backbone.words.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    backbone(torch.full((100, 50), 7))
    assert (seen[0] == 1).float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_bfloat16_stays_near_float32() -> None:
    backbone = _backbone().eval()
    words = torch.randint(0, VOCABULARY, (20, 8), generator=torch.Generator().manual_seed(0))
    exact = backbone(words)
    with torch.autocast("cpu", torch.bfloat16):
        rough = backbone(words)
    assert (rough.float() - exact).norm() / exact.norm() < 0.02


def test_it_learns_word_order_that_word_counts_do_not_reveal() -> None:
    """Two of six names and filler words: the label is the name before the word 2."""
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(9, VOCABULARY, (400, 8), generator=generator)
    labels, others = torch.randint(0, 6, (2, 400), generator=generator)
    words[:, 2], words[:, 3], words[:, 5] = labels + 3, 2, others + 3
    torch.manual_seed(0)
    backbone = TextCNN(VOCABULARY, size=6, word_size=16, maps=20)
    optimizer = torch.optim.Adam(backbone.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(backbone(words[:300]), labels[:300]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    correct = backbone.eval()(words[300:]).argmax(dim=1) == labels[300:]
    assert correct.float().mean() > 0.95

"""Mean of the features of several captions."""

import torch

from commonspace.networks.backbones.multi_caption import NO_CAPTION, MeanOfCaptions
from commonspace.networks.backbones.text_cnn import TextCNN


def test_the_mean_equals_a_loop_and_ignores_missing_captions() -> None:
    torch.manual_seed(0)
    backbone = TextCNN(vocabulary=20, size=5, word_size=6, maps=4).eval()
    network = MeanOfCaptions(backbone).eval()
    samples = [[[3, 4, 5], [6, 0, 0]], [[7, 8, 0]], [], [[9, 9, 9], [2, 0, 0], [4, 4, 0]]]
    table = torch.full((4, 4, 3), NO_CAPTION)
    for row, texts in enumerate(samples):
        for place, text in enumerate(texts):
            table[row, place] = torch.tensor(text)
    with torch.inference_mode():
        found = network(table)
        for row, texts in enumerate(samples):
            each = [backbone(torch.tensor([text]))[0] for text in texts]
            expected = torch.stack(each).mean(0) if each else torch.zeros(5)
            torch.testing.assert_close(found[row], expected)
        torch.testing.assert_close(
            network(table[:, torch.tensor([3, 1, 0, 2])])[[0, 1, 3]], found[[0, 1, 3]]
        )

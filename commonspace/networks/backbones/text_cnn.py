"""TextCNN: the convolutional sentence network of Kim (2014)."""

from collections.abc import Sequence

import torch
from torch import nn

from commonspace.networks.backbones.noise import RowNoise

__all__ = ["TextCNN"]


class TextCNN(nn.Module):
    """A convolutional network over the word vectors of a sentence.

    Each feature map is the maximum over the sentence of ReLU(w . x[i:i+h] + b), for windows of h
    words (equations 2 and 3 of the paper); the maps of all windows, after dropout, pass one linear
    layer. Unlike in the paper, padding never takes part in the maximum, so the features do not
    depend on its length. A sentence without words has maps of zero.

    Source: Y. Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014, with
    word vectors trained from scratch (CNN-rand).

    Args:
        vocabulary: Number of word numbers, including padding (0) and unknown (1).
        size: Length of a feature vector.
        word_size: Length of a word vector.
        windows: Widths of the convolutions, in words.
        maps: Feature maps for each width.
        dropout: Probability of dropping a map during training.
        word_dropout: Probability of reading a word as unknown during training.

    Example:
        >>> backbone = TextCNN(vocabulary=10, size=4).eval()
        >>> backbone(torch.tensor([[2, 3, 4], [5, 0, 0]])).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        vocabulary: int,
        size: int = 300,
        word_size: int = 300,
        windows: Sequence[int] = (3, 4, 5),
        maps: int = 100,
        dropout: float = 0.5,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.size = size
        self.word_dropout = word_dropout
        self.noise = RowNoise()
        self.words = nn.Embedding(vocabulary, word_size, padding_idx=0)
        self.windows = nn.ModuleList(
            nn.Conv1d(word_size, maps, window, padding=window // 2) for window in windows
        )
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(maps * len(windows), size)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Return the features of the sentences.

        Args:
            words: (n, length) int64 word numbers, 0 after the last word.

        Returns:
            (n, size) float32, or the lower precision under autocast.
        """
        real = words != 0
        if self.training and self.word_dropout > 0:
            dropped = self.noise(*words.shape, device=words.device) < self.word_dropout
            words = words.masked_fill(dropped & real, 1)
        sentences = self.words(words).transpose(1, 2)
        maps = [_max_response(window(sentences), real) for window in self.windows]
        features: torch.Tensor = self.out(self.dropout(torch.cat(maps, dim=1)))
        return features


def _max_response(responses: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the maximum over the real words: (n, maps, length or more) -> (n, maps)."""
    # An even width gives one position more than there are words. Responses are >= 0 after the
    # ReLU, so a zero at the padding never changes the maximum.
    return (responses[..., : real.shape[1]].relu() * real[:, None]).amax(dim=2)

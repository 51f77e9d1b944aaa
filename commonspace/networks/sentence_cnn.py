"""The sentence CNN of Kim (2014): word numbers -> one vector for each sentence.

Y. Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014, with learnt word
vectors (the paper's CNN-rand). It knows nothing of words: a tokeniser numbers them, 0 is padding.
"""

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["SentenceCNN"]


class SentenceCNN(nn.Module):
    """Sentences -> feature vectors.

    Each feature map is the maximum over the sentence of ReLU(w . x[i:i+h] + b), for windows of h
    words (equations 2 and 3 of the paper); the maps of all windows, after dropout, pass one linear
    layer. Where the paper fills every sentence up to the longest and lets the filling take part in
    the maximum, here each real word is the middle of one window and the filling never wins: the
    result does not depend on how much of it follows. A sentence without words has maps of zero.

    Args:
        vocabulary: how many word numbers there are, padding (0) and unknown (1) included.
        size: length of a feature vector.
        word_size: length of a word vector.
        windows: how many words the convolutions span.
        maps: feature maps for each window.
        dropout: chance of a map to be dropped while training.
        word_dropout: chance of a word to be read as unknown while training.

    Example:
        >>> backbone = SentenceCNN(vocabulary=10, size=4).eval()
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
        """Build the layers with torch's default initialisation; padding has the zero vector."""
        super().__init__()
        self.size = size
        self.word_dropout = word_dropout
        self.words = nn.Embedding(vocabulary, word_size, padding_idx=0)
        self.windows = nn.ModuleList(
            nn.Conv1d(word_size, maps, window, padding=window // 2) for window in windows
        )
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(maps * len(windows), size)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Return the features of the sentences.

        Args:
            words: (n, length) int64 word numbers, 0 behind the last word.

        Returns:
            (n, size) float32, or the lower precision under autocast.
        """
        real = words != 0
        if self.training and self.word_dropout > 0:
            hidden = torch.rand(words.shape, device=words.device) < self.word_dropout
            words = words.masked_fill(hidden & real, 1)
        sentences = self.words(words).transpose(1, 2)
        maps = [_largest(window(sentences), real) for window in self.windows]
        features: torch.Tensor = self.out(self.dropout(torch.cat(maps, dim=1)))
        return features


def _largest(responses: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the maximum over the real words: (n, maps, length or more) -> (n, maps)."""
    # An even window yields one place more than there are words. After the ReLU nothing is below
    # zero, so that zero at the padding never wins.
    return (responses[..., : real.shape[1]].relu() * real[:, None]).amax(dim=2)

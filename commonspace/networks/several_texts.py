"""Several texts for one sample: the features of each, and their mean."""

from torch import Tensor, nn

__all__ = ["NO_TEXT", "MeanOfTexts"]

NO_TEXT = -2
"""Fills the place of a text that a sample does not have; no token and no word has this number."""


class MeanOfTexts(nn.Module):
    """The mean of a backbone's features over the texts of a sample.

    Args:
        backbone: the backbone that reads one text.

    Example:
        >>> import torch
        >>> from commonspace.networks.sentence_cnn import SentenceCNN
        >>> backbone = MeanOfTexts(SentenceCNN(vocabulary=10, size=4)).eval()
        >>> one, two = torch.tensor([[5, 6, 7]]), torch.tensor([[5, 0, 0]])
        >>> both = backbone(torch.stack([one, two], dim=1))
        >>> torch.allclose(both, (backbone.backbone(one) + backbone.backbone(two)) / 2)
        True
    """

    def __init__(self, backbone: nn.Module) -> None:
        """Keep the backbone; the length of its features stays."""
        super().__init__()
        self.backbone = backbone
        self.size = int(backbone.size)  # type: ignore[arg-type]

    def forward(self, texts: Tensor) -> Tensor:
        """Return the mean features.

        Args:
            texts: (n, k, length) int64; a text that a sample does not have is all ``NO_TEXT``.

        Returns:
            (n, size) floats; a sample without any text has zeros.
        """
        there = texts[:, :, 0] != NO_TEXT
        features = self.backbone(texts[there])
        owners = there.nonzero()[:, 0]
        sums = features.new_zeros(len(texts), self.size).index_add(0, owners, features)
        means: Tensor = sums / there.sum(dim=1, keepdim=True).clamp(min=1)
        return means

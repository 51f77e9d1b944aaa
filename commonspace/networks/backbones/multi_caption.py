"""Mean of the features of several captions of one sample."""

from torch import Tensor, nn

__all__ = ["NO_CAPTION", "MeanOfCaptions"]

NO_CAPTION = -2
"""Fills the row of a missing caption; no token and no word has this number."""


class MeanOfCaptions(nn.Module):
    """The mean of the features of a text backbone over the captions of each sample.

    Args:
        backbone: Backbone for one text.

    Example:
        >>> import torch
        >>> from commonspace.networks.backbones.text_cnn import TextCNN
        >>> mean = MeanOfCaptions(TextCNN(vocabulary=10, size=4)).eval()
        >>> first, second = torch.tensor([[5, 6, 7]]), torch.tensor([[5, 0, 0]])
        >>> features = mean(torch.stack([first, second], dim=1))
        >>> torch.allclose(features, (mean.backbone(first) + mean.backbone(second)) / 2, atol=1e-6)
        True
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.size = int(backbone.size)  # type: ignore[arg-type]

    def forward(self, texts: Tensor) -> Tensor:
        """Return the mean features.

        Args:
            texts: (n, k, length) int64; the row of a missing caption is filled with ``NO_CAPTION``.

        Returns:
            (n, size) floats; zeros for a sample without captions.
        """
        present = texts[:, :, 0] != NO_CAPTION
        features = self.backbone(texts[present])
        samples = present.nonzero()[:, 0]
        sums = features.new_zeros(len(texts), self.size).index_add(0, samples, features)
        means: Tensor = sums / present.sum(dim=1, keepdim=True).clamp(min=1)
        return means

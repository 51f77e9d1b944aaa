"""TF-IDF of n-grams, projected by a truncated singular value decomposition."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

__all__ = ["TfidfBackbone"]


class TfidfBackbone(nn.Module):
    """TF-IDF vectors of unit length, times the components of a truncated SVD.

    The weight of an n-gram that occurs k times is (1 + ln k) idf, as scikit-learn's
    TfidfVectorizer with ``sublinear_tf``. Nothing of it is trained.

    Args:
        vocabulary: Number of n-grams.
        size: Number of components, the length of a feature vector.

    Example:
        >>> backbone = TfidfBackbone(vocabulary=2, size=2)
        >>> weights = {"idf": torch.tensor([3.0, 4.0]), "components": torch.eye(2)}
        >>> _ = backbone.load_state_dict(weights)
        >>> backbone(torch.tensor([[0, 1], [1, -1]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 1.0000]])
    """

    def __init__(self, vocabulary: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("idf", torch.zeros(vocabulary))
        self.register_buffer("components", torch.zeros(vocabulary, size))

    def forward(self, ngrams: Tensor) -> Tensor:
        """Return the features.

        Args:
            ngrams: (n, length) int64 numbers of n-grams, with repetitions; -1 fills a row.

        Returns:
            (n, size) float32; zeros for a text without known n-grams.
        """
        idf: Tensor = self.idf  # type: ignore[assignment]
        components: Tensor = self.components  # type: ignore[assignment]
        rows, positions = (ngrams >= 0).nonzero(as_tuple=True)
        keys = rows * len(idf) + ngrams[rows, positions]
        distinct, counts = torch.unique(keys, return_counts=True)
        rows, numbers = distinct // len(idf), distinct % len(idf)
        weights = (1 + counts.float().log()) * idf[numbers]
        squares = weights.new_zeros(len(ngrams)).index_add(0, rows, weights**2)
        weights = weights / squares.sqrt()[rows].clamp(min=1e-12)
        starts = torch.searchsorted(rows, torch.arange(len(ngrams), device=rows.device))
        return embedding_bag(numbers, components, starts, mode="sum", per_sample_weights=weights)

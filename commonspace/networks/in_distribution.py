"""Detection of queries that are unlike the training data, from features and class posteriors."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["InDistribution"]

NEIGHBORS = 10
"""Nearest training samples whose mean similarity is taken."""

QUANTILES = (0.01, 0.05)
"""Quantiles of validation at which the probability of being in distribution is 0 and 1."""


class InDistribution(nn.Module):
    """Probability that an item of one modality is like the training data.

    Three signals are standardized on validation and averaged: the mean cosine similarity to the
    ten nearest training samples, of the features and of the rescaled features (deep nearest
    neighbors), and the negative entropy of the class posterior, scaled to sum 1. The probability
    rises linearly between the 1% and the 5% quantile of validation, so about 3% of the queries that
    are like validation get less than one half.

    Number of neighbors and entropy were chosen by training and validation samples of classes that
    were left out.

    Source: Sun et al.: Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022;
    Hendrycks and Gimpel: A Baseline for Detecting Misclassified and Out-of-Distribution Examples in
    Neural Networks, ICLR 2017 (with the largest probability in place of the entropy). The
    combination is new here.

    Args:
        size: Number of features.
        references: Number of stored training samples.
    """

    def __init__(self, size: int, references: int) -> None:
        super().__init__()
        self.register_buffer("references", torch.zeros(references, size))
        self.register_buffer("rescaled", torch.zeros(references, size))
        self.register_buffer("centers", torch.zeros(3))
        self.register_buffer("deviations", torch.ones(3))
        self.register_buffer("bounds", torch.tensor([0.0, 1.0]))
        self.references: Tensor
        self.rescaled: Tensor
        self.centers: Tensor
        self.deviations: Tensor
        self.bounds: Tensor

    def forward(self, features: Tensor, rescaled: Tensor, posterior: Tensor) -> Tensor:
        """Return (n,) probabilities.

        Args:
            features: (n, size).
            rescaled: (n, size), the same after ``FeatureScaling``.
            posterior: (n, c), class posteriors.
        """
        low, high = self.bounds
        score = self.score(features, rescaled, posterior)
        return torch.clamp((score - low) / (high - low), 0, 1)

    def score(self, features: Tensor, rescaled: Tensor, posterior: Tensor) -> Tensor:
        """Return (n,) means of the standardized signals; higher is more like the training data."""
        signals = self._signals(features, rescaled, posterior)
        return ((signals - self.centers) / self.deviations).mean(dim=1)

    def set_references(self, features: Tensor, rescaled: Tensor) -> None:
        """Store training samples, in place.

        Args:
            features: (references, size).
            rescaled: (references, size).
        """
        self.references.copy_(normalize(features))
        self.rescaled.copy_(normalize(rescaled))

    def calibrate(self, features: Tensor, rescaled: Tensor, posterior: Tensor) -> None:
        """Set scales and bounds by samples that are in distribution and were not trained on.

        Args:
            features: (n, size), n > 1.
            rescaled: (n, size).
            posterior: (n, c).
        """
        signals = self._signals(features, rescaled, posterior)
        self.centers.copy_(signals.mean(dim=0))
        self.deviations.copy_(signals.std(dim=0).clamp(min=1e-3))
        levels = torch.tensor(QUANTILES, device=signals.device)
        low, high = torch.quantile(self.score(features, rescaled, posterior), levels)
        self.bounds.copy_(torch.stack([low, torch.maximum(high, low + 1e-3)]))

    def _signals(self, features: Tensor, rescaled: Tensor, posterior: Tensor) -> Tensor:
        nearest = [
            (normalize(one) @ known.T).topk(min(NEIGHBORS, len(known)), dim=1).values.mean(dim=1)
            for one, known in ((features, self.references), (rescaled, self.rescaled))
        ]
        shares = posterior / posterior.sum(dim=1, keepdim=True).clamp(min=1e-12)
        certainty = (shares * shares.clamp(min=1e-12).log()).sum(dim=1)
        return torch.stack([*nearest, certainty], dim=1)

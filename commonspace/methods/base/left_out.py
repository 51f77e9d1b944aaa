"""Scores of samples by a kernel machine that has not seen their labels, computed when asked for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonspace.methods.base.kernel_ridge import squared_distances
from commonspace.methods.base.scaled_features import PART, ScaledFeatures, Scaling, parts

__all__ = ["LeftOutScores"]


@dataclass(frozen=True)
class LeftOutScores:
    """Scores of the samples of one modality, each by a machine without its label.

    The samples that the machine was fitted to have leave-one-out scores, which are stored; what the
    machine says of the others is computed when it is asked for.

    Args:
        features: Of all labeled samples, in random order.
        places: (N,) number of each sample of the split in that order; -1 where the modality or the
            label is missing.
        stored: (k, c) float32, scores of the first k in that order.
        scaling: How features are scaled,
        scales: with this shift and weight, (d,) float64 both.
        landmarks: (l, d) float32, scaled.
        width: Of the kernel.
        coefficients: (l, c) float32.
        bias: (c,) float64.
    """

    features: ScaledFeatures
    places: NDArray[np.int32]
    stored: NDArray[np.float32]
    scaling: Scaling
    scales: tuple[NDArray[np.float64], NDArray[np.float64]]
    landmarks: NDArray[np.float32]
    width: float
    coefficients: NDArray[np.float32]
    bias: NDArray[np.float64]

    def at(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return (r, c) scores of samples of the split; NaN where there are none.

        Args:
            rows: (r,) of the split.
        """
        places = self.places[rows]
        found = np.full((len(rows), len(self.bias)), np.nan, dtype=np.float32)
        known = (places >= 0) & (places < len(self.stored))
        found[known] = self.stored[places[known]]
        others = np.flatnonzero(places >= len(self.stored))
        for part in parts(len(others), PART):
            chosen = others[part]
            X = self.features.rescaled(places[chosen], self.scaling, *self.scales)
            kernel = squared_distances(X.astype(np.float32), self.landmarks)
            kernel *= -self.width
            found[chosen] = np.exp(kernel, out=kernel) @ self.coefficients + self.bias
        return found

    def all(self) -> NDArray[np.float32]:
        """Return (N, c) scores of all samples of the split."""
        return self.at(np.arange(len(self.places)))

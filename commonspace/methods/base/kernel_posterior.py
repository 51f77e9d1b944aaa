"""The kernel machine of one modality, as ``fit_kernel_posteriors`` fits it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from commonspace.methods.base.kernel_ridge import squared_distances
from commonspace.methods.base.scaled_features import Scaling, apply_power

__all__ = ["KernelPosterior"]


@dataclass(frozen=True)
class KernelPosterior:
    """Kernel machine of one modality: softmax (or sigmoid) of A'k(x) + b is p(class | x).

    Args:
        scaling: How features are scaled.
        shift: (d,) float64, subtracted after the power.
        weight: (d,) float64, factor after the shift; 0 for a constant feature.
        landmarks: (l, d) float64, scaled.
        width: Width of the kernel.
        coefficients: (l, c) float64, A.
        bias: (c,) float64, b.
        ridge: The chosen penalty.
        loss: Mean leave-one-out negative log likelihood of the classes; None where it is
            meaningless.
    """

    scaling: Scaling
    shift: NDArray[np.float64]
    weight: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    width: float
    coefficients: NDArray[np.float64]
    bias: NDArray[np.float64]
    ridge: float
    loss: float | None

    def posteriors(
        self, features: NDArray[np.float32], *, multi_label: bool
    ) -> NDArray[np.float64]:
        """Return class posteriors of new samples.

        Args:
            features: (n, d), not scaled.
            multi_label: Whether samples may have several classes.

        Returns:
            (n, c) float64 in [0, 1].
        """
        X = apply_power(features, self.scaling.power)
        between = squared_distances((X - self.shift) * self.weight, self.landmarks)
        logits = np.exp(-self.width * between) @ self.coefficients + self.bias
        found: NDArray[np.float64] = expit(logits) if multi_label else softmax(logits, axis=1)
        return found

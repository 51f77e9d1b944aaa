"""Kernel ridge regression of classes with exact leave-one-out predictions, in closed form."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, get_lapack_funcs, solve_triangular

__all__ = ["KernelRidge", "Solution", "squared_distances"]

RANK = 1e-8
"""Share of a landmark that the others do not explain, below which it is left out of the basis."""
ROUNDING = 8
"""Smallest such share, in units of the rounding of a number."""


@dataclass(frozen=True)
class Solution:
    """Solution of a regression: f(x) = A'k(x) + b.

    Args:
        coefficients: (l, c) float64, A.
        bias: (c,) float64, b.
        left_out: (n, c) float64, leave-one-out prediction for each sample.
    """

    coefficients: NDArray[np.float64]
    bias: NDArray[np.float64]
    left_out: NDArray[np.float64]


class KernelRidge:
    """Regression of targets on features with a Gaussian kernel, for any number of targets.

        min  sum_i ||t_i - f(x_i)||^2 + r ||f||^2,    f(x) = b + sum_j a_j exp(-g ||x - l_j||^2 / d)

    over functions spanned by the landmarks l_j (Nystroem; Williams and Seeger: Using the Nystroem
    method to speed up kernel machines, NIPS 2000), with the norm of the kernel and a free b. The
    predictions with sample i left out follow from one fit, with h_i its leverage:

        f_(-i)(x_i) = (f(x_i) - h_i t_i) / (1 - h_i)

    The n samples must include enough to make h_i < 1, which r > 0 ensures, save for b when n = 1.

    Args:
        between: (n, l) float64 or float32, ||x - l||^2 / d from samples, two or more, to
            landmarks. float32 is enough to compare machines and takes half the time.
        among: (l, l), the same among landmarks.
        width: g > 0.
    """

    def __init__(
        self, between: NDArray[np.floating], among: NDArray[np.floating], width: float
    ) -> None:
        assert len(between) > 1
        (pstrf,) = get_lapack_funcs(("pstrf",), (among,))
        rest = max(RANK, ROUNDING * float(np.finfo(among.dtype).eps))
        found, order, rank, _ = pstrf(np.exp(-width * among), tol=rest, lower=1)
        self._basis, self._landmarks = order[:rank] - 1, len(among)
        root = found[:rank, :rank]  # lower; entries above the diagonal are not used
        kernel = np.exp(-width * between[:, self._basis])
        features = solve_triangular(root, kernel.T, lower=True, overwrite_b=True).T
        self._mean = features.mean(axis=0)
        features -= self._mean
        scatter, turn = eigh(features.T @ features, driver="evd", overwrite_a=True)
        self._scatter = np.maximum(scatter, 0)
        self._turned = features @ turn
        self._to_turned = solve_triangular(root, turn, lower=True, trans="T")
        self._mean = self._mean @ turn

    def solve(self, targets: NDArray[np.float64], ridge: float) -> Solution:
        """Return the optimum.

        Args:
            targets: (n, c), class probabilities.
            ridge: r > 0.
        """
        weights = self._weights(targets, ridge)
        coefficients = np.zeros((self._landmarks, targets.shape[1]))
        coefficients[self._basis] = self._to_turned @ weights
        return Solution(
            coefficients,
            targets.mean(axis=0) - self._mean @ weights,
            self.left_out(targets, ridge),
        )

    def left_out(self, targets: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
        """Return (n, c), the leave-one-out prediction for each sample."""
        fitted = self._turned @ self._weights(targets, ridge) + targets.mean(axis=0)
        leverage = (self._squares @ (1 / (self._scatter + ridge)) + 1 / len(targets))[:, None]
        found: NDArray[np.float64] = (fitted - leverage * targets) / (1 - leverage)
        return found

    def _weights(self, targets: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
        centered = targets - targets.mean(axis=0)
        found: NDArray[np.float64] = (self._turned.T @ centered) / (self._scatter + ridge)[:, None]
        return found

    @cached_property
    def _squares(self) -> NDArray[np.float64]:
        squares: NDArray[np.float64] = np.square(self._turned)
        return squares


def squared_distances(
    X: NDArray[np.float64], landmarks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n, l), ||x - l||^2 / d."""
    squares = np.square(X).sum(axis=1)[:, None] + np.square(landmarks).sum(axis=1)
    squares -= 2 * X @ landmarks.T
    found: NDArray[np.float64] = np.maximum(squares, 0) / X.shape[1]
    return found

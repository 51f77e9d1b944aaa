"""Kernel ridge regression of classes with exact leave-one-out predictions, in closed form."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, get_lapack_funcs, solve_triangular

__all__ = ["KernelRidge", "Solution", "squared_distances"]

RANK = 1e-8
"""Share of a landmark that the others do not explain, below which it is left out of the basis."""
ROUNDING = 8
"""Smallest such share, in units of the rounding of a number."""
PART = 1024
"""Rows of a temporary array."""


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
            landmarks. float32 is enough to compare machines and takes half the time. Fitting takes
            O(n l^2 + l^3) time, and as much memory again as this array.
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
        kernel = between[:, self._basis]
        kernel *= -width
        np.exp(kernel, out=kernel)
        features = solve_triangular(root, kernel.T, lower=True, overwrite_b=True).T
        self._mean = features.mean(axis=0)
        features -= self._mean
        scatter, turn = eigh(features.T @ features, driver="evd", overwrite_a=True)
        self._scatter = np.maximum(scatter, 0)
        for part in _parts(features):  # in place: features may be most of the memory
            part[:] = part @ turn
        self._turned = features
        self._projected: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
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
        weights = self._weights(targets, ridge).astype(self._turned.dtype)
        found: NDArray[np.float64] = (self._turned @ weights).astype(np.float64, copy=False)
        found += targets.mean(axis=0)
        factors = 1 / (self._scatter + ridge)
        parts = [np.square(part) @ factors for part in _parts(self._turned)]
        leverage = (np.concatenate(parts) + 1 / len(targets))[:, None]
        found -= leverage * targets
        found /= 1 - leverage
        return found

    def _weights(self, targets: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
        if self._projected is None or self._projected[0] is not targets:
            centered = targets - targets.mean(axis=0)
            projected = self._turned.T @ centered.astype(self._turned.dtype)
            self._projected = targets, projected.astype(np.float64, copy=False)
        found: NDArray[np.float64] = self._projected[1] / (self._scatter + ridge)[:, None]
        return found


def _parts(rows: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    """Yield views of some rows after the other, so that temporary arrays stay small."""
    for start in range(0, len(rows), PART):
        yield rows[start : start + PART]


def squared_distances(X: NDArray[Any], landmarks: NDArray[Any]) -> NDArray[Any]:
    """Return (n, l), ||x - l||^2 / d; float32 for float32."""
    found: NDArray[Any] = X @ landmarks.T
    found *= -2
    found += np.einsum("nd,nd->n", X, X)[:, None]
    found += np.einsum("ld,ld->l", landmarks, landmarks)
    np.maximum(found, 0, out=found)
    found /= X.shape[1]
    return found

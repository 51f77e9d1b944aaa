"""Multinomial logistic regression with a squared penalty, solved to the optimum."""

from functools import cached_property

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

__all__ = ["LogisticRegression", "Posteriors"]

Posteriors = tuple[NDArray[np.float64], NDArray[np.float64]]
"""W, (d, c), and b, (c,), of p(class | x) = softmax(W'x + b)."""


class LogisticRegression:
    """Regression of labels on features, for one or several weights of the penalty.

        min  ||W||^2 / 2 - C sum_i sum_c t_ic log p(c | x_i)

    with t_i the classes of sample i in equal shares; b is not penalized. The problem is convex.
    L-BFGS solves it in coordinates in which no curvature exceeds 1: the Hessian is at most
    X'X / 2 + I / C for each class (Boehning: Multinomial logistic regression algorithm, Annals of
    the Institute of Statistical Mathematics 44, 1992), so that principal coordinates are divided
    by the root of that.

    Args:
        X: (n, d) float64, preferably of about unit variance.
        labels: (n, c) bool, at least one in each row.

    Example:
        >>> regression = LogisticRegression(np.array([[-1.0], [1.0]]), np.eye(2, dtype=bool))
        >>> W, b = regression.fit(C=1.0)
        >>> W.round(3).tolist(), b.round(3).tolist()
        ([[-0.521, 0.521]], [0.0, 0.0])
    """

    def __init__(self, X: NDArray[np.float64], labels: NDArray[np.bool_]) -> None:
        self._X = X
        self._shares = labels / labels.sum(axis=1, keepdims=True)

    def fit(self, C: float, start: Posteriors | None = None) -> Posteriors:
        """Return the optimum.

        Args:
            C: Weight of the likelihood, > 0.
            start: Initial value, such as the optimum for another C; None: zero.

        Returns:
            W, (d, c) float64, and b, (c,) float64 with mean 0. A class without samples gets a
            posterior near 0.
        """
        X, T = self._X, self._shares
        (n, d), c = X.shape, T.shape[1]
        power, basis = self._principal
        # W = scaled V: V has the curvatures that are at most 1.
        roots = np.sqrt(power / (2 * n) + 1 / (C * n))
        scaled = basis / roots

        def mean_loss(packed: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            W, b = scaled @ packed[: d * c].reshape(d, c), packed[d * c :]
            log_p = log_softmax(X @ W + b, axis=1)
            slope = (np.exp(log_p) - T) / n
            loss = -np.vdot(T, log_p) / n + np.vdot(W, W) / (2 * C * n)
            slopes = scaled.T @ (X.T @ slope + W / (C * n))
            return float(loss), np.concatenate([slopes.ravel(), slope.sum(axis=0)])

        W, b = start or (np.zeros((d, c)), np.zeros(c))
        found = minimize(
            mean_loss,
            np.concatenate([(roots[:, None] * (basis.T @ W)).ravel(), b]),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 1000, "maxfun": 2000, "gtol": 1e-5, "ftol": 0.0, "maxcor": 20},
        )
        W, b = scaled @ found.x[: d * c].reshape(d, c), found.x[d * c :]
        return W, b - b.mean()

    @cached_property
    def _principal(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The eigenvalues of X'X, (d,), and its eigenvectors, (d, d)."""
        power, basis = scipy.linalg.eigh(self._X.T @ self._X)
        return np.maximum(power, 0), basis

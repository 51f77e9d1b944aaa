"""Multinomial logistic regression with a squared penalty, solved to the optimum.

It knows nothing of modalities or retrieval.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

__all__ = ["Posteriors", "fit_posteriors"]

Posteriors = tuple[NDArray[np.float64], NDArray[np.float64]]
"""W, (d, c), and b, (c,), of softmax(W'x + b)."""


def fit_posteriors(
    X: NDArray[np.float64],
    labels: NDArray[np.bool_],
    C: float,
    start: Posteriors | None = None,
) -> Posteriors:
    """Fit p(class | x) = softmax(W'x + b).

        min  ||W||^2 / 2 - C sum_i sum_c t_ic log p(c | x_i)

    with t_i the classes of sample i in equal shares; b goes free. The problem is convex; L-BFGS
    stops when no entry of the gradient of the mean exceeds 1e-6.

    Args:
        X: (n, d) float64, best of about unit variance.
        labels: (n, c) bool, at least one in each row.
        C: the weight of the likelihood, above 0.
        start: W and b to begin with, such as those for another C; None: zero.

    Returns:
        W, (d, c) float64, and b, (c,) float64 with mean 0. A class without samples gets the
        posterior that the penalty leaves it, near 0.

    Example:
        >>> W, b = fit_posteriors(np.array([[-1.0], [1.0]]), np.eye(2, dtype=bool), C=1.0)
        >>> W.round(3).tolist(), b.round(3).tolist()
        ([[-0.521, 0.521]], [0.0, 0.0])
    """
    n, d = X.shape
    T = labels / labels.sum(axis=1, keepdims=True)
    c = T.shape[1]
    W0, b0 = start or (np.zeros((d, c)), np.zeros(c))

    def mean_loss(packed: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        W, b = packed[: d * c].reshape(d, c), packed[d * c :]
        log_p = log_softmax(X @ W + b, axis=1)
        slope = (np.exp(log_p) - T) / n
        loss = -np.vdot(T, log_p) / n + np.vdot(W, W) / (2 * C * n)
        return float(loss), np.concatenate([(X.T @ slope + W / (C * n)).ravel(), slope.sum(axis=0)])

    found = minimize(
        mean_loss,
        np.concatenate([W0.ravel(), b0]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "maxfun": 4000, "gtol": 1e-6, "ftol": 0.0, "maxcor": 20},
    )
    W, b = found.x[: d * c].reshape(d, c), found.x[d * c :]
    return W, b - b.mean()

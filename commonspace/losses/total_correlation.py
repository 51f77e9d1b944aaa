"""Total correlation: the sum of the canonical correlations of two sets of outputs."""

import torch
from torch import Tensor

__all__ = ["total_correlation", "whitened_covariance"]


def total_correlation(first: Tensor, second: Tensor, ridge: float) -> Tensor:
    """Return the sum of all canonical correlations, which DCCA maximises.

        corr = ||T||_tr = sum of the singular values of T = S_11^-1/2 S_12 S_22^-1/2
        S_12 = H_1'H_2 / (n - 1),    S_mm = H_m'H_m / (n - 1) + r I,    H_m centred

    Source: Andrew, Arora, Bilmes, Livescu: Deep Canonical Correlation Analysis, ICML 2013, eq. 10,
    with all singular values (k = o). The square roots are taken as Cholesky factors L L' = S, which
    turn T by an orthogonal matrix on each side and leave its singular values, and the gradient of
    the paper (eq. 11 to 13), as they are. That gradient has no difference of eigenvalues in a
    denominator, so that outputs that are collinear, constant or zero do it no harm where r > 0.

    Args:
        first: (n, a) floating point, H_1; n at least 2.
        second: (n, b), H_2.
        ridge: r, above 0, in the unit of the outputs squared.

    Returns:
        A float64 scalar from 0 to min(a, b): differences of nearly equal numbers decide here, and
        float32 would lose them.

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [4.0]])
        >>> round(float(total_correlation(x, 3 - 2 * x, ridge=1e-9)), 6)
        1.0
    """
    T, _, _ = whitened_covariance(first, second, ridge)
    correlation: Tensor = torch.linalg.svdvals(T).sum()
    return correlation


def whitened_covariance(
    first: Tensor, second: Tensor, ridge: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return L_1^-1 S_12 L_2^-T, and the Cholesky factors L_1 and L_2 of S_11 and S_22.

    Args:
        first: (n, a), H_1 before centring.
        second: (n, b), H_2.
        ridge: r.

    Returns:
        (a, b), (a, a) and (b, b), all float64.
    """
    one, two = (_centred(H) for H in (first, second))
    n = len(one) - 1
    factors = [
        torch.linalg.cholesky(
            H.T @ H / n + ridge * torch.eye(H.shape[1], dtype=H.dtype, device=H.device)
        )
        for H in (one, two)
    ]
    left = torch.linalg.solve_triangular(factors[0], one.T @ two / n, upper=False)
    T: Tensor = torch.linalg.solve_triangular(factors[1], left.T, upper=False).T
    return T, factors[0], factors[1]


def _centred(H: Tensor) -> Tensor:
    exact = (H.cpu() if H.device.type == "mps" else H).double()  # which has no float64
    return exact - exact.mean(dim=0)

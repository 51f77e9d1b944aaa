"""Total correlation of two sets of outputs, the objective of deep CCA."""

import torch
from torch import Tensor

from commonspace.errors import DataError

__all__ = ["total_correlation", "total_correlation_loss", "whitened_covariance"]


def total_correlation_loss(first: Tensor, second: Tensor, ridge: float = 0.1) -> Tensor:
    """Return minus the total correlation of paired outputs, to be minimized.

    Source: Andrew, Arora, Bilmes, Livescu: Deep Canonical Correlation Analysis, ICML 2013, eq. 10.

    Args:
        first: (n, a) float, outputs for one modality; n >= 2.
        second: (n, b) float, outputs for the same samples in another modality.
        ridge: r > 0, in the unit of the outputs squared.

    Returns:
        A float64 scalar from -min(a, b) to 0.

    Raises:
        DataError: If there are fewer than two pairs, or the numbers of rows differ.

    Example:
        >>> x = torch.tensor([[1.0], [2.0], [4.0]])
        >>> round(float(total_correlation_loss(x, 3 - 2 * x, ridge=1e-9)), 6)
        -1.0
    """
    return -total_correlation(first, second, ridge)


def total_correlation(first: Tensor, second: Tensor, ridge: float = 0.1) -> Tensor:
    """Return the sum of all canonical correlations, which deep CCA maximizes.

        corr = ||T||_tr = sum of the singular values of T = S_11^-1/2 S_12 S_22^-1/2
        S_12 = H_1'H_2 / (n - 1),    S_mm = H_m'H_m / (n - 1) + r I,    H_m centered

    Source: Andrew, Arora, Bilmes, Livescu: Deep Canonical Correlation Analysis, ICML 2013, eq. 10,
    with all singular values (k = o). The square roots are Cholesky factors L L' = S, which multiply
    T by an orthogonal matrix on each side and change neither its singular values nor the gradient
    of the paper (eq. 11 to 13). That gradient divides by no difference of eigenvalues, so it is
    finite for collinear, constant and zero outputs if r > 0.

    Args:
        first: (n, a) floating point, H_1; n >= 2.
        second: (n, b), H_2, of the same samples.
        ridge: r > 0, in the unit of the outputs squared.

    Returns:
        A float64 scalar from 0 to min(a, b). It depends on differences of nearly equal numbers,
        for which float32 is not precise enough.

    Raises:
        DataError: If there are fewer than two pairs, or the numbers of rows differ.

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
        first: (n, a), H_1 before centering; n >= 2.
        second: (n, b), H_2.
        ridge: r > 0.

    Returns:
        (a, b), (a, a) and (b, b), all float64.

    Raises:
        DataError: If there are fewer than two pairs, or the numbers of rows differ.
    """
    if len(first) != len(second) or len(first) < 2:
        raise DataError(
            "canonical correlations need paired outputs",
            expected="(n, a) and (n, b) with n >= 2, row i of each from one sample",
            found=f"{tuple(first.shape)} and {tuple(second.shape)}",
            advice="select the samples that have both modalities",
        )
    H1, H2 = _center(first), _center(second)
    n = len(H1) - 1
    factors = [
        torch.linalg.cholesky(
            H.T @ H / n + ridge * torch.eye(H.shape[1], dtype=H.dtype, device=H.device)
        )
        for H in (H1, H2)
    ]
    left = torch.linalg.solve_triangular(factors[0], H1.T @ H2 / n, upper=False)
    T: Tensor = torch.linalg.solve_triangular(factors[1], left.T, upper=False).T
    return T, factors[0], factors[1]


def _center(H: Tensor) -> Tensor:
    exact = (H.cpu() if H.device.type == "mps" else H).double()  # MPS has no float64
    return exact - exact.mean(dim=0)

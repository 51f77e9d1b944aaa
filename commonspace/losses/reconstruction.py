"""Reconstruction error in units of the variance of the features."""

from torch import Tensor

__all__ = ["unexplained_variance"]


def unexplained_variance(features: Tensor, decoded: Tensor) -> Tensor:
    """Return the squared error of a reconstruction, divided by the variance of the features.

    Args:
        features: (n, size) floating point.
        decoded: (n, size), their reconstruction.

    Returns:
        A scalar; 1 if ``decoded`` is the mean of the features. Features without variance, such as
        those of a single sample, give 0.

    Example:
        >>> import torch
        >>> x = torch.tensor([[0.0], [2.0]])
        >>> unexplained_variance(x, torch.ones(2, 1))
        tensor(1.)
    """
    variance = (features - features.mean(dim=0)).square().sum()
    error: Tensor = (features - decoded).square().sum()
    return error / variance if variance > 0 else error * 0

"""A kernel machine with a Gaussian kernel on a fixed set of points.

It knows nothing of how its coefficients were found.
"""

import torch
from torch import Tensor, nn

__all__ = ["KernelMachine"]


class KernelMachine(nn.Module):
    """A weighted sum of bumps around landmarks, for each output.

        f(x) = A'k(x) + b,   k_j(x) = exp(-g ||x - l_j||^2 / d)

    with landmarks l_j, d features, and the width g. Fixed: nothing here is learnt by descent.

    Args:
        size: d, the number of features.
        landmarks: how many points there are.
        outputs: the length of f(x).

    Example:
        >>> machine = KernelMachine(size=2, landmarks=1, outputs=1)
        >>> machine.coefficients.fill_(1.0), machine.width.fill_(0.5)
        (tensor([[1.]]), tensor(0.5000))
        >>> machine(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
        tensor([[1.0000],
                [0.3679]])
    """

    def __init__(self, size: int, landmarks: int, outputs: int) -> None:
        """Begin with zeros."""
        super().__init__()
        self.register_buffer("landmarks", torch.zeros(landmarks, size))
        self.register_buffer("coefficients", torch.zeros(landmarks, outputs))
        self.register_buffer("bias", torch.zeros(outputs))
        self.register_buffer("width", torch.ones(()))
        self.landmarks: Tensor
        self.coefficients: Tensor
        self.bias: Tensor
        self.width: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, outputs) for (n, size) features."""
        squares = x.square().sum(dim=1, keepdim=True) + self.landmarks.square().sum(dim=1)
        distances = torch.addmm(squares, x, self.landmarks.T, alpha=-2).clamp(min=0)
        k = torch.exp(distances * (-self.width / x.shape[1]))
        return torch.addmm(self.bias, k, self.coefficients)

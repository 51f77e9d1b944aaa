"""Kernel machines on scaled features, and the network of kernel CCA, one machine a modality."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["FeatureScaling", "KernelConfig", "KernelMachine", "KernelNetwork", "set_buffers"]


@dataclass(frozen=True)
class KernelConfig:
    """Settings of a ``KernelNetwork``.

    Args:
        sizes: Modality -> size of its features.
        landmarks: Modality -> number of stored landmarks.
        dimension: d, the embedding dimension.
    """

    sizes: Mapping[str, int]
    landmarks: Mapping[str, int]
    dimension: int


class KernelNetwork(nn.Module):
    """A kernel machine on scaled features for each modality, followed by L2 normalization.

    The weights of a new network are zero; ``scale`` and ``kernel`` return the parts to set.

    Args:
        config: Sizes.
    """

    def __init__(self, config: KernelConfig) -> None:
        super().__init__()
        self.config = config
        # Numbers, since torch accepts neither "a.b" nor "type" as the name of a module.
        self._numbers = {name: number for number, name in enumerate(config.sizes)}
        self.scales = nn.ModuleList(FeatureScaling(size) for size in config.sizes.values())
        self.kernels = nn.ModuleList(
            KernelMachine(size, config.landmarks[name], config.dimension)
            for name, size in config.sizes.items()
        )

    def scale(self, modality: str) -> "FeatureScaling":
        """Return the scaling of the features of a modality."""
        scale = self.scales[self._numbers[modality]]
        assert isinstance(scale, FeatureScaling)
        return scale

    def kernel(self, modality: str) -> "KernelMachine":
        """Return the kernel machine of a modality."""
        kernel = self.kernels[self._numbers[modality]]
        assert isinstance(kernel, KernelMachine)
        return kernel

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that it embeds."""
        return tuple(self.config.sizes)

    @property
    def dimension(self) -> int:
        """d, the embedding dimension."""
        return self.config.dimension

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 embeddings of unit length, whose inner product is the cosine.

        Args:
            modality: Selects the machine.
            inputs: (n, size) float32 features.
        """
        return normalize(self.kernel(modality)(self.scale(modality)(inputs)))

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "KernelNetwork":
        """Build the network from what ``to_config`` returned; its weights are zero."""
        return cls(KernelConfig(**config))


class FeatureScaling(nn.Module):
    """Scaling of features: (sign(x) |x|^r - m) v, with r = 1, or r = 1/2 for counts.

    Args:
        size: Number of features.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("power", torch.ones(()))
        self.register_buffer("shift", torch.zeros(size))
        self.register_buffer("weight", torch.ones(size))
        self.power: Tensor
        self.shift: Tensor
        self.weight: Tensor

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, size)."""
        if self.power.device.type == "cpu" and self.power == 1:  # elsewhere the question would wait
            return (features - self.shift) * self.weight
        return (features.sign() * features.abs().pow(self.power) - self.shift) * self.weight


class KernelMachine(nn.Module):
    """A kernel machine with a Gaussian kernel on fixed landmarks.

        f(x) = A'k(x) + b,   k_j(x) = exp(-g ||x - l_j||^2 / d)

    with landmarks l_j, d features and the width g. Its coefficients are computed in closed form.

    Args:
        size: d, the number of features.
        landmarks: Number of landmarks.
        outputs: Length of f(x).

    Example:
        >>> machine = KernelMachine(size=2, landmarks=1, outputs=1)
        >>> machine.coefficients.fill_(1.0), machine.width.fill_(0.5)
        (tensor([[1.]]), tensor(0.5000))
        >>> machine(torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
        tensor([[1.0000],
                [0.3679]])
    """

    def __init__(self, size: int, landmarks: int, outputs: int) -> None:
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


def set_buffers(module: nn.Module, **values: NDArray[np.float64] | float) -> None:
    """Copy arrays and numbers into the buffers of these names, rounded to their type.

    Args:
        module: With such buffers.
        **values: Buffer name -> value of its shape.
    """
    for name, value in values.items():
        module.get_buffer(name).copy_(torch.as_tensor(value))

"""Kernel network: an affine map of Gaussian kernels to stored landmarks, for each modality."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["KernelConfig", "KernelNetwork"]


@dataclass(frozen=True)
class KernelConfig:
    """Settings of a ``KernelNetwork``.

    Args:
        sizes: Modality -> size of its features.
        landmarks: Modality -> number of stored landmarks.
        dimension: d, the embedding dimension.
        width: g > 0, the factor of the mean squared difference.
    """

    sizes: Mapping[str, int]
    landmarks: Mapping[str, int]
    dimension: int
    width: float


class KernelNetwork(nn.Module):
    """Affine maps of Gaussian kernels to landmarks, followed by L2 normalization.

        u = C'k(x) + b,    k_j(x) = exp(-g ||x - l_j||^2 / size)

    on standardized features. Weights are zero until they are set or loaded.

    Args:
        config: Sizes and width.
    """

    def __init__(self, config: KernelConfig) -> None:
        super().__init__()
        self.config = config
        # Numbers, since torch does not accept "a.b" as the name of a buffer.
        self._numbers = {name: number for number, name in enumerate(config.sizes)}
        for name, number in self._numbers.items():
            size, count = config.sizes[name], config.landmarks[name]
            self.register_buffer(f"shift_{number}", torch.zeros(size))
            self.register_buffer(f"weight_{number}", torch.ones(size))
            self.register_buffer(f"landmarks_{number}", torch.zeros(count, size))
            self.register_buffer(f"matrix_{number}", torch.zeros(count, config.dimension))
            self.register_buffer(f"bias_{number}", torch.zeros(config.dimension))

    def store(
        self,
        modality: str,
        *,
        shift: Tensor,
        weight: Tensor,
        landmarks: Tensor,
        matrix: Tensor,
        bias: Tensor,
    ) -> None:
        """Set the weights of a modality.

        Args:
            modality: One of the modalities.
            shift: (size,) mean of the features.
            weight: (size,) factor of each feature after the shift.
            landmarks: (l, size) standardized features.
            matrix: (l, d), C.
            bias: (d,), b.
        """
        values = {"shift": shift, "weight": weight, "landmarks": landmarks}
        for name, value in {**values, "matrix": matrix, "bias": bias}.items():
            getattr(self, f"{name}_{self._numbers[modality]}").copy_(value)

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
            modality: Selects the landmarks and the map.
            inputs: (n, size) float32 features.
        """
        shift, weight, landmarks, matrix, bias = (
            getattr(self, f"{name}_{self._numbers[modality]}")
            for name in ("shift", "weight", "landmarks", "matrix", "bias")
        )
        x = (inputs - shift) * weight
        squares = x.square().sum(dim=1)[:, None] + landmarks.square().sum(dim=1)
        squares = (squares - 2 * x @ landmarks.T).clamp(min=0)
        kernels = (-self.config.width / landmarks.shape[1] * squares).exp()
        return normalize(kernels @ matrix + bias)

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "KernelNetwork":
        """Build the network from what ``to_config`` returned; its weights are zero."""
        return cls(KernelConfig(**config))

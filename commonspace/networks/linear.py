"""Linear network: one affine map for each modality, as computed by methods in closed form."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["Activation", "AffineMap", "FixedMap", "LinearConfig", "LinearNetwork"]

Activation = Literal["identity", "softmax"]


@dataclass(frozen=True)
class AffineMap:
    """The map x -> W'(x - m) + b of one modality.

    Args:
        shift: (size,) float64, m, usually the mean over the training split.
        matrix: (size, d) float64, W.
        bias: (d,) float64, b; None for zero.
    """

    shift: NDArray[np.float64]
    matrix: NDArray[np.float64]
    bias: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class LinearConfig:
    """Settings of a ``LinearNetwork``.

    Args:
        sizes: Modality -> size of its features.
        dimension: d, the embedding dimension.
        activation: "softmax" turns the results of the maps into class posteriors.
        normalized: Whether embeddings are scaled to unit length, so that the inner product is the
            cosine.
    """

    sizes: Mapping[str, int]
    dimension: int
    activation: Activation = "identity"
    normalized: bool = True


class LinearNetwork(nn.Module):
    """An affine map for each modality, with an optional softmax and normalization.

        u = a(W_m'(x - m_m) + b_m),    embedding: u / ||u||, or u

    The shift is subtracted before the product, which keeps the precision of float32 for features
    far from zero. Weights are zero until they are set or loaded.

    Args:
        config: Sizes and options.

    Example:
        >>> maps = {"image": AffineMap(np.ones(2), np.eye(2)), "text": AffineMap(np.zeros(1),
        ...     np.array([[3.0, 4.0]]))}
        >>> LinearNetwork.from_maps(maps).embed("text", torch.ones(1, 1))
        tensor([[0.6000, 0.8000]])
    """

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config = config
        # Numbers, since torch accepts neither "a.b" nor "type" as the name of a module.
        self._numbers = {name: number for number, name in enumerate(config.sizes)}
        self.maps = nn.ModuleList(
            FixedMap(size, config.dimension) for size in config.sizes.values()
        )

    @classmethod
    def from_maps(
        cls,
        maps: Mapping[str, AffineMap],
        activation: Activation = "identity",
        *,
        normalized: bool = True,
    ) -> "LinearNetwork":
        """Build the network with the given maps.

        Args:
            maps: Modality -> map; all have the same output dimension.
            activation: "identity" or "softmax", after the maps.
            normalized: Whether embeddings are scaled to unit length.
        """
        sizes = {name: len(affine.matrix) for name, affine in maps.items()}
        (dimension,) = {affine.matrix.shape[1] for affine in maps.values()}
        network = cls(LinearConfig(sizes, dimension, activation, normalized))
        for module, affine in zip(network.maps, maps.values(), strict=True):
            assert isinstance(module, FixedMap)
            module.set(affine)
        return network

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities, in the order of the maps."""
        return tuple(self.config.sizes)

    @property
    def dimension(self) -> int:
        """d, the embedding dimension."""
        return self.config.dimension

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 embeddings, whose inner product is the score.

        Args:
            modality: Selects the map.
            inputs: (n, size) float32 features.
        """
        u: Tensor = self.maps[self._numbers[modality]](inputs)
        if self.config.activation == "softmax":
            u = u.softmax(dim=1)
        return normalize(u) if self.config.normalized else u

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "LinearNetwork":
        """Build the network from what ``to_config`` returned; its weights are zero."""
        return cls(LinearConfig(**config))


class FixedMap(nn.Module):
    """An affine map x -> W'(x - m) + b that is computed, not trained by gradient descent.

    Args:
        size: Length of x.
        dimension: d, the length of the result.
    """

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(size), requires_grad=False)
        self.matrix = nn.Parameter(torch.zeros(size, dimension), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(dimension), requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 for (n, size) inputs."""
        return torch.addmm(self.bias, inputs - self.shift, self.matrix)

    def set(self, affine: AffineMap) -> None:
        """Set the weights, rounded to float32."""
        self.shift.copy_(torch.from_numpy(affine.shift))
        self.matrix.copy_(torch.from_numpy(affine.matrix))
        if affine.bias is not None:
            self.bias.copy_(torch.from_numpy(affine.bias))

"""One affine map for each modality, what methods in closed form end in.

It knows nothing of how the maps were found.
"""

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
    """The map x -> W'(x - m) + b of one modality, as it was found.

    Args:
        shift: (size,) float64, m: usually the mean over the training part.
        matrix: (size, d) float64, W.
        bias: (d,) float64, b; None for zero.
    """

    shift: NDArray[np.float64]
    matrix: NDArray[np.float64]
    bias: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class LinearConfig:
    """All that is needed to build the network again, save for its weights.

    Args:
        sizes: modality name -> size of its features.
        dimension: d, the size of the common space.
        activation: "softmax" turns what the maps give into class posteriors.
        normalised: whether vectors are brought to unit length, so that the inner product is the
            cosine.
    """

    sizes: Mapping[str, int]
    dimension: int
    activation: Activation = "identity"
    normalised: bool = True


class LinearNetwork(nn.Module):
    """An affine map for each modality, then nothing or a softmax, then unit length or not.

        u = a(W_m'(x - m_m) + b_m),    embedded as u / ||u||, or as u

    The shift is taken off before the product, which keeps the digits of float32 where features
    lie far from zero.

    Args:
        config: sizes and options; the weights are zero until they are set or loaded.

    Example:
        >>> maps = {"image": AffineMap(np.ones(2), np.eye(2)), "text": AffineMap(np.zeros(1),
        ...     np.array([[3.0, 4.0]]))}
        >>> LinearNetwork.of(maps).embed("text", torch.ones(1, 1))
        tensor([[0.6000, 0.8000]])
    """

    kind = "linear"

    def __init__(self, config: LinearConfig) -> None:
        """Build the maps, all zero."""
        super().__init__()
        self.config = config
        # By number, for torch takes neither "a.b" nor "type" for the name of a module.
        self._numbers = {name: number for number, name in enumerate(config.sizes)}
        self.maps = nn.ModuleList(
            FixedMap(size, config.dimension) for size in config.sizes.values()
        )

    @classmethod
    def of(
        cls,
        maps: Mapping[str, AffineMap],
        activation: Activation = "identity",
        *,
        normalised: bool = True,
    ) -> "LinearNetwork":
        """Build the network with these maps.

        Args:
            maps: modality name -> map; all into one dimension.
            activation: what follows the maps.
            normalised: whether vectors are brought to unit length.
        """
        sizes = {name: len(one.matrix) for name, one in maps.items()}
        (dimension,) = {one.matrix.shape[1] for one in maps.values()}
        network = cls(LinearConfig(sizes, dimension, activation, normalised))
        for module, one in zip(network.maps, maps.values(), strict=True):
            assert isinstance(module, FixedMap)
            module.set(one)
        return network

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the maps, in order."""
        return tuple(self.config.sizes)

    @property
    def dimension(self) -> int:
        """d, the size of the common space."""
        return self.config.dimension

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 vectors whose inner product is the score.

        Args:
            modality: which map.
            inputs: (n, size) float32 features.
        """
        u: Tensor = self.maps[self._numbers[modality]](inputs)
        if self.config.activation == "softmax":
            u = u.softmax(dim=1)
        return normalize(u) if self.config.normalised else u

    def to_config(self) -> dict[str, Any]:
        """Return a description, fit for JSON, from which ``from_config`` builds it again."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "LinearNetwork":
        """Build the network that ``to_config`` described; its weights are zero."""
        return cls(LinearConfig(**config))


class FixedMap(nn.Module):
    """The map x -> W'(x - m) + b, set from outside and never learnt by descent.

    Args:
        size: length of x.
        dimension: d, length of what it gives.
    """

    def __init__(self, size: int, dimension: int) -> None:
        """Begin with zeros."""
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(size), requires_grad=False)
        self.matrix = nn.Parameter(torch.zeros(size, dimension), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(dimension), requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 for (n, size)."""
        return torch.addmm(self.bias, inputs - self.shift, self.matrix)

    def set(self, given: AffineMap) -> None:
        """Take over a map, rounded to float32."""
        self.shift.copy_(torch.from_numpy(given.shift))
        self.matrix.copy_(torch.from_numpy(given.matrix))
        if given.bias is not None:
            self.bias.copy_(torch.from_numpy(given.bias))

"""Multi-branch network: a backbone and fully connected layers for each modality, and heads."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, normalize

from commonspace.networks.kinds import build_kind
from commonspace.networks.linear import FixedMap
from commonspace.networks.network import MultiBranchNetwork

__all__ = [
    "HEADS",
    "Bias",
    "BranchesConfig",
    "BranchesNetwork",
    "Counter",
    "LabelGraph",
    "Orthonormal",
    "Prototypes",
    "Scale",
    "fully_connected",
    "head_from_config",
]

Activation = Literal["relu", "tanh"]

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}

LARGEST_SCALE = 100.0
"""Upper limit of the learned scale, as in Radford et al., so that no sample dominates."""


@dataclass(frozen=True)
class BranchesConfig:
    """Settings of a ``BranchesNetwork``.

    Args:
        backbones: Modality -> description of its backbone, ``{"kind": ..., ...}``.
        hidden_dim: Size of each hidden layer of a branch.
        embedding_dim: d, the size of the last layer.
        depth: Number of hidden layers of each branch, >= 1.
        activation: Activation after each hidden layer.
        activate_last: Whether the activation also follows the last layer.
        shared: Whether all modalities share one last layer.
        decoded: Whether each branch has a decoder from d to the features of its backbone.
        heads: Name -> description of a head that is used only during training.
        projected: k, the size of a fixed affine map after each branch, whose results are the
            embeddings; None: no map.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    hidden_dim: int = 1024
    embedding_dim: int = 256
    depth: int = 1
    activation: Activation = "relu"
    activate_last: bool = False
    shared: bool = False
    decoded: bool = False
    heads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    projected: int | None = None


class BranchesNetwork(MultiBranchNetwork):
    """Fully connected layers on a backbone for each modality, with an optional shared last layer.

        h = a(W_m f_m(x) + b_m), once for each hidden layer      f_m: the backbone
        u = V h + c                                              the last layer
        embedding: u / ||u||, or P_m'(u - n_m) scaled to length 1 with a fixed map

    Weights are drawn from torch's global generator.

    Args:
        config: Sizes, backbones and options.
    """

    config: BranchesConfig

    def __init__(self, config: BranchesConfig) -> None:
        super().__init__(config)
        hidden = [config.hidden_dim] * config.depth
        outputs = hidden if config.shared else [*hidden, config.embedding_dim]
        sizes = [int(backbone.size) for backbone in self.backbones]  # type: ignore[arg-type]
        self.branches = nn.ModuleList(
            fully_connected([size, *outputs], config.activation) for size in sizes
        )
        activation = ACTIVATIONS[config.activation]
        self.last = nn.Sequential()
        if config.shared:
            self.last.append(activation())
            self.last.append(nn.Linear(config.hidden_dim, config.embedding_dim))
        if config.activate_last:
            self.last.append(activation())
        self.decoders = nn.ModuleList(
            fully_connected([config.embedding_dim, *hidden, size], config.activation)
            for size in (sizes if config.decoded else [])
        )
        self.heads = nn.ModuleDict(
            {
                name: head_from_config(head, config.embedding_dim)
                for name, head in config.heads.items()
            }
        )
        self.maps = nn.ModuleList()
        if config.projected is not None:
            self.maps.extend(FixedMap(config.embedding_dim, config.projected) for _ in sizes)

    @property
    def dimension(self) -> int:
        """The embedding dimension."""
        return self.config.embedding_dim if self.config.projected is None else self.config.projected

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return u for each modality of a batch.

        Args:
            inputs: Modality -> (n_m, ...) input of its backbone.

        Returns:
            Modality -> (n_m, d) float32.
        """
        return {name: self.represent(name, batch) for name, batch in inputs.items()}

    def represent(self, modality: str, inputs: Tensor) -> Tensor:
        """Return u for one modality: (n, d) float32, before the fixed map and normalization."""
        return self.project(modality, self.backbone(modality)(inputs))

    def project(self, modality: str, features: Tensor) -> Tensor:
        """Return u for features of a backbone.

        Args:
            modality: The branch.
            features: (n, size) floats.

        Returns:
            (n, d) float32.
        """
        u: Tensor = self.last(self.branches[self._numbers[modality]](features))
        return u.float()

    def decode(self, modality: str, representations: Tensor) -> Tensor:
        """Return the features that the decoder of a branch computes.

        Args:
            modality: The branch.
            representations: (n, d) floats, of any modality.

        Returns:
            (n, size) float32.
        """
        features: Tensor = self.decoders[self._numbers[modality]](representations)
        return features.float()

    def fixed_map(self, modality: str) -> FixedMap:
        """Return the fixed map after a branch."""
        fixed = self.maps[self._numbers[modality]]
        assert isinstance(fixed, FixedMap)
        return fixed

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 embeddings of unit length, whose inner product is the cosine."""
        u = self.represent(modality, inputs)
        return normalize(self.fixed_map(modality)(u) if self.maps else u)

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "BranchesNetwork":
        """Build the network with fresh weights from what ``to_config`` returned."""
        return cls(BranchesConfig(**config))


def fully_connected(sizes: Sequence[int], activation: Activation = "relu") -> nn.Sequential:
    """Return fully connected layers with an activation between them.

    Args:
        sizes: Size of the input, then of the output of each layer.
        activation: "relu" or "tanh".
    """
    modules: list[nn.Module] = []
    for source, target in pairwise(sizes):
        modules += [nn.Linear(source, target), ACTIVATIONS[activation]()]
    return nn.Sequential(*modules[:-1])


class Scale(nn.Module):
    """A learned factor of cosine similarities: one over the temperature.

    Its logarithm is the parameter, so that the factor stays above 0.

    Args:
        temperature: Initial temperature, > 0.

    Example:
        >>> Scale(temperature=0.5)().detach()
        tensor(2.)
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self) -> Tensor:
        """Return the factor, a scalar of at most ``LARGEST_SCALE``."""
        return self.logarithm.exp().clamp(max=LARGEST_SCALE)


class Bias(nn.Module):
    """A learned number that is added to all scores.

    Args:
        value: Initial value.
    """

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))

    def forward(self) -> Tensor:
        """Return the number, a scalar."""
        return self.value


class Orthonormal(nn.Module):
    """Projection onto a fixed random matrix with orthonormal columns.

    The matrix is drawn uniformly, from torch's global generator.

    Args:
        size: d, the size of a representation.
        columns: c <= d.
    """

    def __init__(self, size: int, columns: int) -> None:
        super().__init__()
        matrix = nn.init.orthogonal_(torch.empty(size, columns))
        self.matrix = nn.Parameter(matrix, requires_grad=False)

    def forward(self, representations: Tensor) -> Tensor:
        """Return the (n, c) coordinates of (n, d) representations along the columns."""
        return representations @ self.matrix


class Prototypes(nn.Module):
    """A learned vector for each class.

    They start orthonormal if there are at most d of them, drawn from torch's global generator.

    Args:
        size: d, the size of a representation.
        count: c, the number of prototypes.
    """

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(nn.init.orthogonal_(torch.empty(count, size)))

    def forward(self) -> Tensor:
        """Return the (c, d) prototypes."""
        return self.vectors


class Counter(nn.Module):
    """A number that is counted, not trained, and saved with the network.

    Args:
        size: Not used.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self) -> Tensor:
        """Return the number, a scalar."""
        return self.value


class LabelGraph(nn.Module):
    """Classifiers that a graph convolution computes from a code per class.

        W = G s(G s(G Z A_1) A_2) A_3,   G = D^-1/2 max(A + g B, 0) D^-1/2

    Z, B and the layers are learned; A is the identity until it is set. Z is drawn from a normal
    distribution: with positive numbers all classifiers would start in nearly one direction.

    Args:
        size: d, the size of a classifier.
        classes: c, the number of classes.
        adaptive: g, the weight of the learned graph B.
        code: Size of the codes Z.
        hidden_dim: Size of the two hidden layers.
    """

    def __init__(
        self, size: int, classes: int, adaptive: float, code: int = 300, hidden_dim: int = 512
    ) -> None:
        super().__init__()
        self.weight = adaptive
        self.fixed = nn.Parameter(torch.eye(classes), requires_grad=False)
        self.adaptive = nn.Parameter(0.02 * torch.rand(classes, classes))
        self.codes = nn.Parameter(torch.randn(classes, code))
        sizes = (code, hidden_dim, hidden_dim, size)
        self.layers = nn.ModuleList(nn.Linear(m, n, bias=False) for m, n in pairwise(sizes))

    def forward(self) -> Tensor:
        """Return the (c, d) classifiers."""
        A = (self.fixed + self.weight * self.adaptive).relu()
        scale = A.sum(dim=1).clamp(min=1e-6).rsqrt()
        G = scale[:, None] * A * scale
        values: Tensor = self.codes
        for number, layer in enumerate(self.layers):
            values = G @ layer(leaky_relu(values, 0.2) if number else values)
        return values


HEADS: dict[str, Callable[..., nn.Module]] = {
    "layers": lambda size, sizes, activation="relu": fully_connected([size, *sizes], activation),
    "scale": lambda size, temperature: Scale(temperature),
    "bias": lambda size, value: Bias(value),
    "orthonormal": Orthonormal,
    "prototypes": Prototypes,
    "counter": Counter,
    "label_graph": LabelGraph,
}


def head_from_config(config: Mapping[str, Any], size: int) -> nn.Module:
    """Build a head with fresh weights.

    Args:
        config: ``{"kind": a key of HEADS, ...}``; the other keys are the arguments.
        size: d, the size of the representations.

    Raises:
        SpaceError: If the kind is unknown, or the arguments do not fit it.
    """
    return build_kind("head", HEADS, config, size)

"""Multi-branch network: a backbone and fully connected layers for each modality."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.networks.heads import ACTIVATIONS, Activation, fully_connected, head_from_config
from commonspace.networks.linear import FixedMap
from commonspace.networks.multi_branch import MultiBranchNetwork

__all__ = ["BranchesConfig", "BranchesNetwork"]


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

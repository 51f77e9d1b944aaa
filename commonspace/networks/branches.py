"""A plain network of branches: a backbone and a few fully connected layers for each modality.

What the methods add, a classifier, a decoder, a temperature, are heads that the space does not
need. It knows nothing of losses, of training, or of where its input comes from.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.networks.heads import ACTIVATIONS, Activation, head_from_config, layers
from commonspace.networks.linear import FixedMap
from commonspace.networks.multi_branch import MultiBranchNetwork

__all__ = ["BranchesConfig", "BranchesNetwork"]


@dataclass(frozen=True)
class BranchesConfig:
    """All that is needed to build the network again.

    Args:
        backbones: modality name -> description of its backbone, ``{"kind": ..., ...}``.
        hidden_dim: the size of each hidden layer of a branch.
        embedding_dim: d, the size of the last layer.
        depth: hidden layers in each branch, at least 1.
        activation: after each hidden layer.
        activate_last: whether it follows the last layer too.
        shared: whether the last layer is one and the same for all modalities.
        decoded: whether each branch has a way back, from d to the features of its backbone.
        heads: name -> description of a head, ``{"kind": ..., ...}``.
        projected: k, the size of a map of each modality that follows and is set from outside: the
            space is then that of its results; None: there is none.
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
    """A branch for each modality, with the last layer shared or not.

        h = a(W_m f_m(x) + b_m), as often as there are hidden layers     f_m: the backbone
        u = V h + c                                                      the last layer
        embedded as u / ||u||, or as P_m'(u - n_m) at length 1           the map from outside

    Args:
        config: sizes, backbones and options.
    """

    kind = "branches"
    config: BranchesConfig

    def __init__(self, config: BranchesConfig) -> None:
        """Build the layers with fresh weights from torch's global generator."""
        super().__init__(config)
        hidden = [config.hidden_dim] * config.depth
        ends = hidden if config.shared else [*hidden, config.embedding_dim]
        sizes = [int(backbone.size) for backbone in self.backbones]  # type: ignore[arg-type]
        self.branches = nn.ModuleList(layers([size, *ends], config.activation) for size in sizes)
        between = ACTIVATIONS[config.activation]
        self.last = nn.Sequential(
            *(
                [between(), nn.Linear(config.hidden_dim, config.embedding_dim)]
                if config.shared
                else []
            ),
            *([between()] if config.activate_last else []),
        )
        self.decoders = nn.ModuleList(
            layers([config.embedding_dim, *hidden, size], config.activation)
            for size in (sizes if config.decoded else [])
        )
        self.heads = nn.ModuleDict(
            {
                name: head_from_config(one, config.embedding_dim)
                for name, one in config.heads.items()
            }
        )
        self.maps = nn.ModuleList()
        if config.projected is not None:
            self.maps.extend(FixedMap(config.embedding_dim, config.projected) for _ in sizes)

    @property
    def dimension(self) -> int:
        """The size of the common space."""
        return self.config.embedding_dim if self.config.projected is None else self.config.projected

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the representations of each modality of a batch.

        Args:
            inputs: modality name -> (n_m, ...) input of its backbone.

        Returns:
            Modality name -> (n_m, d) float32, u.
        """
        return {name: self.represent(name, batch) for name, batch in inputs.items()}

    def represent(self, modality: str, inputs: Tensor) -> Tensor:
        """Return u for one modality: (n, d) float32, neither scaled nor shifted."""
        return self.project(modality, self.backbone(modality)(inputs))

    def project(self, modality: str, features: Tensor) -> Tensor:
        """Return u for the features of a backbone.

        Args:
            modality: the branch.
            features: (n, size) floats.

        Returns:
            (n, d) float32.
        """
        u: Tensor = self.last(self.branches[self._numbers[modality]](features))
        return u.float()

    def decode(self, modality: str, representations: Tensor) -> Tensor:
        """Return features that the decoder of a branch makes of representations.

        Args:
            modality: the branch.
            representations: (n, d) floats, of any modality.

        Returns:
            (n, size) float32.
        """
        features: Tensor = self.decoders[self._numbers[modality]](representations)
        return features.float()

    def map_of(self, modality: str) -> FixedMap:
        """Return the map that follows a branch, to be set."""
        one = self.maps[self._numbers[modality]]
        assert isinstance(one, FixedMap)
        return one

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 vectors of length 1, whose inner product is the cosine."""
        u = self.represent(modality, inputs)
        return normalize(self.map_of(modality)(u) if self.maps else u)

    def to_config(self) -> dict[str, Any]:
        """Return a description, fit for JSON, from which ``from_config`` builds it again."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "BranchesNetwork":
        """Build the network that ``to_config`` described, with fresh weights."""
        return cls(BranchesConfig(**config))

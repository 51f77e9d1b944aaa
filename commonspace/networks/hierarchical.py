"""Hierarchical network: two pathways for each modality, joined into a shared representation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.networks.branches import fully_connected
from commonspace.networks.network import MultiBranchNetwork

__all__ = ["HierarchicalConfig", "HierarchicalNetwork"]


@dataclass(frozen=True)
class HierarchicalConfig:
    """Settings of a ``HierarchicalNetwork``.

    Args:
        backbones: Modality -> description of its backbone, ``{"kind": ..., ...}``.
        classes: c, the number of classes.
        hidden_dim: Size of each hidden layer.
        embedding_dim: d, the size of the shared last layer.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    classes: int
    hidden_dim: int = 1024
    embedding_dim: int = 256


class HierarchicalNetwork(MultiBranchNetwork):
    """An intra-modality and an inter-modality pathway for each modality, and a shared last layer.

        e = ReLU(E_m f_m(x)),  t = ReLU(T_m f_m(x))       f_m: the backbone
        u = V ReLU(J_m [e, t])                            V is shared by all modalities
        embedding: u / ||u||

    each with a bias. During training, D_m decodes e to f_m(x), R_k decodes t of the other
    modalities to f_k of the same sample, and a linear classifier follows the embedding. Weights are
    drawn from torch's global generator.

    Args:
        config: Sizes and backbones.
    """

    config: HierarchicalConfig

    def __init__(self, config: HierarchicalConfig) -> None:
        super().__init__(config)
        hidden, d = config.hidden_dim, config.embedding_dim
        sizes = [int(backbone.size) for backbone in self.backbones]  # type: ignore[arg-type]
        self.intra = nn.ModuleList(nn.Linear(size, hidden) for size in sizes)
        self.inter = nn.ModuleList(nn.Linear(size, hidden) for size in sizes)
        self.joint = nn.ModuleList(nn.Linear(2 * hidden, hidden) for _ in sizes)
        self.last = nn.Linear(hidden, d)
        self.own_decoders = nn.ModuleList(fully_connected([hidden, hidden, size]) for size in sizes)
        self.cross_decoders = nn.ModuleList(
            fully_connected([hidden, hidden, size]) for size in sizes
        )
        self.classifier = nn.Linear(d, config.classes)

    @property
    def dimension(self) -> int:
        """d, the embedding dimension."""
        return self.config.embedding_dim

    def pathways(self, modality: str, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return e and t for (n, size) features of a backbone, both (n, hidden_dim)."""
        number = self._numbers[modality]
        return torch.relu(self.intra[number](features)), torch.relu(self.inter[number](features))

    def combine(self, modality: str, intra: Tensor, inter: Tensor) -> Tensor:
        """Return u, (n, d) float32, for e and t of one modality."""
        joined = self.joint[self._numbers[modality]](torch.cat([intra, inter], dim=1))
        u: Tensor = self.last(torch.relu(joined))
        return u.float()

    def decode_own(self, modality: str, intra: Tensor) -> Tensor:
        """Return D_m(e), (n, size) float32."""
        features: Tensor = self.own_decoders[self._numbers[modality]](intra)
        return features.float()

    def decode_cross(self, target: str, inter: Tensor) -> Tensor:
        """Return R_k(t), (n, size) float32, for t of another modality than the target k."""
        features: Tensor = self.cross_decoders[self._numbers[target]](inter)
        return features.float()

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 embeddings of unit length, whose inner product is the cosine."""
        features = self.backbone(modality)(inputs)
        return normalize(self.combine(modality, *self.pathways(modality, features)))

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "HierarchicalNetwork":
        """Build the network with fresh weights from what ``to_config`` returned."""
        return cls(HierarchicalConfig(**config))

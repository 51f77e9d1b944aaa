"""Ensemble network: several branches for each modality, concatenated, and a fixed map."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.networks.branches import fully_connected
from commonspace.networks.linear import FixedMap
from commonspace.networks.network import MultiBranchNetwork

__all__ = ["EnsembleConfig", "EnsembleNetwork"]


@dataclass(frozen=True)
class EnsembleConfig:
    """Settings of an ``EnsembleNetwork``.

    Args:
        backbones: Modality -> description of its backbone, ``{"kind": ..., ...}``.
        classes: c, the number of classes, which is the embedding dimension.
        members: k, the number of members.
        hidden_dim: Size of the hidden layer of each branch.
        member_dim: d, the size of the last layer of a member.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    classes: int
    members: int = 5
    hidden_dim: int = 1024
    member_dim: int = 64


class EnsembleNetwork(MultiBranchNetwork):
    """Members with weights of their own, their unit vectors side by side, and a map to the classes.

        u_j = V_j ReLU(W_mj f_m(x) + b_mj) + v_j      member j; f_m: the backbone
        z = (u_1 / ||u_1||, ..., u_k / ||u_k||) / sqrt(k)
        embedding: P_m'(z - n_m) scaled to length 1   P_m: computed, not trained by gradient

    V_j is shared by all modalities; a linear classifier of each member follows u_j during
    training. Weights are drawn from torch's global generator.

    Args:
        config: Sizes and backbones.
    """

    config: EnsembleConfig

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__(config)
        sizes = [int(backbone.size) for backbone in self.backbones]  # type: ignore[arg-type]
        hidden, d = config.hidden_dim, config.member_dim
        self.members = nn.ModuleList(
            nn.ModuleDict(
                {
                    "branches": nn.ModuleList(fully_connected([size, hidden]) for size in sizes),
                    "last": nn.Sequential(nn.ReLU(), nn.Linear(hidden, d)),
                    "classes": nn.Linear(d, config.classes),
                }
            )
            for _ in range(config.members)
        )
        self.probes = nn.ModuleList(FixedMap(config.members * d, config.classes) for _ in sizes)

    @property
    def dimension(self) -> int:
        """c, the number of classes."""
        return self.config.classes

    def probe(self, modality: str) -> FixedMap:
        """Return the map from z to the classes of a modality."""
        probe = self.probes[self._numbers[modality]]
        assert isinstance(probe, FixedMap)
        return probe

    def outputs(self, modality: str, inputs: Tensor) -> list[Tensor]:
        """Return u_j of each member, (n, d) float32."""
        features = self.backbone(modality)(inputs)
        number = self._numbers[modality]
        return [self._output(member, number, features) for member in self.members]

    def logits(self, member: int, outputs: Tensor) -> Tensor:
        """Return the (n, c) logits of one member for its (n, d) outputs."""
        logits: Tensor = self.members[member]["classes"](outputs)  # type: ignore[index]
        return logits

    def represent(self, modality: str, inputs: Tensor) -> Tensor:
        """Return z: (n, k d) float32 of unit length."""
        units = [normalize(u) for u in self.outputs(modality, inputs)]
        z: Tensor = torch.cat(units, dim=1) / len(units) ** 0.5
        return z

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, c) float32 embeddings of unit length, whose inner product is the cosine."""
        return normalize(self.probe(modality)(self.represent(modality, inputs)))

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "EnsembleNetwork":
        """Build the network with fresh weights from what ``to_config`` returned."""
        return cls(EnsembleConfig(**config))

    def _output(self, member: nn.Module, number: int, features: Tensor) -> Tensor:
        u: Tensor = member["last"](member["branches"][number](features))  # type: ignore[index]
        return u.float()

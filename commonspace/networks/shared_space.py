"""Network of encoders that already share a space: their features, or zero-shot class posteriors."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from commonspace.networks.network import MultiBranchNetwork

__all__ = ["SharedSpaceConfig", "SharedSpaceNetwork"]


@dataclass(frozen=True)
class SharedSpaceConfig:
    """Settings of a ``SharedSpaceNetwork``.

    Args:
        backbones: Modality -> description of its backbone; all have features of one size.
        classes: c, the number of class vectors; 0: embeddings are the features.
        temperature: t of the class posteriors.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    classes: int = 0
    temperature: float = 0.01


class SharedSpaceNetwork(MultiBranchNetwork):
    """Features of length 1 of encoders that share a space, or class posteriors from them.

        u = x / ||x||                                   without classes
        p(class | x) = softmax(u'w_c / t)               with class vectors w_c of length 1

    Class vectors are the features of texts that name the classes; they are zero until they are set
    or loaded. The inner product of posteriors is the probability of a shared class.

    Args:
        config: Backbones and options.
    """

    config: SharedSpaceConfig

    def __init__(self, config: SharedSpaceConfig) -> None:
        super().__init__(config)
        size = int(self.backbones[0].size)  # type: ignore[arg-type]
        self._size = size
        self.register_buffer("class_vectors", torch.zeros(config.classes, size))

    @property
    def dimension(self) -> int:
        """c, the number of classes, or the size of the features without classes."""
        return self.config.classes or self._size

    def set_classes(self, vectors: Tensor) -> None:
        """Set the class vectors.

        Args:
            vectors: (c, size), of any length above 0.
        """
        self.get_buffer("class_vectors").copy_(normalize(vectors))

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 embeddings, whose inner product is the score.

        Args:
            modality: Selects the backbone.
            inputs: (n, ...) its input.
        """
        u = normalize(self.backbone(modality)(inputs).float())
        if not self.config.classes:
            return u
        return (u @ self.get_buffer("class_vectors").T / self.config.temperature).softmax(dim=1)

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SharedSpaceNetwork":
        """Build the network from what ``to_config`` returned; its class vectors are zero."""
        return cls(SharedSpaceConfig(**config))

"""Network of nearest-neighbor posteriors: class shares among the nearest training samples."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.networks.kernel import FeatureScaling

__all__ = ["NeighborsConfig", "NeighborsNetwork"]


@dataclass(frozen=True)
class NeighborsConfig:
    """Settings of a ``NeighborsNetwork``.

    Args:
        sizes: Modality -> size of its features.
        samples: Modality -> number of stored training samples.
        classes: c, the number of classes.
        neighbors: k, the number of nearest samples that count.
        cosine: Whether scaled features are brought to unit length, so that distances rank as
            cosines do.
    """

    sizes: Mapping[str, int]
    samples: Mapping[str, int]
    classes: int
    neighbors: int
    cosine: bool = False


class NeighborsNetwork(nn.Module):
    """Class posteriors by the k nearest training samples of the same modality.

        p(class | x) = (sum over the k nearest of their labels + prior) / (k + 1)

    with Euclidean distances between scaled features, labels that sum to 1 for each sample, and the
    shares of the classes as prior. Embeddings are p, whose inner product is the probability
    of a shared class. Stored samples are zero until they are set or loaded.

    Args:
        config: Sizes.
    """

    def __init__(self, config: NeighborsConfig) -> None:
        super().__init__()
        self.config = config
        # Numbers, since torch does not accept "a.b" as the name of a buffer.
        self._numbers = {name: number for number, name in enumerate(config.sizes)}
        self.scales = nn.ModuleList(FeatureScaling(size) for size in config.sizes.values())
        for name, number in self._numbers.items():
            size, count = config.sizes[name], config.samples[name]
            self.register_buffer(f"samples_{number}", torch.zeros(count, size))
            self.register_buffer(f"labels_{number}", torch.zeros(count, config.classes))
            self.register_buffer(f"prior_{number}", torch.zeros(config.classes))

    def scale(self, modality: str) -> FeatureScaling:
        """Return the scaling of the features of a modality."""
        scale = self.scales[self._numbers[modality]]
        assert isinstance(scale, FeatureScaling)
        return scale

    def store(self, modality: str, samples: Tensor, labels: Tensor) -> None:
        """Set the training samples of a modality.

        Args:
            modality: One of the modalities.
            samples: (n, size) features, not scaled yet; set the scaling first.
            labels: (n, c), rows sum to 1.
        """
        scaled = self._scaled(modality, samples)
        values = {"samples": scaled, "labels": labels, "prior": labels.mean(dim=0)}
        for name, value in values.items():
            self.get_buffer(f"{name}_{self._numbers[modality]}").copy_(value)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that it embeds."""
        return tuple(self.config.sizes)

    @property
    def dimension(self) -> int:
        """c, the number of classes."""
        return self.config.classes

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, c) float32 class posteriors; rows sum to 1.

        Args:
            modality: Selects the stored samples.
            inputs: (n, size) float32 features.
        """
        samples, labels, prior = (
            self.get_buffer(f"{name}_{self._numbers[modality]}")
            for name in ("samples", "labels", "prior")
        )
        x = self._scaled(modality, inputs)
        k = min(self.config.neighbors, len(samples))
        distances = samples.square().sum(dim=1) - 2 * x @ samples.T  # less |x|^2, the same for all
        nearest = distances.topk(k, dim=1, largest=False).indices
        posteriors: Tensor = (labels[nearest].sum(dim=1) + prior) / (k + 1)
        return posteriors

    def _scaled(self, modality: str, inputs: Tensor) -> Tensor:
        x: Tensor = self.scale(modality)(inputs)
        return normalize(x) if self.config.cosine else x

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "NeighborsNetwork":
        """Build the network from what ``to_config`` returned; its samples are zero."""
        return cls(NeighborsConfig(**config))

"""Network of a feature cache: class posteriors by similarity to stored samples (Tip-Adapter)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["FeatureCacheConfig", "FeatureCacheNetwork"]


@dataclass(frozen=True)
class FeatureCacheConfig:
    """Settings of a ``FeatureCacheNetwork``.

    Args:
        sizes: Modality -> size of its features.
        samples: Modality -> number of stored samples.
        classes: c, the number of classes.
        trained: Whether keys, sharpness and scale are trained.
    """

    sizes: Mapping[str, int]
    samples: Mapping[str, int]
    classes: int
    trained: bool = False


class FeatureCacheNetwork(nn.Module):
    """Class posteriors by the similarity to stored samples of the same modality.

        p(class | x) = softmax(log prior + a mean_j(exp(-b (1 - cos(x - m, k_j))) y_j))

    with keys k_j, the stored features less their mean m, and values y_j, their labels, which sum to
    1 for each sample. Embeddings are p, whose inner product is the probability of a shared class.
    Keys are zero until they are set or loaded.

    Args:
        config: Sizes.
    """

    def __init__(self, config: FeatureCacheConfig) -> None:
        super().__init__()
        self.config = config
        # Numbers, since torch does not accept "a.b" as the name of a buffer.
        self._numbers = {name: number for number, name in enumerate(config.sizes)}
        for name, number in self._numbers.items():
            size, count = config.sizes[name], config.samples[name]
            keys = nn.Parameter(torch.zeros(count, size), requires_grad=config.trained)
            self.register_parameter(f"keys_{number}", keys)
            logs = nn.Parameter(torch.zeros(2), requires_grad=config.trained)
            self.register_parameter(f"logs_{number}", logs)
            self.register_buffer(f"mean_{number}", torch.zeros(size))
            self.register_buffer(f"values_{number}", torch.zeros(count, config.classes))
            self.register_buffer(f"log_prior_{number}", torch.zeros(config.classes))

    def store(
        self,
        modality: str,
        features: Tensor,
        labels: Tensor,
        mean: Tensor,
        prior: Tensor,
    ) -> None:
        """Set the stored samples of a modality.

        Args:
            modality: One of the modalities.
            features: (n, size).
            labels: (n, c), rows sum to 1.
            mean: (size,), subtracted from all features.
            prior: (c,), shares of the classes, above 0.
        """
        number = self._numbers[modality]
        with torch.no_grad():
            self.get_parameter(f"keys_{number}").copy_(normalize(features - mean))
            self.get_buffer(f"mean_{number}").copy_(mean)
            self.get_buffer(f"values_{number}").copy_(labels)
            self.get_buffer(f"log_prior_{number}").copy_(prior.log())

    def set_scale(self, modality: str, scale: float, sharpness: float) -> None:
        """Set a and b of a modality.

        Args:
            modality: One of the modalities.
            scale: a > 0, the weight of the cache against the prior.
            sharpness: b > 0; a higher one gives near samples more weight.
        """
        with torch.no_grad():
            logs = self.get_parameter(f"logs_{self._numbers[modality]}")
            logs.copy_(torch.tensor([scale, sharpness]).log())

    def weights(self, modality: str) -> list[nn.Parameter]:
        """Return the keys of a modality, and the logarithms of a and b."""
        number = self._numbers[modality]
        return [self.get_parameter(f"{name}_{number}") for name in ("keys", "logs")]

    def log_prior(self, modality: str) -> Tensor:
        """Return (c,), the logarithms of the shares of the classes."""
        return self.get_buffer(f"log_prior_{self._numbers[modality]}")

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that it embeds."""
        return tuple(self.config.sizes)

    @property
    def dimension(self) -> int:
        """c, the number of classes."""
        return self.config.classes

    def log_posteriors(self, modality: str, inputs: Tensor, own: Tensor | None = None) -> Tensor:
        """Return (n, c) log class posteriors.

        Args:
            modality: Selects the stored samples.
            inputs: (n, size) float32 features.
            own: (n,) int64, the stored sample that each input is, which is left out; -1: none.
        """
        number = self._numbers[modality]
        keys, logs = self.weights(modality)
        mean, values = (self.get_buffer(f"{name}_{number}") for name in ("mean", "values"))
        cosines = normalize(inputs - mean) @ normalize(keys).T
        scale, sharpness = logs.exp()
        affinity = torch.exp(-sharpness * (1 - cosines))
        if own is not None:
            rows = (own >= 0).nonzero()[:, 0]
            affinity = affinity.index_put((rows, own[rows]), torch.zeros(()))
        logits: Tensor = self.log_prior(modality) + scale * (affinity @ values) / len(values)
        return logits.log_softmax(dim=1)

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, c) float32 class posteriors; rows sum to 1.

        Args:
            modality: Selects the stored samples.
            inputs: (n, size) float32 features.
        """
        return self.log_posteriors(modality, inputs).exp()

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "FeatureCacheNetwork":
        """Build the network from what ``to_config`` returned; its keys are zero."""
        return cls(FeatureCacheConfig(**config))

"""Network of posterior matching whose posteriors are pooled with zero-shot class posteriors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from commonspace.networks.posterior import PosteriorConfig, PosteriorNetwork

__all__ = ["ZeroShotPosteriorConfig", "ZeroShotPosteriorNetwork", "pool_posteriors"]

SMALLEST = 1e-9
"""Smallest posterior whose logarithm is taken."""


@dataclass(frozen=True)
class ZeroShotPosteriorConfig(PosteriorConfig):
    """Settings of a ``ZeroShotPosteriorNetwork``: those of posterior matching, one class a sample.

    All modalities have features of one size.
    """


class ZeroShotPosteriorNetwork(PosteriorNetwork):
    """Posterior matching on encoders that share a space, with the names of the classes.

        q(class | x) ~ p(class | x)^a_m exp(b_m cos(x, w_class))

    with p the posterior of ``PosteriorNetwork``, x the features, m their modality, and w_class the
    features of a text that names the class. At a = 1, b = 0 it is p; at a = 0 zero-shot
    classification with temperature 1 / b. It is a logarithmic opinion pool (Genest, Zidek:
    Combining Probability Distributions, Statistical Science 1, 1986).

    Args:
        config: Sizes and options.
    """

    def __init__(self, config: PosteriorConfig) -> None:
        super().__init__(config)
        size = int(self.backbones[0].size)  # type: ignore[arg-type]
        self.register_buffer("class_vectors", torch.zeros(config.classes, size))
        self.register_buffer("pools", torch.tensor([[1.0, 0.0]] * len(config.backbones)))
        self.class_vectors: Tensor
        self.pools: Tensor

    @classmethod
    def extend(
        cls,
        network: PosteriorNetwork,
        class_vectors: Tensor,
        pools: Mapping[str, tuple[float, float]],
    ) -> Self:
        """Return a network with the weights of another, and class vectors.

        Args:
            network: Fitted; the weights are shared.
            class_vectors: (c, size), of any length above 0.
            pools: Modality -> (a, b).
        """
        with torch.device("meta"):  # every weight is replaced below
            extended = cls(ZeroShotPosteriorConfig(**vars(network.config)))
        for name in network.modalities:
            extended.replace_backbone(name, network.backbone(name))
        extended.load_state_dict(network.state_dict(), strict=False, assign=True)
        device = network.shares.device
        extended.class_vectors = normalize(class_vectors.to(device))
        values = [pools[name] for name in network.modalities]
        extended.pools = torch.tensor(values, dtype=torch.float32, device=device)
        return extended.train(network.training)

    def class_posterior(self, modality: str, features: Tensor, rescaled: Tensor) -> Tensor:
        """Return q, (n, c)."""
        p = super().class_posterior(modality, features, rescaled)
        a, b = self.pools[self._numbers[modality]]
        return pool_posteriors(p, normalize(features) @ self.class_vectors.T, a, b)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build the network with fresh weights from what ``to_config`` returned."""
        return cls(ZeroShotPosteriorConfig(**config))


def pool_posteriors(p: Tensor, cosines: Tensor, a: float | Tensor, b: float | Tensor) -> Tensor:
    """Return p^a exp(b cosines), whose rows sum to 1.

    Args:
        p: (n, c) posteriors.
        cosines: (n, c) of the items and the names of the classes.
        a: Weight of the posteriors.
        b: Weight of the names.

    Example:
        >>> pool_posteriors(torch.tensor([[0.8, 0.2]]), torch.tensor([[0.0, 1.0]]), 1.0, 0.0)
        tensor([[0.8000, 0.2000]])
    """
    return (a * p.clamp(min=SMALLEST).log() + b * cosines).softmax(dim=1)

"""Network of posterior matching: class posteriors, and an instance block for individual items."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.networks.dropout import Dropout
from commonspace.networks.in_distribution import InDistribution
from commonspace.networks.kernel import FeatureScaling, KernelMachine
from commonspace.networks.network import MultiBranchNetwork

__all__ = [
    "MAX_INSTANCE_WEIGHT",
    "UNCERTAINTY_WEIGHT",
    "PosteriorConfig",
    "PosteriorNetwork",
]

MAX_INSTANCE_WEIGHT = 0.8
"""Weight of the instance block at ``instance_weight`` 1: an exact item is still of its class."""

UNCERTAINTY_WEIGHT = 0.5
"""Bonus for items of uncertain class in instance-level queries."""


@dataclass(frozen=True)
class PosteriorConfig:
    """Settings of a ``PosteriorNetwork``.

    Args:
        backbones: Modality -> description of its backbone, ``{"kind": ..., ...}``.
        classes: c, the number of classes.
        landmarks: Modality -> number of landmarks of its kernel machine.
        hidden_dim: Size of the hidden layers.
        instance_dim: Size of the instance block; 0: no instance block.
        multi_label: Whether an item may have several classes, with independent probabilities.
        mixture: Weight of the instance block in stored embeddings, > 0.
        references: Modality -> number of stored training samples that queries are compared with,
            to detect those that are unlike all of them; {}: none are detected.
        kernel_features: Modality -> number of leading features that its kernel machine reads;
            all of them for a modality that is not named.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    classes: int
    landmarks: Mapping[str, int]
    hidden_dim: int
    instance_dim: int
    multi_label: bool = False
    mixture: float = 0.03
    references: Mapping[str, int] = field(default_factory=dict)
    kernel_features: Mapping[str, int] = field(default_factory=dict)


class PosteriorNetwork(MultiBranchNetwork):
    """Class posteriors p, and unit vectors z that distinguish items of one class.

        p = (1 - s_m) a(kernel machine_m(x)) + s_m a(network_m(x) / t_m),   a: softmax, or sigmoid
        z = instance_m(x) / ||instance_m(x)||
        u = 1 - ||p||, the uncertainty: 0 where the class is certain
        embedding = [sqrt(1 - w) p ; sqrt(w) z ; sqrt(w) u]

    with m the modality, x its features after ``FeatureScaling``, s the share of the network, and t
    its temperature. The inner product of two embeddings is (1 - w) p'q + w z'y, plus the product
    of their uncertainties. ``as_queries(vectors, g)`` turns embeddings of queries p, z into vectors
    whose score for items q, y is

        (1 - w) p'q + w p'p (z'y + U u),    w = g MAX_INSTANCE_WEIGHT,  U = UNCERTAINTY_WEIGHT

    with u the uncertainty of the item. An item that equals the query has p'q = p'p and z'y = 1:
    with the factor p'p, both blocks have the same relative weight for queries of a certain and of
    an uncertain class. Without u, an image of uncertain class would rank below all certain images
    of the query's class, however well z'y agrees.

    Weights are drawn from torch's global generator; kernel machines start at zero.

    Args:
        config: Sizes and options.
    """

    config: PosteriorConfig

    def __init__(self, config: PosteriorConfig) -> None:
        super().__init__(config)
        sizes = {name: int(self.backbone(name).size) for name in config.backbones}  # type: ignore[arg-type]
        self.scales = nn.ModuleList(FeatureScaling(size) for size in sizes.values())
        self.kernels = nn.ModuleList(
            KernelMachine(
                config.kernel_features.get(name, size), config.landmarks[name], config.classes
            )
            for name, size in sizes.items()
        )
        self.networks = nn.ModuleList(
            _perceptron(size, config.hidden_dim, config.classes, dropout=0.5)
            for size in sizes.values()
        )
        self.instances = nn.ModuleList(
            _perceptron(size, 2 * config.hidden_dim, config.instance_dim, dropout=0.3)
            for size in sizes.values()
            if config.instance_dim
        )
        self.in_distribution = nn.ModuleList(
            InDistribution(sizes[name], count) for name, count in config.references.items()
        )
        self.register_buffer("shares", torch.full((len(sizes),), 0.5))
        self.register_buffer("temperatures", torch.ones(len(sizes)))
        self.log_scale = nn.Parameter(torch.tensor(2.7))  # of the instance loss: 1 / 0.067
        self.shares: Tensor
        self.temperatures: Tensor

    @property
    def dimension(self) -> int:
        """The number of classes, plus the size of the instance block and its uncertainty."""
        instance = self.config.instance_dim + 1 if self.has_instance_block else 0
        return self.config.classes + instance

    @property
    def has_instance_block(self) -> bool:
        """Whether embeddings have an instance block, so that ``as_queries`` is supported."""
        return self.config.instance_dim > 0

    def scale(self, modality: str) -> FeatureScaling:
        """Return the scaling of the features of a modality."""
        scale = self.scales[self._numbers[modality]]
        assert isinstance(scale, FeatureScaling)
        return scale

    def kernel(self, modality: str) -> KernelMachine:
        """Return the kernel machine of a modality."""
        kernel = self.kernels[self._numbers[modality]]
        assert isinstance(kernel, KernelMachine)
        return kernel

    def rescale(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, size) scaled features, the input of all other parts."""
        features: Tensor = self.scale(modality)(self.features(modality, inputs))
        return features

    def features(self, modality: str, inputs: Tensor) -> Tensor:
        """Return the (n, size) float32 features of the backbone."""
        features: Tensor = self.backbone(modality)(inputs).float()
        return features

    def detector(self, modality: str) -> InDistribution | None:
        """Return what detects queries that are unlike the training data; None if nothing does."""
        names = [*self.config.references]
        if modality not in names:
            return None
        detector = self.in_distribution[names.index(modality)]
        assert isinstance(detector, InDistribution)
        return detector

    def logits(self, modality: str, rescaled: Tensor) -> Tensor:
        """Return the (n, c) logits of the network, before its temperature."""
        logits: Tensor = self.networks[self._numbers[modality]](rescaled)
        return logits

    def instance_vectors(self, modality: str, rescaled: Tensor) -> Tensor:
        """Return z, (n, instance_dim), of unit length."""
        return normalize(self.instances[self._numbers[modality]](rescaled).float())

    def expert_posteriors(self, modality: str, rescaled: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posteriors of the kernel machine and of the network, (n, c) each."""
        number = self._numbers[modality]
        tempered = self.logits(modality, rescaled).float() / self.temperatures[number]
        activate = torch.sigmoid if self.config.multi_label else _softmax
        kernel_part = rescaled[:, : self.config.kernel_features.get(modality)]
        return activate(self.kernel(modality)(kernel_part)), activate(tempered)

    def posterior(self, modality: str, rescaled: Tensor) -> Tensor:
        """Return p, (n, c), in [0, 1]; rows sum to 1 unless ``multi_label``."""
        kernel, network = self.expert_posteriors(modality, rescaled)
        return torch.lerp(kernel, network, self.shares[self._numbers[modality]])

    def class_posterior(self, modality: str, features: Tensor, rescaled: Tensor) -> Tensor:
        """Return the (n, c) posteriors in the embeddings; here those of ``posterior``.

        Args:
            modality: The branch.
            features: (n, size), of its backbone.
            rescaled: (n, size), after ``scale``.
        """
        return self.posterior(modality, rescaled)

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 embeddings, whose inner product is the score.

        Args:
            modality: The branch.
            inputs: (n, ...) input of its backbone.
        """
        features = self.features(modality, inputs)
        rescaled = self.scale(modality)(features)
        p = self.class_posterior(modality, features, rescaled)
        return self._embed(modality, rescaled, p)

    def embed_queries(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d + 1): embeddings, and the probability of being like the training data.

        Args:
            modality: A branch with a ``detector``.
            inputs: (n, ...) input of its backbone.
        """
        features = self.features(modality, inputs)
        rescaled = self.scale(modality)(features)
        p = self.class_posterior(modality, features, rescaled)
        detector = self.detector(modality)
        assert detector is not None
        inside = detector(features, rescaled, p)
        return torch.cat([self._embed(modality, rescaled, p), inside[:, None]], dim=1)

    def _embed(self, modality: str, rescaled: Tensor, p: Tensor) -> Tensor:
        if not self.has_instance_block:
            return p
        w = self.config.mixture
        uncertainty = (1 - p.norm(dim=1, keepdim=True)).clamp(min=0)
        instance = torch.cat([self.instance_vectors(modality, rescaled), uncertainty], dim=1)
        return torch.cat([sqrt(1 - w) * p, sqrt(w) * instance], dim=1)

    def as_queries(self, vectors: Tensor, instance_weight: float) -> Tensor:
        """Return query vectors whose inner product with embeddings is the weighted score.

        At weight 0 the score is p'q, the probability of a shared class.

        Args:
            vectors: (n, d) float32 from ``embed``, on any device.
            instance_weight: g, in [0, 1]: 0 ranks by class, 1 by exact item.

        Returns:
            (n, d) float32.
        """
        w, stored = MAX_INSTANCE_WEIGHT * instance_weight, self.config.mixture
        classes, instance = vectors[:, : self.config.classes], vectors[:, self.config.classes : -1]
        p_norm = classes.square().sum(dim=1, keepdim=True) / (1 - stored)  # p'p
        share = w / sqrt(stored) * p_norm
        blocks = [
            (1 - w) / (1 - stored) * classes,
            share * instance / sqrt(stored),
            UNCERTAINTY_WEIGHT * share,
        ]
        return torch.cat(blocks, dim=1)

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values; those of a space without ``references`` as before."""
        config = asdict(self.config)
        if not config["references"]:
            del config["references"]
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "PosteriorNetwork":
        """Build the network with fresh weights from what ``to_config`` returned."""
        return cls(PosteriorConfig(**config))


def _perceptron(size: int, hidden_dim: int, outputs: int, dropout: float) -> nn.Sequential:
    """Return a perceptron with one hidden layer, with dropout against overfitting."""
    return nn.Sequential(
        Dropout(0.2 * dropout + 0.05),
        nn.Linear(size, hidden_dim),
        nn.ReLU(),
        Dropout(dropout),
        nn.Linear(hidden_dim, outputs),
    )


def _softmax(logits: Tensor) -> Tensor:
    return logits.softmax(dim=1)

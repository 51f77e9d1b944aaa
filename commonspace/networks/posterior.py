"""The network of posterior matching: what each item is, and which one it is, in one vector.

It knows nothing of how its parts were found.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.networks.kernel_machine import KernelMachine
from commonspace.networks.multi_branch import MultiBranchNetwork

__all__ = ["DOUBT", "FINEST", "PosteriorConfig", "PosteriorNetwork", "Rescaled"]

FINEST = 0.8
"""The weight of the instance block at instance_weight 1: the very thing still is of its kind."""

DOUBT = 0.5
"""How much an item whose class is in doubt is forgiven where the very thing is asked for."""


@dataclass(frozen=True)
class PosteriorConfig:
    """All that is needed to build the network again, save for its weights.

    Args:
        backbones: modality name -> description of its backbone.
        classes: c, the number of classes.
        landmarks: modality name -> points of its kernel machine.
        hidden_dim: the size of the hidden layers.
        instance: the size of the instance block; 0 leaves it out.
        several: whether an item may carry several classes, each with a probability of its own.
        mixture: the weight of the instance block in the vectors as they are, above 0.
    """

    backbones: Mapping[str, Mapping[str, Any]]
    classes: int
    landmarks: Mapping[str, int]
    hidden_dim: int
    instance: int
    several: bool = False
    mixture: float = 0.03


class PosteriorNetwork(MultiBranchNetwork):
    """Class posteriors p, and unit vectors z that tell items of one class apart.

        p = (1 - s_m) a(kernel machine_m(x)) + s_m a(network_m(x) / t_m),   a: softmax, or sigmoid
        z = instance_m(x) / ||instance_m(x)||
        u = 1 - ||p||, the doubt: 0 where the class is certain
        vector = [sqrt(1 - w) p ; sqrt(w) z ; sqrt(w) u]

    with m the modality, x its features after ``Rescaled``, s the share of the network, and t its
    temperature. The inner product of two vectors is (1 - w) p'q + w z'y but for the product of two
    doubts. ``as_queries(vectors, g)`` makes of p and z queries that ask the same items q, y for

        (1 - w) p'q + w p'p (z'y + DOUBT u),    w = g FINEST, u the doubt of the item

    An item that is like the query in all has p'q = p'p and z'y = 1: with p'p before it, the second
    block counts beside the first alike for queries of a certain and of an uncertain class. Without
    u a picture of an uncertain class would stand behind all certain ones of the class that is
    asked for, however well z'y agrees.

    Args:
        config: sizes and options.
    """

    kind = "posterior"
    config: PosteriorConfig

    def __init__(self, config: PosteriorConfig) -> None:
        """Build all layers, with fresh weights from torch's global generator."""
        super().__init__(config)
        sizes = {name: int(self.backbone(name).size) for name in config.backbones}  # type: ignore[arg-type]
        self.scales = nn.ModuleList(Rescaled(size) for size in sizes.values())
        self.kernels = nn.ModuleList(
            KernelMachine(size, config.landmarks[name], config.classes)
            for name, size in sizes.items()
        )
        self.networks = nn.ModuleList(
            _perceptron(size, config.hidden_dim, config.classes, dropout=0.5)
            for size in sizes.values()
        )
        self.instances = nn.ModuleList(
            _perceptron(size, 2 * config.hidden_dim, config.instance, dropout=0.3)
            for size in sizes.values()
            if config.instance
        )
        self.register_buffer("shares", torch.full((len(sizes),), 0.5))
        self.register_buffer("temperatures", torch.ones(len(sizes)))
        self.log_scale = nn.Parameter(torch.tensor(2.7))  # of the contrast: 1 / 0.067
        self.shares: Tensor
        self.temperatures: Tensor

    @property
    def dimension(self) -> int:
        """The number of classes, and, behind, the size of the instance block and its doubt."""
        return self.config.classes + (self.config.instance + 1 if self.has_instance_block else 0)

    @property
    def has_instance_block(self) -> bool:
        """Whether there is an instance block."""
        return self.config.instance > 0

    def scale(self, modality: str) -> "Rescaled":
        """Return what brings the features of a modality to variance 1, each or on average."""
        scale = self.scales[self._numbers[modality]]
        assert isinstance(scale, Rescaled)
        return scale

    def kernel(self, modality: str) -> KernelMachine:
        """Return the kernel machine of a modality."""
        kernel = self.kernels[self._numbers[modality]]
        assert isinstance(kernel, KernelMachine)
        return kernel

    def rescaled(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, size) features of variance 1, each or on average: what all parts read."""
        features: Tensor = self.scale(modality)(self.backbone(modality)(inputs).float())
        return features

    def logits(self, modality: str, rescaled: Tensor) -> Tensor:
        """Return (n, c), of the network, before its temperature."""
        found: Tensor = self.networks[self._numbers[modality]](rescaled)
        return found

    def instance(self, modality: str, rescaled: Tensor) -> Tensor:
        """Return z, (n, instance), of unit length."""
        return normalize(self.instances[self._numbers[modality]](rescaled).float())

    def experts(self, modality: str, rescaled: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posteriors of the kernel machine and of the network, (n, c) each."""
        number = self._numbers[modality]
        tempered = self.logits(modality, rescaled).float() / self.temperatures[number]
        activate = torch.sigmoid if self.config.several else _softmax
        return activate(self.kernel(modality)(rescaled)), activate(tempered)

    def posterior(self, modality: str, rescaled: Tensor) -> Tensor:
        """Return p, (n, c), in [0, 1]; each row adds up to 1 where an item has one class."""
        kernel, network = self.experts(modality, rescaled)
        return torch.lerp(kernel, network, self.shares[self._numbers[modality]])

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 vectors whose inner product is the score.

        Args:
            modality: which branch.
            inputs: (n, ...) input of its backbone.
        """
        rescaled = self.rescaled(modality, inputs)
        p = self.posterior(modality, rescaled)
        if not self.has_instance_block:
            return p
        w = self.config.mixture
        doubt = (1 - p.norm(dim=1, keepdim=True)).clamp(min=0)
        thing = torch.cat([self.instance(modality, rescaled), doubt], dim=1)
        return torch.cat([sqrt(1 - w) * p, sqrt(w) * thing], dim=1)

    def as_queries(self, vectors: Tensor, instance_weight: float) -> Tensor:
        """Return vectors whose inner product with those of items is the score at that instance_weight.

        At 0 the score is p'q, the probability of a shared class.

        Args:
            vectors: (n, d) float32, as ``embed`` gave them, on any device.
            instance_weight: g, in [0, 1].

        Returns:
            (n, d) float32.
        """
        w, standing = FINEST * instance_weight, self.config.mixture
        kind, thing = vectors[:, : self.config.classes], vectors[:, self.config.classes : -1]
        likeness = kind.square().sum(dim=1, keepdim=True) / (1 - standing)  # p'p
        share = w / sqrt(standing) * likeness
        asked = [(1 - w) / (1 - standing) * kind, share * thing / sqrt(standing), DOUBT * share]
        return torch.cat(asked, dim=1)

    def to_config(self) -> dict[str, Any]:
        """Return a description, fit for JSON, from which ``from_config`` builds it again."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "PosteriorNetwork":
        """Build the network that ``to_config`` described, with fresh weights."""
        return cls(PosteriorConfig(**config))


class Rescaled(nn.Module):
    """Features of comparable size: (sign(x) |x|^r - m) v, with r 1, or 1/2 for what is like counts.

    Args:
        size: the number of features.
    """

    def __init__(self, size: int) -> None:
        """Begin with features as they are."""
        super().__init__()
        self.register_buffer("power", torch.ones(()))
        self.register_buffer("shift", torch.zeros(size))
        self.register_buffer("weight", torch.ones(size))
        self.power: Tensor
        self.shift: Tensor
        self.weight: Tensor

    def forward(self, features: Tensor) -> Tensor:
        """Return (n, size)."""
        return (features.sign() * features.abs().pow(self.power) - self.shift) * self.weight


def _perceptron(size: int, hidden_dim: int, outputs: int, dropout: float) -> nn.Sequential:
    """Return one hidden layer; dropout keeps it from learning the training items by heart."""
    return nn.Sequential(
        nn.Dropout(0.2 * dropout + 0.05),
        nn.Linear(size, hidden_dim),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden_dim, outputs),
    )


def _softmax(logits: Tensor) -> Tensor:
    return logits.softmax(dim=1)

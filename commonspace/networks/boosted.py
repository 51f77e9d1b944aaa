"""Network of boosted trees: class posteriors by sums of regression trees, one set a modality."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["BoostedConfig", "BoostedNetwork", "Trees"]


@dataclass(frozen=True)
class BoostedConfig:
    """Settings of a ``BoostedNetwork``.

    Args:
        sizes: Modality -> size of its features.
        nodes: Modality -> number of nodes of all its trees.
        trees: Modality -> number of its trees.
        depths: Modality -> number of splits from a root to its deepest leaf.
        classes: c, the number of classes.
    """

    sizes: Mapping[str, int]
    nodes: Mapping[str, int]
    trees: Mapping[str, int]
    depths: Mapping[str, int]
    classes: int


@dataclass(frozen=True)
class Trees:
    """Regression trees whose sums are the logits of the classes of one modality.

    Args:
        feature: (k,) int64, the feature that a node compares; 0 for a leaf.
        threshold: (k,) float32; x <= threshold goes left.
        left: (k,) int64, position of the left child; a leaf is its own child.
        right: (k,) int64, position of the right child.
        value: (k,) float32, the value of a leaf.
        roots: (t,) int64, position of the root of each tree.
        target: (t,) int64, the class that each tree adds to.
        base: (c,) float32, the logits before the first tree; -inf for a class without samples.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    roots: Tensor
    target: Tensor
    base: Tensor


class BoostedNetwork(nn.Module):
    """Class posteriors by boosted trees, p(class | x) = softmax(base + sum of trees).

    Embeddings are p, whose inner product is the probability of a shared class. The trees are empty
    until they are set or loaded.

    Args:
        config: Sizes.
    """

    def __init__(self, config: BoostedConfig) -> None:
        super().__init__()
        self.config = config
        # Numbers, since torch does not accept "a.b" as the name of a buffer.
        self._numbers = {name: number for number, name in enumerate(config.sizes)}
        for name, number in self._numbers.items():
            k, t = config.nodes[name], config.trees[name]
            for key, size in (("feature", k), ("left", k), ("right", k), ("roots", t)):
                self.register_buffer(f"{key}_{number}", torch.zeros(size, dtype=torch.int64))
            self.register_buffer(f"target_{number}", torch.zeros(t, dtype=torch.int64))
            self.register_buffer(f"threshold_{number}", torch.zeros(k))
            self.register_buffer(f"value_{number}", torch.zeros(k))
            self.register_buffer(f"base_{number}", torch.zeros(config.classes))

    def store(self, modality: str, trees: Trees) -> None:
        """Set the trees of a modality; their sizes are those of the config."""
        for name, value in vars(trees).items():
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
            modality: Selects the trees.
            inputs: (n, size) float32 features.
        """
        number = self._numbers[modality]
        feature, threshold, left, right, value, roots, target, base = (
            self.get_buffer(f"{name}_{number}") for name in Trees.__dataclass_fields__
        )
        logits = base.repeat(len(inputs), 1)
        if len(roots):
            node = roots.repeat(len(inputs), 1)
            for _ in range(self.config.depths[modality]):
                smaller = inputs.gather(1, feature[node]) <= threshold[node]
                node = torch.where(smaller, left[node], right[node])
            logits = logits.index_add(1, target, value[node])
        return logits.softmax(dim=1)

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self.config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "BoostedNetwork":
        """Build the network from what ``to_config`` returned; its trees are empty."""
        return cls(BoostedConfig(**config))

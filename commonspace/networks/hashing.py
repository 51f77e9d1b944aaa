"""Hashing network: multi-branch network whose embeddings are binary codes."""

import torch
from torch import Tensor

from commonspace.networks.branches import BranchesNetwork

__all__ = ["HashingNetwork"]


class HashingNetwork(BranchesNetwork):
    """Binary codes from the signs of the outputs of a ``BranchesNetwork``.

    The embedding of u is sign(u) / sqrt(d), with sign(0) = 1: unit length, one bit a number. The
    inner product of two embeddings is 1 - 2 h / d, with h the Hamming distance of their codes.

    Args:
        config: Sizes, backbones and options.
    """

    @property
    def bytes_per_item(self) -> int:
        """Size of a stored code: d bits, rounded up to bytes."""
        return -(-self.dimension // 8)

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, d) float32 codes, each number 1 / sqrt(d) or -1 / sqrt(d)."""
        unit = self.dimension**-0.5
        return torch.where(self.represent(modality, inputs) >= 0, unit, -unit)

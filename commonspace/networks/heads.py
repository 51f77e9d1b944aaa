"""What may follow a branch while it is trained, and says nothing to the space afterwards.

A head reads representations of the common space. Which heads a network has stands in its config
file, as a kind and plain numbers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from commonspace.errors import SpaceError

__all__ = ["HEADS", "Activation", "Orthonormal", "Scale", "head_from_config", "layers"]

Activation = Literal["relu", "tanh"]

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}

LARGEST_SCALE = 100.0
"""Radford et al. hold the learnt scale below this, so that no sample is worth too much."""


def layers(sizes: Sequence[int], activation: Activation = "relu") -> nn.Sequential:
    """Return fully connected layers with an activation between each two of them.

    Args:
        sizes: of the input, of what each layer gives.
        activation: "relu" or "tanh".
    """
    steps: list[nn.Module] = []
    for source, target in pairwise(sizes):
        steps += [nn.Linear(source, target), ACTIVATIONS[activation]()]
    return nn.Sequential(*steps[:-1])


class Scale(nn.Module):
    """One learnt number above 0, by which cosines are multiplied: one over the temperature.

    Args:
        temperature: where it begins, above 0.

    Example:
        >>> Scale(temperature=0.5)().detach()
        tensor(2.)
    """

    def __init__(self, temperature: float) -> None:
        """Keep its logarithm, so that it stays above 0."""
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self) -> Tensor:
        """Return the scale, a scalar of at most ``LARGEST_SCALE``."""
        return self.logarithm.exp().clamp(max=LARGEST_SCALE)


class Orthonormal(nn.Module):
    """The product with a fixed matrix of orthonormal columns, drawn evenly among all of them.

    Args:
        size: d, length of a representation.
        columns: c, at most d.
    """

    def __init__(self, size: int, columns: int) -> None:
        """Draw the matrix from torch's global generator."""
        super().__init__()
        matrix = nn.init.orthogonal_(torch.empty(size, columns))
        self.matrix = nn.Parameter(matrix, requires_grad=False)

    def forward(self, representations: Tensor) -> Tensor:
        """Return (n, c) for (n, d): the coordinate along each column."""
        return representations @ self.matrix


HEADS: dict[str, Callable[..., nn.Module]] = {
    "layers": lambda size, sizes, activation="relu": layers([size, *sizes], activation),
    "scale": lambda size, temperature: Scale(temperature),
    "orthonormal": Orthonormal,
}


def head_from_config(config: Mapping[str, Any], size: int) -> nn.Module:
    """Build a head with fresh weights.

    Args:
        config: ``{"kind": name in HEADS, ...}``, the rest being its arguments.
        size: d, length of the representations that it reads.

    Raises:
        SpaceError: the kind is unknown, or the arguments are not its own.
    """
    settings = dict(config)
    kind = settings.pop("kind", None)
    if kind not in HEADS:
        raise SpaceError(
            "the description of a network names an unknown head",
            expected=", ".join(HEADS),
            found=repr(kind),
            advice="the space may come from a newer version of commonspace: update it",
        )
    try:
        return HEADS[kind](size, **settings)
    except (TypeError, ValueError) as exc:
        raise SpaceError(
            f"the description of the head {kind!r} does not fit",
            found=f"{settings} ({exc})",
            advice="the space may come from another version of commonspace",
        ) from exc

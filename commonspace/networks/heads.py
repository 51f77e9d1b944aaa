"""Heads that follow a branch during training only: classifiers, a temperature, fixed projections."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from commonspace.errors import SpaceError

__all__ = ["HEADS", "Activation", "Orthonormal", "Scale", "fully_connected", "head_from_config"]

Activation = Literal["relu", "tanh"]

ACTIVATIONS: Mapping[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}

LARGEST_SCALE = 100.0
"""Upper limit of the learned scale, as in Radford et al., so that no sample dominates."""


def fully_connected(sizes: Sequence[int], activation: Activation = "relu") -> nn.Sequential:
    """Return fully connected layers with an activation between them.

    Args:
        sizes: Size of the input, then of the output of each layer.
        activation: "relu" or "tanh".
    """
    modules: list[nn.Module] = []
    for source, target in pairwise(sizes):
        modules += [nn.Linear(source, target), ACTIVATIONS[activation]()]
    return nn.Sequential(*modules[:-1])


class Scale(nn.Module):
    """A learned factor of cosine similarities: one over the temperature.

    Its logarithm is the parameter, so that the factor stays above 0.

    Args:
        temperature: Initial temperature, > 0.

    Example:
        >>> Scale(temperature=0.5)().detach()
        tensor(2.)
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self) -> Tensor:
        """Return the factor, a scalar of at most ``LARGEST_SCALE``."""
        return self.logarithm.exp().clamp(max=LARGEST_SCALE)


class Orthonormal(nn.Module):
    """Projection onto a fixed random matrix with orthonormal columns.

    The matrix is drawn uniformly, from torch's global generator.

    Args:
        size: d, the size of a representation.
        columns: c <= d.
    """

    def __init__(self, size: int, columns: int) -> None:
        super().__init__()
        matrix = nn.init.orthogonal_(torch.empty(size, columns))
        self.matrix = nn.Parameter(matrix, requires_grad=False)

    def forward(self, representations: Tensor) -> Tensor:
        """Return the (n, c) coordinates of (n, d) representations along the columns."""
        return representations @ self.matrix


HEADS: dict[str, Callable[..., nn.Module]] = {
    "layers": lambda size, sizes, activation="relu": fully_connected([size, *sizes], activation),
    "scale": lambda size, temperature: Scale(temperature),
    "orthonormal": Orthonormal,
}


def head_from_config(config: Mapping[str, Any], size: int) -> nn.Module:
    """Build a head with fresh weights.

    Args:
        config: ``{"kind": a key of HEADS, ...}``; the other keys are the arguments.
        size: d, the size of the representations.

    Raises:
        SpaceError: If the kind is unknown, or the arguments do not fit it.
    """
    arguments = dict(config)
    kind = arguments.pop("kind", None)
    if kind not in HEADS:
        raise SpaceError(
            "the config of a network has an unknown head",
            expected=", ".join(HEADS),
            found=repr(kind),
            advice="the model may come from a newer version of commonspace: update commonspace",
        )
    try:
        return HEADS[kind](size, **arguments)
    except (TypeError, ValueError) as exc:
        raise SpaceError(
            f"the arguments of the head {kind!r} do not fit",
            found=f"{arguments} ({exc})",
            advice="the model may come from another version of commonspace",
        ) from exc

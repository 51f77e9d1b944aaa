"""Gradient reversal layer: identity in the forward pass, negated gradient in the backward pass."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["reverse_gradient"]


def reverse_gradient(vectors: Tensor, weight: float = 1.0) -> Tensor:
    """Return the vectors unchanged, and multiply their gradient by ``-weight``.

    Placed before a discriminator, it trains the discriminator to tell the modalities apart and the
    network before it to make them indistinguishable.

    Source: Ganin, Lempitsky: Unsupervised Domain Adaptation by Backpropagation, ICML 2015.

    Args:
        vectors: Tensor of any shape.
        weight: Factor of the reversed gradient, >= 0.

    Returns:
        A tensor equal to ``vectors``.

    Example:
        >>> x = torch.ones(2, requires_grad=True)
        >>> (3 * reverse_gradient(x, 0.5)).sum().backward()
        >>> x.grad
        tensor([-1.5000, -1.5000])
    """
    result: Tensor = _Reversal.apply(vectors, weight)  # type: ignore[no-untyped-call]
    return result


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, weight: float) -> Tensor:  # noqa: ANN401 - torch's own
        ctx.weight = weight
        return vectors.view_as(vectors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return -ctx.weight * gradients[0], None

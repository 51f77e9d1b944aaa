"""Gradient reversal: what follows learns to tell, what comes before learns to be told nothing."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["reversed_gradient"]


def reversed_gradient(vectors: Tensor, weight: float) -> Tensor:
    """Return the vectors as they are; on the way back their gradient is multiplied by -weight.

    Source: Ganin, Lempitsky: Unsupervised Domain Adaptation by Backpropagation, ICML 2015.

    Args:
        vectors: any shape.
        weight: 0 or more.

    Example:
        >>> x = torch.ones(2, requires_grad=True)
        >>> (3 * reversed_gradient(x, 0.5)).sum().backward()
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

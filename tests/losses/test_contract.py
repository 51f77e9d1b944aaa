"""Rules that hold for every loss: exact gradients, finite at zero, zero for tiny batches."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from commonspace.losses import (
    common_space_loss,
    info_nce_loss,
    label_space_loss,
    modality_invariance_loss,
    multi_positive_info_nce_loss,
    supervised_contrastive_loss,
    triplet_loss,
)

LABELS = torch.eye(2, dtype=torch.float64)[[0, 1, 0, 1]]


def identity(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Labels with a class for each sample."""
    return (
        torch.eye(len(first), 9, dtype=first.dtype),
        torch.eye(len(second), 9, dtype=first.dtype),
    )


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "J1 frobenius": partial(label_space_loss, norm="frobenius"),
    "J1 rows": partial(label_space_loss, norm="rows"),
    "J2": lambda a, b: common_space_loss(a, b, *identity(a, b)),
    "J2 with itself": lambda a, b: common_space_loss(a, a, *identity(a, a)),
    "J3 frobenius": partial(modality_invariance_loss, norm="frobenius"),
    "J3 rows": partial(modality_invariance_loss, norm="rows"),
    "InfoNCE": lambda a, b: info_nce_loss(a, b, 1 / 3),
    "multi-positive InfoNCE": lambda a, b: multi_positive_info_nce_loss(
        a, b, torch.eye(len(a), dtype=torch.bool), 1 / 3
    ),
    "supervised": lambda a, b: supervised_contrastive_loss(
        torch.cat([a, b]), LABELS[:2].repeat_interleave(len(a), dim=0).to(a.dtype), 0.5
    ),
    "triplets": lambda a, b: triplet_loss(a, b, *identity(a, b), margin=2.0, negative_weight=0.7),
}
CONTRASTIVE = ("InfoNCE", "multi-positive InfoNCE", "supervised", "triplets")


def slope(loss: Callable[[Tensor], Tensor], at: Tensor, step: float = 1e-6) -> Tensor:
    """The gradient by central differences, one coordinate after the other."""
    gradient = torch.zeros_like(at)
    for i in range(at.numel()):
        nudge = torch.zeros_like(at)
        nudge.view(-1)[i] = step
        gradient.view(-1)[i] = (loss(at + nudge) - loss(at - nudge)) / (2 * step)
    return gradient


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_equal_finite_differences(draw: Callable[..., Any], name: str) -> None:
    loss = LOSSES[name]
    first, second = map(torch.from_numpy, draw(3, (4, 3), (4, 3)))
    first.requires_grad_()
    torch.testing.assert_close(
        torch.autograd.grad(loss(first, second), first)[0],
        slope(lambda at: loss(at, second), first.detach()),
        rtol=1e-6,
        atol=1e-8,
    )
    second.requires_grad_()
    assert torch.autograd.gradcheck(loss, (first, second))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_zero_where_all_is_zero(name: str) -> None:
    """At a residual of zero, and at an embedding of zeros."""
    zero = torch.zeros(3, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(LOSSES[name](zero, torch.zeros(3, 2)), zero)
    assert torch.equal(gradient, torch.zeros(3, 2))


@pytest.mark.parametrize("name", LOSSES)
def test_an_empty_batch_costs_nothing_and_can_be_differentiated(name: str) -> None:
    empty = torch.zeros(0, 3, requires_grad=True)
    loss = LOSSES[name](empty, torch.zeros(0, 3))
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, empty)
    assert gradient.shape == (0, 3)


@pytest.mark.parametrize("name", CONTRASTIVE)
def test_a_single_pair_costs_nothing_and_can_be_differentiated(name: str) -> None:
    single = torch.ones(1, 3, requires_grad=True)
    loss = LOSSES[name](single, torch.ones(1, 3))
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, single)
    assert torch.equal(gradient, torch.zeros(1, 3))

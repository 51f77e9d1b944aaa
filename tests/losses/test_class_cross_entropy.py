"""Class cross-entropy against a loop, its gradient, and an empty batch."""

import math

import pytest
import torch

from commonspace.losses import class_cross_entropy


def test_the_target_is_spread_over_the_classes_of_a_sample() -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]])
    labels = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    terms = []
    for row, classes in zip(logits.tolist(), ([0], [0, 1]), strict=True):
        total = sum(map(math.exp, row))
        terms.append(-sum(math.log(math.exp(row[c]) / total) for c in classes) / len(classes))
    assert float(class_cross_entropy(logits, labels)) == pytest.approx(sum(terms) / 2, rel=1e-6)


def test_the_gradient_equals_finite_differences() -> None:
    logits = torch.tensor([[1.0, 0.0], [0.5, 2.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: class_cross_entropy(x, torch.eye(2)), (logits,))


def test_an_empty_batch_costs_nothing_and_can_be_differentiated() -> None:
    empty = torch.zeros(0, 3, requires_grad=True)
    loss = class_cross_entropy(empty, torch.zeros(0, 3))
    (gradient,) = torch.autograd.grad(loss, empty)
    assert loss == 0
    assert gradient.shape == (0, 3)

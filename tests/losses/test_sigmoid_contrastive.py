"""Sigmoid loss of pairs, against plain loops."""

import math

import pytest
import torch

from commonspace.losses import paired_binary_cross_entropy, sigmoid_contrastive_loss


@pytest.mark.parametrize("n", [2, 5])
def test_loss_equals_plain_loops(n: int) -> None:
    torch.manual_seed(0)
    first, second = torch.randn(n, 3, dtype=torch.double), torch.randn(n, 3, dtype=torch.double)
    terms = []
    for i in range(n):
        total = 0.0
        for j in range(n):
            cosine = float(first[i] @ second[j] / first[i].norm() / second[j].norm())
            sign = 1 if i == j else -1
            total -= math.log(1 / (1 + math.exp(-sign * (cosine / 0.2 - 1.5))))
        terms.append(total)
    loss = sigmoid_contrastive_loss(first, second, 0.2, -1.5)
    assert float(loss) == pytest.approx(sum(terms) / n)
    each = sigmoid_contrastive_loss(first, second, 0.2, -1.5, reduction="none")
    assert each.tolist() == pytest.approx(terms)
    total_loss = sigmoid_contrastive_loss(first, second, 0.2, -1.5, reduction="sum")
    assert float(total_loss) == pytest.approx(sum(terms))


def test_gradients() -> None:
    torch.manual_seed(0)
    first, second = (torch.randn(4, 3, dtype=torch.double, requires_grad=True) for _ in range(2))
    t, b = (torch.tensor(v, dtype=torch.double, requires_grad=True) for v in (0.3, -2.0))
    assert torch.autograd.gradcheck(sigmoid_contrastive_loss, (first, second, t, b))


def test_one_pair_has_no_loss() -> None:
    assert float(paired_binary_cross_entropy(torch.ones(1, 1))) == 0
    assert paired_binary_cross_entropy(torch.ones(1, 1), reduction="none").tolist() == [0]

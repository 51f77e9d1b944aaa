"""InfoNCE with several positives: against plain InfoNCE, and against a loop."""

import torch
from torch.nn.functional import normalize

from commonspace.losses import (
    info_nce_loss,
    multi_positive_cross_entropy,
    multi_positive_info_nce_loss,
)


def unit(n: int, d: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, d, generator=generator, dtype=torch.double))


def test_with_one_positive_a_sample_it_is_info_nce() -> None:
    u, v = unit(6, 3, 0), unit(6, 3, 1)
    loss = multi_positive_info_nce_loss(u, v, torch.eye(6, dtype=torch.bool), 1 / 7)
    torch.testing.assert_close(loss, info_nce_loss(u, v, 1 / 7))
    longer = multi_positive_info_nce_loss(3 * u, v / 5, torch.eye(6, dtype=torch.bool), 1 / 7)
    torch.testing.assert_close(longer, loss)


def test_several_positives_equal_the_loop() -> None:
    u, v = unit(5, 3, 2), unit(5, 3, 3)
    groups = [0, 1, 0, 2, 1]
    positives = torch.tensor([[a == b for b in groups] for a in groups])
    terms = []
    for i in range(5):
        own = [j for j in range(5) if groups[j] == groups[i]]
        forward = (4.0 * v @ u[i]).log_softmax(0)
        backward = (4.0 * u @ v[i]).log_softmax(0)
        terms.append(-float(forward[own].mean() + backward[own].mean()) / 2)
    loss = multi_positive_info_nce_loss(u, v, positives, 0.25)
    assert abs(float(loss) - sum(terms) / 5) < 1e-12
    each = multi_positive_info_nce_loss(u, v, positives, 0.25, reduction="none")
    torch.testing.assert_close(each, torch.tensor(terms, dtype=torch.double))
    total = multi_positive_info_nce_loss(u, v, positives, 0.25, reduction="sum")
    torch.testing.assert_close(total, each.sum())
    torch.testing.assert_close(multi_positive_cross_entropy(4.0 * u @ v.T, positives), loss)


def test_fewer_than_two_pairs_give_zero_with_a_gradient() -> None:
    u = unit(1, 3, 4).requires_grad_()
    loss = multi_positive_info_nce_loss(u, u, torch.ones(1, 1, dtype=torch.bool), 0.5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert u.grad is not None
    assert not u.grad.any()

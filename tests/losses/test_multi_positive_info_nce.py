"""InfoNCE over things: against the plain loss where all differ, and against a loop where not."""

import torch
from torch.nn.functional import normalize

from commonspace.losses import info_nce_loss, multi_positive_info_nce_loss


def unit(n: int, d: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, d, generator=draw, dtype=torch.double))


def test_with_nothing_but_pairs_it_is_infonce() -> None:
    u, v = unit(6, 3, 0), unit(6, 3, 1)
    found = multi_positive_info_nce_loss(u, v, torch.eye(6, dtype=torch.bool), 7.0)
    torch.testing.assert_close(found, info_nce_loss(u, v, 7.0))


def test_each_picks_all_that_are_its_own() -> None:
    u, v = unit(5, 3, 2), unit(5, 3, 3)
    things = [0, 1, 0, 2, 1]
    same = torch.tensor([[a == b for b in things] for a in things])
    total = 0.0
    for i in range(5):
        own = [j for j in range(5) if things[j] == things[i]]
        forth = (4.0 * v @ u[i]).log_softmax(0)
        back = (4.0 * u @ v[i]).log_softmax(0)
        total -= float(forth[own].mean() + back[own].mean()) / 10
    assert abs(float(multi_positive_info_nce_loss(u, v, same, 4.0)) - total) < 1e-12


def test_fewer_than_two_pairs_say_nothing_but_keep_the_gradient() -> None:
    u = unit(1, 3, 4).requires_grad_()
    loss = multi_positive_info_nce_loss(u, u, torch.ones(1, 1, dtype=torch.bool), 2.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert u.grad is not None
    assert not u.grad.any()

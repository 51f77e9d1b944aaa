"""The contrastive loss of all modalities against a loop, its gradient, and its limits."""

import math

import pytest
import torch

from commonspace.errors import SettingError
from commonspace.losses import multimodal_contrastive_loss, normalize_rows


def test_the_loss_equals_a_loop_where_modalities_are_missing() -> None:
    generator = torch.Generator().manual_seed(0)
    present = {
        "image": torch.tensor([True, True, False, True]),
        "text": torch.tensor([True, False, True, True]),
        "audio": torch.tensor([True, False, False, True]),
    }
    embeddings = {
        name: normalize_rows(torch.randn(int(mask.sum()), 3, generator=generator))
        for name, mask in present.items()
    }
    items = [
        (row, vector)
        for name, mask in present.items()
        for row, vector in zip(mask.nonzero()[:, 0].tolist(), embeddings[name], strict=True)
    ]
    terms = []
    for i, (row, u) in enumerate(items):
        powers = [(r, math.exp(float(u @ v) / 0.5)) for j, (r, v) in enumerate(items) if j != i]
        same = sum(power for r, power in powers if r == row)
        if same:
            terms.append(-2 * math.log(same / sum(power for _, power in powers)))
    loss = multimodal_contrastive_loss(embeddings, present, 0.5)
    assert float(loss) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_the_gradient_equals_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    u, v = (
        torch.randn(5, 3, dtype=torch.float64, generator=generator, requires_grad=True)
        for _ in range(2)
    )
    present = dict.fromkeys(("image", "text"), torch.ones(5, dtype=torch.bool))
    assert torch.autograd.gradcheck(
        lambda u, v: multimodal_contrastive_loss({"image": u, "text": v}, present, 0.5), (u, v)
    )


def test_without_a_pair_it_is_zero() -> None:
    present = {"image": torch.tensor([True, False]), "text": torch.tensor([False, True])}
    embeddings = {"image": torch.ones(1, 2), "text": torch.ones(1, 2)}
    assert multimodal_contrastive_loss(embeddings, present, 1.0) == 0


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(SettingError, match="temperature"):
        multimodal_contrastive_loss({}, {}, 0.0)

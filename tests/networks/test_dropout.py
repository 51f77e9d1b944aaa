"""Dropout from bytes: shares, factors, gradients, and the layer that torch has."""

import pytest
import torch
from torch import nn

from commonspace.networks.dropout import Dropout


@pytest.mark.parametrize("p", [0.11, 0.15, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_share_of_the_values_is_dropped_and_the_rest_is_scaled_up(
    p: float, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    dropped = round(256 * p) / 256
    values = Dropout(p)(torch.ones(400, 501, dtype=dtype))
    assert values.dtype == dtype
    kept = values != 0
    share = float(kept.double().mean())
    assert abs(share - (1 - dropped)) < 5 * (p * (1 - p) / values.numel()) ** 0.5
    assert values[kept].unique().tolist() == pytest.approx([1 / (1 - dropped)], rel=5e-3)
    for one in (kept[:200], kept[200:], kept[:, :250], kept[:, 250:]):  # everywhere alike
        assert float(one.double().mean()) == pytest.approx(share, abs=0.01)


def test_neighbors_are_dropped_independently() -> None:
    torch.manual_seed(1)
    kept = (Dropout(0.5)(torch.ones(1000, 1000)) != 0).double() - 0.5
    for shift in range(1, 17):  # bytes of one number among them
        together = float((kept[:, shift:] * kept[:, :-shift]).mean()) * 4
        assert abs(together) < 5e-3  # 5 standard errors
        assert abs(float((kept[shift:] * kept[:-shift]).mean()) * 4) < 5e-3


def test_the_gradient_passes_where_the_value_does() -> None:
    torch.manual_seed(2)
    x = torch.randn(30, 40, dtype=torch.float64, requires_grad=True)
    layer = Dropout(0.3)
    y = layer(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, 256 / 179).double())
    torch.testing.assert_close(x * x.grad, y)


def test_a_seed_gives_one_mask_in_any_layout() -> None:
    x = torch.ones(3, 5, 4, 6)
    masks = []
    for one in (x, x.contiguous(memory_format=torch.channels_last)):
        torch.manual_seed(3)
        masks.append(Dropout(0.4)(one))
    assert torch.equal(*masks)
    torch.manual_seed(4)
    assert not torch.equal(Dropout(0.4)(x), masks[0])


@pytest.mark.parametrize("p", [0.0, 0.001, 0.5, 0.999, 1.0])
def test_the_ends_and_evaluation_are_those_of_torch(p: float) -> None:
    x = torch.randn(20, 30)
    assert torch.equal(Dropout(p).eval()(x), x)
    if p in (0.0, 1.0):
        assert torch.equal(Dropout(p)(x), nn.Dropout(p)(x))
    assert Dropout(p)(x[:0]).shape == (0, 30)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Dropout(p + 1.5)


def test_p_below_a_byte_still_drops() -> None:
    torch.manual_seed(5)
    share = float((Dropout(0.001)(torch.ones(1000, 1000)) == 0).double().mean())
    assert share == pytest.approx(0.001, abs=2e-4)  # drawn by torch

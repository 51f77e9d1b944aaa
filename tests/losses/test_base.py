"""Similarities, reductions and argument checks shared by the losses."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch

from commonspace.errors import DataError, SettingError
from commonspace.losses import euclidean_distances, normalize_rows, shares_class
from commonspace.losses.base import (
    Reduction,
    check_paired,
    check_temperature,
    reduce_loss,
)


def test_samples_of_several_classes_are_similar_if_they_share_one() -> None:
    generator = np.random.default_rng(2)
    first, second = generator.random((7, 4)) < 0.4, generator.random((5, 4)) < 0.4
    first[0] = False
    classes = [[set(np.flatnonzero(row)) for row in labels] for labels in (first, second)]
    naive = [[float(bool(a & b)) for b in classes[1]] for a in classes[0]]
    similar = shares_class(torch.from_numpy(first).float(), torch.from_numpy(second).float())
    assert similar.tolist() == naive
    assert 0 < similar.sum() < similar.numel()


def test_distances_equal_cdist_and_have_gradient_zero_at_zero(draw: Callable[..., Any]) -> None:
    U, V = map(torch.from_numpy, draw(2, (4, 3), (5, 3)))
    torch.testing.assert_close(euclidean_distances(U, V), torch.cdist(U, V))
    point = torch.tensor([[1.0, 2.0]], requires_grad=True)
    distance = euclidean_distances(point, point.detach())
    (gradient,) = torch.autograd.grad(distance.sum(), point)
    assert distance.tolist() == [[0.0]]
    assert gradient.tolist() == [[0.0, 0.0]]


def test_normalized_rows_have_unit_length_and_zero_rows_gradient_zero() -> None:
    rows = torch.tensor([[1e-6, 0.0], [3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    unit = normalize_rows(rows)
    assert unit.norm(dim=1).tolist() == pytest.approx([1, 1, 0])
    (gradient,) = torch.autograd.grad(unit.sum(), rows)
    assert gradient[2].tolist() == [0, 0]


def test_reductions_are_those_of_torch() -> None:
    terms = torch.tensor([1.0, 2.0, 6.0])
    assert float(reduce_loss(terms, "mean")) == 3
    assert float(reduce_loss(terms, "sum")) == 9
    assert reduce_loss(terms, "none") is terms
    with pytest.raises(SettingError, match="`reduction` must be one of 'mean', 'sum', 'none'"):
        reduce_loss(terms, cast("Reduction", "average"))


@pytest.mark.parametrize("shapes", [((3, 2), (2, 2)), ((3, 2), (3, 3)), ((3,), (3,))])
def test_pairs_of_different_shapes_are_rejected(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(DataError, match="must be matrices of one shape"):
        check_paired(*map(torch.zeros, shapes))


@pytest.mark.parametrize("temperature", [0, -0.1, float("nan")])
def test_a_temperature_is_above_zero(temperature: float) -> None:
    with pytest.raises(SettingError, match="`temperature` must be > 0, got"):
        check_temperature(temperature)

"""DCCA: the linear CCA on top, what it finds that linear CCA cannot, and its batches."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.methods import CCA, DCCA
from commonspace.methods.base.views import paired_views
from commonspace.methods.cca import canonical_directions
from commonspace.methods.dcca import canonical_maps
from commonspace.networks.branches import BranchesNetwork
from commonspace.space import CommonSpace
from commonspace.training import RunConfig

QUIET = RunConfig()
SETTINGS: dict[str, Any] = {
    "hidden_dim": 64,
    "embedding_dim": 4,
    "learning_rate": 3e-3,
    "epochs": 60,
    "patience": None,
    "ridge": 1e-3,
}


def views(first: NDArray[np.float64], second: NDArray[np.float64]) -> Dataset:
    """Return two views of samples in two classes, told by the sign of the first column."""
    n = len(first)
    classes = (first[:, 0] > 0).astype(int)
    return Dataset(
        name="views",
        ids=tuple(map(str, range(n))),
        columns={"a": Features(first), "b": Features(second)},
        labels=np.eye(2, dtype=bool)[classes],
        class_names=("below", "above"),
        splits=np.repeat(["train", "validation", "test"], [n - n // 4 - 30, 30, n // 4]),
    )


def correlations(space: CommonSpace, data: Dataset) -> NDArray[np.float64]:
    """Return how each canonical direction of a space correlates in a part of the data."""
    assert isinstance(space.network, BranchesNetwork)
    with torch.no_grad():
        one, other = (
            space.network.fixed_map(name)(space.network.represent(name, torch.from_numpy(c.values)))
            for name, c in data.columns.items()
            if isinstance(c, Features)
        )
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, other.T, strict=True)])


def test_the_maps_are_linear_cca() -> None:
    draw = np.random.default_rng(0)
    shared = draw.normal(size=(200, 3))
    H = [shared @ draw.normal(size=(3, d)) + draw.normal(size=(200, d)) for d in (5, 4)]
    one, other, S = canonical_maps(torch.from_numpy(H[0]), torch.from_numpy(H[1]), 1e-9, 3)
    u, v = ((h - m.shift) @ m.matrix for h, m in zip(H, (one, other), strict=True))
    np.testing.assert_allclose(np.cov(u.T), np.eye(3), atol=1e-6)
    np.testing.assert_allclose(np.cov(v.T), np.eye(3), atol=1e-6)
    np.testing.assert_allclose(u.T @ v / 199, np.diag(S), atol=1e-6)
    data = views(*H)
    first, second = paired_views(replace(data, splits=np.full(200, "train"))).values()
    np.testing.assert_allclose(S, canonical_directions(first, second, 0.0)[2][:3], rtol=1e-4)


def test_canonical_correlations_come_near_the_true_ones() -> None:
    """Two Gaussian numbers that correlate by r: among curves r, r^2, ... are the true ones.

    Lancaster, 1957: the Hermite polynomials of the one and the other are the canonical variables.
    """
    draw = np.random.default_rng(1)
    z = draw.normal(size=(4000, 1))
    w = 0.9 * z + np.sqrt(1 - 0.9**2) * draw.normal(size=(4000, 1))
    data = views(z * [1.0, 0.5, -1.0], w * [2.0, -1.0])
    method = DCCA(**{**SETTINGS, "embedding_dim": 2, "epochs": 40})
    space = method.fit(data.split("train"), data.split("validation"), QUIET)
    np.testing.assert_allclose(correlations(space, data.split("test")), [0.9, 0.81], atol=0.05)


def test_what_is_only_related_by_a_curve_is_found() -> None:
    """The second view is the absolute value of the first, which no line correlates with."""
    draw = np.random.default_rng(2)
    z = draw.normal(size=(2000, 1))
    first = z + 0.01 * draw.normal(size=(2000, 3))
    second = np.abs(z) + 0.01 * draw.normal(size=(2000, 3))
    data = views(first, second)
    train, validation, test = (data.split(name) for name in ("train", "validation", "test"))
    space = DCCA(**{**SETTINGS, "embedding_dim": 2, "epochs": 40}).fit(train, validation, QUIET)
    assert correlations(space, test)[0] > 0.9
    linear = CCA(regularization=0.01, dimension=1).fit(train, validation, QUIET)  # signs alone
    u, v = (linear.embed(name, column)[:, 0] for name, column in test.columns.items())
    assert abs(np.corrcoef(u, v)[0, 1]) < 0.3


def test_collinear_constant_and_few_features_are_supported() -> None:
    """Fewer features than outputs, topic weights that add up to 1, and a feature without life."""
    draw = np.random.default_rng(3)
    z = draw.normal(size=(120, 2))
    first = np.column_stack([z[:, :1], z[:, :1], np.zeros((120, 1))])
    weights = np.exp(z * [2.0, 0.3])
    second = weights / weights.sum(axis=1, keepdims=True)
    data = views(first, second)
    method = DCCA(**{**SETTINGS, "embedding_dim": 8, "ridge": 1e-8})
    space = method.fit(data.split("train"), data.split("validation"), QUIET)
    for key, tensor in space.network.state_dict().items():
        assert torch.isfinite(tensor).all(), key
    assert cs.evaluate(space, data.split("test"))["average"]["map"] > 0.7


def test_only_the_first_directions_are_kept(feature_dataset: Dataset) -> None:
    parts = feature_dataset.split("train"), feature_dataset.split("validation")
    options: dict[str, Any] = {**SETTINGS, "hidden_dim": 8, "epochs": 2}
    space = DCCA(**options, dimension=2).fit(*parts, QUIET)
    assert space.dimension == 2
    assert isinstance(space.network, BranchesNetwork)
    assert space.network.config.embedding_dim == 4


@pytest.mark.parametrize(("given", "expected"), [(1000, 40), (40, 40), (39, 20), (15, 14)])
def test_batches_are_of_equal_size(feature_dataset: Dataset, given: int, expected: int) -> None:
    """Of 40 samples; a remainder of one sample would be a batch that says nothing."""
    method = DCCA(**{**SETTINGS, "hidden_dim": 8, "epochs": 1, "batch_size": given})
    space = method.fit(feature_dataset.split("train"), feature_dataset.split("validation"), QUIET)
    assert space.provenance["training"]["batch_size"] == expected

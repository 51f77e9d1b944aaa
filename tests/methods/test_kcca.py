"""Kernel CCA: the dual problem, a relation that no line finds, and the linear limit."""

import numpy as np
import pytest
import scipy.linalg
import torch

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.methods import KernelCCA
from commonspace.methods.cca import canonical_directions
from commonspace.methods.kcca import kernel_view
from commonspace.networks.kernel import KernelNetwork


def test_correlations_solve_the_dual_problem() -> None:
    """With all samples as landmarks, against the generalized eigenproblem of centered kernels."""
    draw = np.random.default_rng(0)
    n, share, width = 30, 0.2, 0.5
    X, Y = draw.normal(size=(n, 3)), draw.normal(size=(n, 2))
    Y[:, 0] += np.abs(X[:, 0])
    one, two = (kernel_view(part, part, width) for part in (X, Y))
    S = canonical_directions(one, two, share)[2]
    center = np.eye(n) - 1 / n
    K = []
    for part in (X, Y):
        squares = ((part[:, None] - part) ** 2).sum(axis=2) / part.shape[1]
        kernel = center @ np.exp(-width * squares) @ center
        K.append(kernel / (np.trace(kernel) / n))
    # D_m = (1 - r) C_m + r t I; in the dual, K D K = (1 - r) K K / n + r t K.
    ridges = [share / view.rank for view in (one, two)]
    D = [
        (1 - share) * k @ k / n + r * k + 1e-10 * np.eye(n) for k, r in zip(K, ridges, strict=True)
    ]
    zero = np.zeros((n, n))
    cross = K[0] @ K[1] / n
    A = np.block([[zero, cross], [cross.T, zero]])
    values = scipy.linalg.eigh(A, scipy.linalg.block_diag(*D), eigvals_only=True)[::-1]
    np.testing.assert_allclose(S[:3], values[:3], rtol=1e-3)


def views(first: np.ndarray, second: np.ndarray) -> Dataset:
    n = len(first)
    return Dataset(
        name="views",
        ids=tuple(map(str, range(n))),
        columns={"a": Features(first), "b": Features(second)},
        labels=np.eye(2, dtype=bool)[(np.abs(first[:, 0]) > 0.7).astype(int)],
        class_names=("near", "far"),
        splits=np.repeat(["train", "validation", "test"], [n - 200, 100, 100]),
    )


def test_what_is_only_related_by_a_curve_is_found() -> None:
    draw = np.random.default_rng(2)
    z = draw.normal(size=(800, 1))
    data = views(
        z + 0.01 * draw.normal(size=(800, 3)), np.abs(z) + 0.01 * draw.normal(size=(800, 3))
    )
    space = KernelCCA(width=1.0, regularization=0.01, dimension=1).fit(data, run=cs.RunConfig())
    assert isinstance(space.network, KernelNetwork)
    test = data.split("test")
    u, v = (space.embed(name, column)[:, 0] for name, column in test.columns.items())
    assert np.corrcoef(u, v)[0, 1] > 0.9


def test_every_landmark_gives_the_kernel_of_its_formula(feature_dataset: Dataset) -> None:
    space = KernelCCA(width=0.4, regularization=0.1, dimension=3).fit(
        feature_dataset, run=cs.RunConfig()
    )
    train = feature_dataset.split("train").columns["text"]
    queries = feature_dataset.split("test").columns["text"]
    assert isinstance(train, Features)
    assert isinstance(queries, Features)
    mean, spread = train.values.mean(axis=0), train.values.std(axis=0)
    known = (train.values - mean) / spread
    state = {name: value.numpy() for name, value in space.network.state_dict().items()}
    expected = []
    for query in (queries.values - mean) / spread:
        k = np.exp(-0.4 * ((known - query) ** 2).mean(axis=1))
        u = k @ state["kernels.1.coefficients"] + state["kernels.1.bias"]
        expected.append(u / np.linalg.norm(u))
    np.testing.assert_allclose(space.embed("text", queries), expected, atol=1e-3)


@pytest.mark.parametrize("count", [5, 17])
def test_the_number_of_landmarks_is_limited(feature_dataset: Dataset, count: int) -> None:
    method = KernelCCA(width=0.3, regularization=0.5, dimension=2, landmarks=count)
    space = method.fit(feature_dataset, run=cs.RunConfig())
    assert space.network.state_dict()["kernels.0.landmarks"].shape[0] == count
    assert torch.isfinite(space.network.state_dict()["kernels.0.coefficients"]).all()

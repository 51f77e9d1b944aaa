"""Principal coordinates: exact where features have full rank, regular where they have not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.data import Dataset, Features
from commonspace.errors import DataError, SettingError
from commonspace.methods.base.views import (
    View,
    cholesky,
    labeled_views,
    paired_views,
    shrink,
    split_directions,
    standardize_features,
)


def data_of(**columns: NDArray[np.float64] | Features) -> Dataset:
    """Return samples of two classes in turn, all in training."""
    n = len(next(iter(columns.values())))
    return Dataset(
        name="made",
        ids=tuple(map(str, range(n))),
        columns={k: v if isinstance(v, Features) else Features(v) for k, v in columns.items()},
        labels=np.eye(2, dtype=bool)[np.arange(n) % 2],
        class_names=("a", "b"),
        splits=np.repeat(["train"], n),
    )


def check(view: View, X: NDArray[np.float64]) -> None:
    """Assert all that a view promises about the features X, (n, size)."""
    assert view.values.shape == (len(X), view.rank)
    np.testing.assert_allclose((X - view.mean) @ view.basis, view.values, atol=1e-6)
    covariance = view.values.T @ view.values / len(X)
    np.testing.assert_allclose(covariance, np.diag(view.variances), atol=1e-9)
    assert view.variances.sum() == pytest.approx(1)
    # The coordinates tell all that the features do: distances stay, up to one scale.
    centred = X - X.mean(axis=0)
    total = np.square(centred).sum() / len(X)
    np.testing.assert_allclose(view.values @ view.values.T, centred @ centred.T / total, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(2, 30),
    rank=st.integers(1, 6),
    extra=st.integers(0, 4),
    offset=st.sampled_from([0.0, 1.0, 100.0]),
    seed=st.integers(0, 99),
)
def test_a_view_has_the_rank_of_the_features(
    n: int, rank: int, extra: int, offset: float, seed: int
) -> None:
    """Features that are sums of others, rounded to float32, add no coordinate."""
    draw = np.random.default_rng(seed)
    independent = draw.normal(size=(n, rank))
    X = np.hstack([independent, independent @ draw.normal(size=(rank, extra))]) + offset
    X = X.astype(np.float32).astype(np.float64)
    view = paired_views(data_of(one=X, two=X))["one"]
    assert view.rank == min(rank, n - 1)
    check(view, X)


def test_topic_weights_that_add_up_to_one_lose_one_direction() -> None:
    topics = np.random.default_rng(0).dirichlet(np.ones(10), size=200).astype(np.float32)
    X = topics.astype(np.float64)
    view = labeled_views(data_of(one=X, two=X))["two"]
    assert view.rank == 9
    check(view, X)


def test_small_directions_that_are_data_are_kept() -> None:
    X = np.random.default_rng(0).normal(size=(50, 4)) * [1.0, 1e-1, 1e-2, 1e-3]
    assert paired_views(data_of(one=X, two=X))["one"].rank == 4


def test_only_complete_samples_are_paired_and_only_labelled_ones_labelled() -> None:
    draw = np.random.default_rng(2)
    here = np.arange(12) != 3
    there = np.arange(12) != 7
    data = data_of(
        one=Features(draw.normal(size=(12, 3)), here),
        two=Features(draw.normal(size=(12, 2)), there),
    )
    labels = data.labels.copy()
    labels[5] = False
    data = replace(data, labels=labels)
    for labelled, expected in ((False, [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]), (True, None)):
        views = paired_views(data, labeled=labelled)
        rows = expected or [0, 1, 2, 4, 6, 8, 9, 10, 11]
        assert {name: len(view.values) for name, view in views.items()} == {
            "one": len(rows),
            "two": len(rows),
        }
        np.testing.assert_array_equal(views["one"].labels, labels[rows])
    single = labeled_views(data)
    assert [len(single[name].values) for name in ("one", "two")] == [10, 10]


def test_too_few_samples_are_refused() -> None:
    X = np.random.default_rng(3).normal(size=(6, 2))
    left, right = np.arange(6) < 3, np.arange(6) > 1
    data = data_of(one=Features(X, left), two=Features(X, right))
    with pytest.raises(DataError, match=r"too few complete samples[^$]*1 of 6"):
        paired_views(data)
    labels = np.zeros((6, 2), dtype=bool)
    labels[3:, 0] = True
    with pytest.raises(DataError, match=r"the modality 'one'[^$]*0 of 6"):
        labeled_views(replace(data, labels=labels))


def test_features_that_do_not_vary_are_refused() -> None:
    X = np.random.default_rng(4).normal(size=(5, 2))
    data = data_of(one=X, two=np.full((5, 3), 0.1))
    with pytest.raises(DataError, match=r"'two' does not vary[^$]*5 equal rows"):
        paired_views(data)
    with pytest.raises(DataError, match="'two' does not vary"):
        standardize_features(data, "two", np.arange(5))


def test_standardized_features_have_mean_zero_and_variance_one() -> None:
    X = np.random.default_rng(5).normal(3, [1.0, 1e-3, 50.0, 0.0], size=(40, 4))
    rows = np.arange(3, 33)
    found = standardize_features(data_of(one=X, two=X), "one", rows)
    np.testing.assert_allclose(found.values.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.values.std(axis=0), [1, 1, 1, 0], atol=1e-12)
    W = np.random.default_rng(6).normal(size=(4, 2))
    map_ = found.affine_map(W)
    stored = X[rows].astype(np.float32)
    np.testing.assert_allclose(
        (stored - map_.shift) @ map_.matrix, found.values @ W, rtol=1e-9, atol=1e-9
    )


def test_shrinking_ends_in_a_multiple_of_the_identity_of_the_same_trace() -> None:
    half = np.random.default_rng(7).normal(size=(4, 4))
    C = half @ half.T
    np.testing.assert_array_equal(shrink(C, 0.0), C)
    np.testing.assert_allclose(shrink(C, 1.0), np.trace(C) / 4 * np.eye(4), atol=1e-12)
    np.testing.assert_allclose(np.trace(shrink(C, 0.3)), np.trace(C))
    np.testing.assert_allclose(
        np.diag(shrink(C.diagonal(), 0.3)), shrink(np.diag(C.diagonal()), 0.3), atol=1e-12
    )


def test_stacked_directions_come_apart_in_order() -> None:
    draw = np.random.default_rng(8)
    views = paired_views(data_of(one=draw.normal(size=(9, 3)), two=draw.normal(size=(9, 2))))
    V = draw.normal(size=(5, 4))
    parts = split_directions(views, V)
    np.testing.assert_array_equal(parts["one"], V[:3])
    np.testing.assert_array_equal(parts["two"], V[3:])


def test_a_singular_scatter_is_refused_with_advice() -> None:
    regular = np.array([[2.0, 1.0], [1.0, 2.0]])
    L = cholesky(regular)
    np.testing.assert_allclose(L @ L.T, regular)
    with pytest.raises(SettingError, match="singular") as caught:
        cholesky(np.ones((2, 2)) - 1e-9 * np.eye(2))
    assert "regularization" in caught.value.advice

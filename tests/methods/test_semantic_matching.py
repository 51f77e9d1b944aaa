"""Posteriors against scikit-learn's, SM and SCM against the two steps of the paper by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression as Theirs

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.errors import SettingError
from commonspace.methods import SemanticMatching
from commonspace.methods.base.logistic import LogisticRegression
from commonspace.methods.semantic_matching import Similarity

Array = NDArray[np.float64]

QUIET = cs.RunConfig()


def posteriors(X: Array, W: Array, b: Array) -> Array:
    scores = np.exp(X @ W + b)
    result: Array = scores / scores.sum(axis=1, keepdims=True)
    return result


def sample(seed: int = 0, n: int = 60) -> tuple[Array, NDArray[np.intp]]:
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 4, size=n)
    return draw.normal(size=(4, 5))[y] + draw.normal(size=(n, 5)), y


@pytest.mark.parametrize("C", [1e-3, 0.1, 10.0])
def test_posteriors_equal_those_of_scikit_learn(C: float) -> None:
    X, y = sample()
    theirs = Theirs(C=C, tol=1e-10, max_iter=5000).fit(X, y)
    W, b = LogisticRegression(X, np.eye(4, dtype=bool)[y]).fit(C)
    np.testing.assert_allclose(posteriors(X, W, b), theirs.predict_proba(X), atol=2e-4)
    np.testing.assert_allclose(W, theirs.coef_.T, atol=1e-3 * max(1, np.abs(W).max()))
    assert b.mean() == pytest.approx(0, abs=1e-12)


def test_several_labels_count_in_equal_shares() -> None:
    """At the optimum no direction leads down, by finite differences of the formula itself."""
    X, y = sample(1)
    labels = np.eye(4, dtype=bool)[y]
    labels[::3, 1] = True
    W, b = LogisticRegression(X, labels).fit(0.5)

    def loss(packed: Array) -> float:
        p = posteriors(X, packed[:20].reshape(5, 4), packed[20:])
        total = 0.0
        for i in range(len(X)):
            classes = np.flatnonzero(labels[i])
            total -= sum(np.log(p[i, c]) for c in classes) / len(classes)
        return float(0.5 * np.square(packed[:20]).sum() + 0.5 * total)

    slope = approx_fprime(np.concatenate([W.ravel(), b]), loss, 1e-6)
    np.testing.assert_allclose(slope, 0, atol=1e-3)
    twice = np.vstack([X[labels[:, c]] for c in range(4)])
    assert len(twice) > len(X)  # so that shares differ from copies, which weigh 1 each
    copies = np.repeat(np.eye(4, dtype=bool), labels.sum(axis=0), axis=0)
    assert np.abs(LogisticRegression(twice, copies).fit(0.5)[0] - W).max() > 1e-3


def test_where_the_search_begins_does_not_matter() -> None:
    X, y = sample(2)
    labels = np.eye(4, dtype=bool)[y]
    regression = LogisticRegression(X, labels)
    near = regression.fit(0.1)
    cold, warm = regression.fit(1.0), regression.fit(1.0, near)
    np.testing.assert_allclose(posteriors(X, *cold), posteriors(X, *warm), atol=1e-4)


def by_hand(data: Dataset, name: str, C: float) -> Array:
    """Standardise on the training part, fit there, and return the posteriors of all samples."""
    values = data.columns[name].values.astype(np.float64)  # type: ignore[attr-defined]
    train = data.splits == "train"
    Z = (values - values[train].mean(axis=0)) / values[train].std(axis=0)
    model = Theirs(C=C, tol=1e-10, max_iter=5000)
    model.fit(Z[train], data.labels[train].argmax(axis=1))
    result: Array = model.predict_proba(Z)
    return result


@pytest.mark.parametrize("similarity", ["correlation", "probability"])
def test_sm_compares_the_posteriors(similarity: Similarity, three_modalities: Dataset) -> None:
    method = SemanticMatching(C=0.3, similarity=similarity)
    space = method.fit(three_modalities.split("train"), three_modalities.split("validation"), QUIET)
    for name, part in space.embed_dataset(three_modalities).items():
        p = by_hand(three_modalities, name, 0.3)
        if similarity == "correlation":
            p /= np.linalg.norm(p, axis=1, keepdims=True)
        np.testing.assert_allclose(part.vectors, p, atol=1e-3)


def test_the_probability_is_one_of_a_shared_class(feature_dataset: Dataset) -> None:
    """The inner product is the share of draws, one from each posterior, that agree."""
    method = SemanticMatching(C=0.3, similarity="probability")
    space = method.fit(feature_dataset.split("train"), feature_dataset.split("validation"), QUIET)
    u, v = (
        part.vectors[3].astype(np.float64) for part in space.embed_dataset(feature_dataset).values()
    )
    assert u.sum() == pytest.approx(1, rel=1e-5)
    draw = np.random.default_rng(0)
    drawn = [draw.choice(4, size=20000, p=p / p.sum()) for p in (u, v)]
    assert u @ v == pytest.approx(np.mean(drawn[0] == drawn[1]), abs=0.02)


def test_scm_is_cca_and_then_sm(feature_dataset: Dataset) -> None:
    """Projections of CCA on a data set of their own, through SM there: the same posteriors."""
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    correlated = cs.Dataset(
        name="projections",
        ids=feature_dataset.ids,
        columns=projections(feature_dataset),
        labels=feature_dataset.labels,
        class_names=feature_dataset.class_names,
        splits=feature_dataset.splits,
    )
    sm = SemanticMatching(C=0.3).fit(
        correlated.split("train"), correlated.split("validation"), QUIET
    )
    scm = SemanticMatching(canonical=True, C=0.3, regularization=0.0).fit(train, validation, QUIET)
    expected, found = sm.embed_dataset(correlated), scm.embed_dataset(feature_dataset)
    for name in feature_dataset.modalities:
        np.testing.assert_allclose(found[name].vectors, expected[name].vectors, atol=1e-3)


def projections(data: Dataset) -> dict[str, Features]:
    """Return the canonical variates of the training part by QR and SVD (Bjorck and Golub 1973)."""
    train = data.splits == "train"
    columns = [column.values.astype(np.float64) for column in data.columns.values()]  # type: ignore[attr-defined]
    centred = [X - X[train].mean(axis=0) for X in columns]
    (Q1, R1), (Q2, R2) = (np.linalg.qr(X[train]) for X in centred)
    U, _, Vt = np.linalg.svd(Q1.T @ Q2, full_matrices=False)
    a, b = np.linalg.solve(R1, U), np.linalg.solve(R2, Vt.T)
    return {
        name: Features(X @ W) for name, X, W in zip(data.modalities, centred, (a, b), strict=True)
    }


def test_labels_without_pairs_are_enough_for_sm(feature_dataset: Dataset) -> None:
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    half = np.arange(len(train)) // 4 % 2 == 0
    columns = {
        name: Features(column.values, mask)  # type: ignore[attr-defined]
        for (name, column), mask in zip(train.columns.items(), (half, ~half), strict=True)
    }
    space = SemanticMatching().fit(replace(train, columns=columns), validation, QUIET)
    figures = cs.evaluate(space, feature_dataset.split("test"))
    assert figures["average"]["map"] > 0.4  # chance is 0.25


@pytest.mark.parametrize(
    "options",
    [
        {"similarity": "distance"},
        {"C": 0.0},
        {"C": float("inf")},
        {"canonical": True, "regularization": 2.0},
        {"canonical": False, "regularization": 0.5},
    ],
)
def test_invalid_settings_are_refused(options: dict[str, Any]) -> None:
    *_, name = options
    with pytest.raises(SettingError, match=name):
        SemanticMatching(**options)

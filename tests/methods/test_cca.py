"""CCA against known correlations, against the eigenproblem in features, and under changes."""

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.errors import SettingError
from commonspace.methods import CCA
from commonspace.methods.base.views import paired_views
from commonspace.methods.cca import canonical_directions

Array = NDArray[np.float64]

QUIET = cs.RunConfig()
RHO = np.array([0.95, 0.7, 0.3])


def dataset(train: Array, other: Array, validation: int = 12) -> Dataset:
    """Return pairs, the last of them in validation, of three classes in turn."""
    n = len(train)
    return Dataset(
        name="pairs",
        ids=tuple(map(str, range(n))),
        columns={"one": Features(train), "two": Features(other)},
        labels=np.eye(3, dtype=bool)[np.arange(n) % 3],
        class_names=("a", "b", "c"),
        splits=np.repeat(["train", "validation"], [n - validation, validation]),
    )


def known(seed: int = 0, n: int = 60) -> tuple[Array, Array, Array, Array]:
    """Return latent pairs with sample correlations of exactly RHO, and what is seen of them.

    The columns of Q are orthogonal to each other and to the constant, so that those of x and of
    rho x + sqrt(1 - rho^2) e correlate by rho and by nothing else.
    """
    draw = np.random.default_rng(seed)
    noise = draw.normal(size=(n, 7))
    noise[:, 0] = 1
    Q = np.linalg.qr(noise)[0][:, 1:] * np.sqrt(n)
    x, y = Q[:, :3], RHO * Q[:, :3] + np.sqrt(1 - RHO**2) * Q[:, 3:]
    return x, y, x @ draw.normal(size=(3, 3)) + 5, y @ draw.normal(size=(3, 3)) - 2


def test_known_correlations_are_found_in_order() -> None:
    _, _, X, Y = known()
    views = paired_views(dataset(X, Y, validation=0))
    a, b, rho = canonical_directions(views["one"], views["two"], 0.0)
    np.testing.assert_allclose(rho, RHO, atol=1e-6)
    projected = views["one"].values @ a, views["two"].values @ b
    found = projected[0].T @ projected[1] / len(X)
    np.testing.assert_allclose(found, np.diag(RHO), atol=1e-6)
    for one in projected:
        np.testing.assert_allclose(one.T @ one / len(X), np.eye(3), atol=1e-9)


def test_the_space_is_that_of_the_latent_pairs() -> None:
    """Whatever mixes the features, scores are those of CCA on the latent variables themselves."""
    x, y, X, Y = known()
    data = dataset(X, Y)
    train = slice(0, 48)
    space = CCA(dimension=3).fit(data.split("train"), data.split("validation"), QUIET)
    latent = dataset(x, y)
    same = CCA(dimension=3).fit(latent.split("train"), latent.split("validation"), QUIET)
    scores = space.embed("one", X[train]) @ space.embed("two", Y[train]).T
    expected = same.embed("one", x[train]) @ same.embed("two", y[train]).T
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def ridge(C: Array, r: float) -> Array:
    result: Array = (1 - r) * C + r * np.trace(C) / len(C) * np.eye(len(C))
    return result


def oracle(X: Array, Y: Array, r: float) -> tuple[Array, Array, Array]:
    """Solve C12 D2^-1 C21 a = rho^2 D1 a over features, by the textbook."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    C12 = X.T @ Y / len(X)
    D1, D2 = ridge(X.T @ X / len(X), r), ridge(Y.T @ Y / len(Y), r)
    squares, a = scipy.linalg.eigh(C12 @ np.linalg.solve(D2, C12.T), D1)
    rho, a = np.sqrt(np.maximum(squares[::-1], 0)), a[:, ::-1]
    return rho, a, np.linalg.solve(D2, C12.T @ a) / rho


@pytest.mark.parametrize("r", [0.0, 0.2, 0.9])
def test_projections_equal_those_of_the_eigenproblem_in_features(r: float) -> None:
    draw = np.random.default_rng(1)
    X = draw.normal(size=(50, 4)) * [1, 2, 3, 0.5]
    Y = X[:, :3] @ draw.normal(size=(3, 6)) + draw.normal(size=(50, 6))
    X, Y = X.astype(np.float32).astype(np.float64), Y.astype(np.float32).astype(np.float64)
    rho, a, b = oracle(X[:38], Y[:38], r)
    views = paired_views(dataset(X, Y).split("train"))
    np.testing.assert_allclose(
        canonical_directions(views["one"], views["two"], r)[2], rho, atol=1e-8
    )
    data = dataset(X, Y)
    for d in (1, 3):
        space = CCA(regularization=r, dimension=d).fit(
            data.split("train"), data.split("validation"), QUIET
        )
        u, v = ((Z - Z[:38].mean(axis=0)) @ W[:, :d] for Z, W in ((X, a), (Y, b)))
        u, v = (w / np.linalg.norm(w, axis=1, keepdims=True) for w in (u, v))
        found = space.embed("one", X) @ space.embed("two", Y).T
        np.testing.assert_allclose(found, u @ v.T, atol=1e-4)


def test_partial_least_squares_is_at_the_end_of_the_regularisation() -> None:
    """At r = 1 the directions are the singular vectors of the cross-covariance."""
    draw = np.random.default_rng(2)
    X, Y = draw.normal(size=(30, 4)), draw.normal(size=(30, 3))
    views = paired_views(dataset(X, Y, validation=0))
    a, b, S = canonical_directions(views["one"], views["two"], 1.0)
    for found in (a, b):
        gram = found.T @ found
        np.testing.assert_allclose(gram, gram[0, 0] * np.eye(3), atol=1e-9)
    C12 = (X - X.mean(axis=0)).T @ (Y - Y.mean(axis=0))
    expected = np.linalg.svd(C12, compute_uv=False)
    np.testing.assert_allclose(S / S[0], expected / expected[0], atol=1e-6)


def changed(data: Dataset, X: Array) -> Dataset:
    return Dataset(
        name=data.name,
        ids=data.ids,
        columns={**data.columns, "one": Features(X)},
        labels=data.labels,
        class_names=data.class_names,
        splits=data.splits,
    )


def scores(data: Dataset, method: CCA) -> NDArray[np.float32]:
    space = method.fit(data.split("train"), data.split("validation"), QUIET)
    embedded = space.embed_dataset(data)
    return embedded["one"].vectors @ embedded["two"].vectors.T


def test_mixing_and_repeating_features_changes_no_score_of_plain_cca() -> None:
    draw = np.random.default_rng(3)
    x, y = draw.normal(size=(60, 3)), draw.normal(size=(60, 4))
    data = dataset(x, y + x @ draw.normal(size=(3, 4)))
    before = scores(data, CCA(dimension=2))
    mixed = x @ (np.eye(3) + 0.5 * draw.normal(size=(3, 3))) * 7 + 40
    repeated = np.hstack([x, x @ draw.normal(size=(3, 2)), np.ones((60, 1))])
    for X in (mixed, repeated):
        np.testing.assert_allclose(scores(changed(data, X), CCA(dimension=2)), before, atol=2e-4)


def test_a_scale_changes_no_score_of_regularised_cca() -> None:
    draw = np.random.default_rng(4)
    x, y = draw.normal(size=(60, 3)) * [1, 3, 9], draw.normal(size=(60, 4))
    data = dataset(x, y + x @ draw.normal(size=(3, 4)))
    method = CCA(regularization=0.3, dimension=2)
    before = scores(data, method)
    np.testing.assert_allclose(scores(changed(data, 1e-3 * x), method), before, atol=2e-4)
    assert np.abs(before - scores(changed(data, x * [9, 3, 1]), method)).max() > 0.01


@pytest.mark.parametrize(
    ("option", "value"),
    [("regularization", -0.1), ("regularization", 1.5), ("dimension", 0), ("dimension", -3)],
)
def test_invalid_settings_are_refused(option: str, value: float) -> None:
    options: dict[str, object] = {option: value}
    with pytest.raises(SettingError, match=option) as caught:
        CCA(**options)  # type: ignore[arg-type]
    assert caught.value.found == repr(value)


def test_more_dimensions_than_directions_are_refused() -> None:
    _, _, X, Y = known()
    data = dataset(X, Y)
    with pytest.raises(SettingError, match="<= 3"):
        CCA(dimension=4).fit(data.split("train"), data.split("validation"), QUIET)

"""MCCA against the eigenproblem in features, and against CCA where there are two modalities."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data import Dataset
from commonspace.errors import SettingError
from commonspace.methods import CCA, MCCA
from commonspace.methods.base.views import paired_views
from commonspace.methods.cca import canonical_directions
from commonspace.methods.mcca import multiset_directions

QUIET = cs.RunConfig()


def scores(space: cs.CommonSpace, data: Dataset, one: str, other: str) -> NDArray[np.float32]:
    embedded = space.embed_dataset(data)
    return embedded[one].vectors @ embedded[other].vectors.T


@pytest.mark.parametrize("r", [0.0, 0.4])
def test_of_two_modalities_it_is_cca(r: float, feature_dataset: Dataset) -> None:
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    views = paired_views(train)
    _, rho = multiset_directions(views, r)
    _, _, S = canonical_directions(views["image"], views["text"], r)
    np.testing.assert_allclose(rho, 1 + S, atol=1e-9)
    one = CCA(regularization=r, dimension=3).fit(train, validation, QUIET)
    two = MCCA(regularization=r, dimension=3).fit(train, validation, QUIET)
    np.testing.assert_allclose(
        scores(one, feature_dataset, "image", "text"),
        scores(two, feature_dataset, "image", "text"),
        atol=1e-5,
    )


@pytest.mark.parametrize("r", [0.0, 0.25])
def test_of_three_it_solves_the_eigenproblem_in_features(
    r: float, three_modalities: Dataset
) -> None:
    train = three_modalities.split("train")
    columns = [column.values.astype(np.float64) for column in train.columns.values()]  # type: ignore[attr-defined]
    means = [X.mean(axis=0) for X in columns]
    centred = [X - mean for X, mean in zip(columns, means, strict=True)]
    C = np.hstack(centred).T @ np.hstack(centred) / len(train)
    blocks = []
    for X in centred:
        own = X.T @ X / len(X)
        own = own * len(own) / np.trace(own)  # the share r is of a matrix with mean variance 1
        blocks.append((1 - r) * own + r * np.eye(len(own)))
    scale = np.concatenate([np.full(X.shape[1], 1 / np.sqrt(np.square(X).mean())) for X in centred])
    C = scale[:, None] * C * scale
    D = scipy.linalg.block_diag(*blocks)
    start = 0
    for own in blocks:
        C[start : start + len(own), start : start + len(own)] = own
        start += len(own)
    rho, A = scipy.linalg.eigh(C, D)
    A = scale[:, None] * A[:, ::-1][:, :3]

    found = multiset_directions(paired_views(train), r)[1]
    np.testing.assert_allclose(found, rho[::-1][: len(found)], atol=1e-6)
    space = MCCA(regularization=r, dimension=3).fit(
        train, three_modalities.split("validation"), QUIET
    )
    expected, start = {}, 0
    for name, X, mean in zip(three_modalities.modalities, columns, means, strict=True):
        u = (X - mean) @ A[start : start + X.shape[1]]
        expected[name] = u / np.linalg.norm(u, axis=1, keepdims=True)
        start += X.shape[1]
    for one in three_modalities.modalities:
        for other in three_modalities.modalities:
            np.testing.assert_allclose(
                scores(space, train, one, other), expected[one] @ expected[other].T, atol=1e-4
            )


def test_the_order_of_modalities_does_not_matter(three_modalities: Dataset) -> None:
    turned = replace(
        three_modalities,
        columns={
            name: three_modalities.columns[name] for name in reversed(three_modalities.modalities)
        },
    )
    first, second = (
        MCCA(regularization=0.1, dimension=3).fit(
            data.split("train"), data.split("validation"), QUIET
        )
        for data in (three_modalities, turned)
    )
    np.testing.assert_allclose(
        scores(first, three_modalities, "image", "sound.wav"),
        scores(second, three_modalities, "image", "sound.wav"),
        atol=1e-5,
    )


@pytest.mark.parametrize(("option", "value"), [("regularization", 2.0), ("dimension", 0)])
def test_invalid_settings_are_refused(option: str, value: float) -> None:
    options: dict[str, object] = {option: value}
    with pytest.raises(SettingError, match=option):
        MCCA(**options)  # type: ignore[arg-type]

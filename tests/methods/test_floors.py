"""The two floors: raw features against their cosine, the probe against ridge regression."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.errors import DataError, SettingError
from commonspace.methods import LinearProbe, RawFeatures

QUIET = cs.RunConfig()


def test_raw_features_are_compared_by_their_cosine(feature_dataset: Dataset) -> None:
    values = feature_dataset.columns["text"].values  # type: ignore[attr-defined]
    images = feature_dataset.columns["image"].values  # type: ignore[attr-defined]
    columns = {"image": Features(images[:, :5]), "text": Features(values)}
    data = replace(feature_dataset, columns=columns)
    space = RawFeatures().fit(data.split("train"), data.split("validation"), QUIET)
    embedded = space.embed_dataset(data)
    for name, column in columns.items():
        expected = column.values / np.linalg.norm(column.values, axis=1, keepdims=True)
        np.testing.assert_allclose(embedded[name].vectors, expected, atol=1e-6)


def test_raw_features_of_different_sizes_are_refused(feature_dataset: Dataset) -> None:
    with pytest.raises(DataError, match="cannot be compared") as caught:
        RawFeatures().fit(
            feature_dataset.split("train"), feature_dataset.split("validation"), QUIET
        )
    assert caught.value.found == "'image': 6, 'text': 5"


@pytest.mark.parametrize("r", [0.001, 0.3])
def test_the_probe_is_ridge_regression(r: float, three_modalities: Dataset) -> None:
    """(1 - r) C + r t I is, up to a factor that the cosine drops, C + r t / (1 - r) I."""
    part = three_modalities.split("train")
    labels = part.labels.copy()
    labels[::5] = False
    labels[1::5, 2] = True
    part = replace(part, labels=labels)
    space = LinearProbe(regularization=r).fit(part, three_modalities.split("validation"), QUIET)
    known = labels.any(axis=1)
    for name, column in three_modalities.columns.items():
        X = part.columns[name].values[known].astype(np.float64)  # type: ignore[attr-defined]
        weight = r / (1 - r) * X.var(axis=0).mean() * len(X)
        model = Ridge(alpha=weight).fit(X, labels[known])
        u = (column.values.astype(np.float64) - X.mean(axis=0)) @ model.coef_.T  # type: ignore[attr-defined]
        expected = u / np.linalg.norm(u, axis=1, keepdims=True)
        np.testing.assert_allclose(space.embed(name, column), expected, atol=1e-4)


def test_a_probe_that_cannot_work_is_refused() -> None:
    with pytest.raises(SettingError, match="regularization"):
        LinearProbe(regularization=-0.5)

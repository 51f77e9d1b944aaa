"""Raw features against their cosine."""

from dataclasses import replace

import numpy as np
import pytest

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.errors import DataError
from commonspace.methods import RawFeatures

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
        np.testing.assert_allclose(embedded[name].vectors, expected, atol=1e-5)


def test_raw_features_of_different_sizes_are_refused(feature_dataset: Dataset) -> None:
    with pytest.raises(DataError, match="cannot be compared") as caught:
        RawFeatures().fit(
            feature_dataset.split("train"), feature_dataset.split("validation"), QUIET
        )
    assert caught.value.found == "'image': 6, 'text': 5"

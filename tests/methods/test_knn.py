"""Nearest-neighbor posteriors against a plain loop."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.methods import NearestNeighbors
from commonspace.methods.knn import Distance


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 4])
def test_posteriors_are_the_shares_of_the_nearest_samples(
    feature_dataset: Dataset, k: int, distance: Distance
) -> None:
    train, test = feature_dataset.split("train"), feature_dataset.split("test")
    method = NearestNeighbors(neighbors=k, distance=distance)
    space = method.fit(feature_dataset, run=cs.RunConfig())
    column, queries = train.columns["image"], test.columns["image"]
    assert isinstance(column, Features)
    assert isinstance(queries, Features)
    mean, spread = column.values.mean(axis=0), column.values.std(axis=0)

    def scaled(values: NDArray[np.float32]) -> NDArray[np.float64]:
        centered = values.astype(np.float64) - mean
        if distance == "cosine":
            return np.asarray(centered / np.linalg.norm(centered, axis=1, keepdims=True))
        return np.asarray(centered / spread)

    known = scaled(column.values)
    prior = train.labels.mean(axis=0)
    expected = []
    for query in scaled(queries.values):
        distances = [float(((sample - query) ** 2).sum()) for sample in known]
        nearest = sorted(range(len(known)), key=lambda row: distances[row])[:k]
        expected.append((train.labels[nearest].sum(axis=0) + prior) / (k + 1))
    np.testing.assert_allclose(space.embed("image", queries), expected, atol=1e-5)


def test_a_sample_of_several_classes_counts_in_equal_shares(feature_dataset: Dataset) -> None:
    labels = feature_dataset.labels.copy()
    labels[:, 0] = True
    data = Dataset(
        name="two",
        ids=feature_dataset.ids,
        columns=feature_dataset.columns,
        labels=labels,
        class_names=feature_dataset.class_names,
        splits=feature_dataset.splits,
    )
    p = (
        NearestNeighbors(neighbors=3)
        .fit(data, run=cs.RunConfig())
        .embed("text", data.split("test").columns["text"])
    )
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert (p[:, 0] >= 0.5 - 1e-6).all()


def test_number_and_distance_are_chosen_on_validation(feature_dataset: Dataset) -> None:
    space = NearestNeighbors().fit(feature_dataset, run=cs.RunConfig())
    tried = space.provenance["tried"]
    settings = [(one["settings"]["distance"], one["settings"]["neighbors"]) for one in tried]
    assert settings == [*product(["euclidean", "cosine"], [1, 3, 5, 10, 20])]
    best = max(tried, key=lambda one: one["validation_score"])
    assert space.provenance["chosen"]["settings"] == best["settings"]

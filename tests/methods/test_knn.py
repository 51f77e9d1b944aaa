"""Nearest-neighbor posteriors against a plain loop."""

import numpy as np
import pytest

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.methods import NearestNeighbors


@pytest.mark.parametrize("k", [1, 4])
def test_posteriors_are_the_shares_of_the_nearest_samples(feature_dataset: Dataset, k: int) -> None:
    train, test = feature_dataset.split("train"), feature_dataset.split("test")
    space = NearestNeighbors(neighbors=k).fit(feature_dataset, run=cs.RunConfig())
    column, queries = train.columns["image"], test.columns["image"]
    assert isinstance(column, Features)
    assert isinstance(queries, Features)
    mean, spread = column.values.mean(axis=0), column.values.std(axis=0)
    known = (column.values - mean) / spread
    prior = train.labels.mean(axis=0)
    expected = []
    for query in (queries.values - mean) / spread:
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


def test_the_number_of_neighbors_is_chosen_on_validation(feature_dataset: Dataset) -> None:
    space = NearestNeighbors().fit(feature_dataset, run=cs.RunConfig())
    tried = space.provenance["tried"]
    assert [one["settings"]["neighbors"] for one in tried] == [1, 3, 5, 10, 20]
    best = max(tried, key=lambda one: one["validation_score"])
    assert space.provenance["chosen"]["settings"] == best["settings"]

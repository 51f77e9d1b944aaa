"""Boosted trees: posteriors equal to scikit-learn's, and the cases that it does not take."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.methods import BoostedTrees


@pytest.fixture(scope="module")
def blobs() -> Dataset:
    """Return two modalities of five classes, with enough samples for leaves of 20."""
    draw = np.random.default_rng(5)
    y = np.arange(420) % 5
    columns = {
        name: Features(draw.normal(size=(5, size))[y] + draw.normal(size=(420, size)))
        for name, size in (("image", 6), ("text", 3))
    }
    return Dataset(
        name="blobs",
        ids=tuple(map(str, range(420))),
        columns=columns,
        labels=np.eye(5, dtype=bool)[y],
        class_names=tuple("abcde"),
        splits=np.repeat(["train", "validation", "test"], [260, 60, 100]),
    )


def sklearn_posteriors(train: Dataset, items: Dataset, modality: str, rounds: int) -> np.ndarray:
    model = HistGradientBoostingClassifier(
        max_iter=rounds,
        max_leaf_nodes=6,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    )
    x, queries = (part.columns[modality].values for part in (train, items))  # type: ignore[attr-defined]
    model.fit(x, train.labels.argmax(axis=1))
    p = np.zeros((len(queries), len(train.class_names)))
    p[:, model.classes_] = model.predict_proba(queries)
    return p


@pytest.mark.parametrize("rounds", [1, 7, 10, 50])
@pytest.mark.parametrize("classes", [5, 2])
def test_posteriors_are_those_of_scikit_learn(
    blobs: Dataset, rounds: int, classes: int, tmp_path: Path
) -> None:
    """With two classes scikit-learn has one tree a round; other classes have no samples then."""
    data = blobs.take(np.flatnonzero(blobs.labels[:, :classes].any(axis=1)))
    space = BoostedTrees(rounds=rounds, leaves=6).fit(data, run=cs.RunConfig())
    space.save(tmp_path / "run")
    loaded = cs.load(tmp_path / "run")
    test = data.split("test")
    for name in data.modalities:
        expected = sklearn_posteriors(data.split("train"), test, name, rounds)
        np.testing.assert_allclose(loaded.embed(name, test.columns[name]), expected, atol=1e-5)


def test_a_value_at_a_threshold_goes_left() -> None:
    """Features with few values lie on both sides of a threshold that float32 cannot hold."""
    draw = np.random.default_rng(1)
    y = np.arange(300) % 2
    x = (np.float32(0.1) * (y + draw.integers(0, 3, size=300))).astype(np.float32)[:, None]
    data = cs.Dataset.from_arrays(image=x, text=x + 1, labels=y)
    space = BoostedTrees(rounds=5, leaves=4).fit(data, run=cs.RunConfig())
    train = data.split("train")
    expected = sklearn_posteriors(train, data, "image", 5)
    assert np.abs(expected[:, 0] - expected[:, 0].mean()).max() > 0.05
    six = HistGradientBoostingClassifier(
        max_iter=5, max_leaf_nodes=4, l2_regularization=1.0, early_stopping=False, random_state=0
    ).fit(train.columns["image"].values, train.labels.argmax(axis=1))  # type: ignore[attr-defined]
    np.testing.assert_allclose(space.embed("image", x), six.predict_proba(x), atol=1e-6)


def test_trees_of_small_classes_do_not_diverge() -> None:
    """Without a penalty the log loss of these classes rises from 4.8 after 5 rounds to 11.6."""
    draw = np.random.default_rng(0)
    centers = draw.normal(size=(6, 4))
    train = np.repeat(np.arange(6), [3000, 25, 25, 25, 25, 25])
    test = np.repeat(np.arange(6), 25)
    y = np.concatenate([train, test, test])
    x = centers[y] + 0.6 * draw.normal(size=(len(y), 4))
    data = Dataset(
        name="small classes",
        ids=tuple(map(str, range(len(y)))),
        columns={"image": Features(x), "text": Features(x)},
        labels=np.eye(6, dtype=bool)[y],
        class_names=tuple("abcdef"),
        splits=np.repeat(["train", "validation", "test"], [len(train), len(test), len(test)]),
    )
    losses = {}
    for rounds in (5, 20):
        space = BoostedTrees(rounds=rounds, leaves=15).fit(data, run=cs.RunConfig())
        p = space.embed("image", x[-len(test) :])[np.arange(len(test)), test]
        losses[rounds] = -np.log(np.maximum(p, 1e-30)).mean()
    assert losses[20] < losses[5] < 3


def test_one_class_has_the_posterior_1(blobs: Dataset) -> None:
    labels = blobs.labels.copy()
    labels[blobs.splits == "train"] = np.eye(5, dtype=bool)[3]
    space = BoostedTrees(rounds=2).fit(replace(blobs, labels=labels), run=cs.RunConfig())
    p = space.embed("text", blobs.split("test").columns["text"])
    np.testing.assert_array_equal(p, np.tile(np.eye(5)[3], (100, 1)))


def test_a_sample_of_several_classes_counts_in_equal_shares(blobs: Dataset) -> None:
    """Fewer than 40 rows have no split: the posterior is the share of each class."""
    labels = np.zeros((len(blobs), 5), dtype=bool)
    labels[:, 0] = True
    labels[::2, 1] = True
    few = replace(blobs, labels=labels).take(np.r_[:20, 260:420])
    space = BoostedTrees().fit(few, run=cs.RunConfig())
    p = space.embed("image", few.split("test").columns["image"])
    np.testing.assert_allclose(p, np.tile([0.75, 0.25, 0, 0, 0], (100, 1)), atol=1e-6)


def test_rounds_and_leaves_are_chosen_on_validation(blobs: Dataset) -> None:
    space = BoostedTrees().fit(blobs, run=cs.RunConfig())
    tried = space.provenance["tried"]
    assert {(one["settings"]["rounds"], one["settings"]["leaves"]) for one in tried} == {
        (rounds, leaves) for rounds in (5, 10, 20, 40, 100) for leaves in (4, 15)
    }
    best = max(tried, key=lambda one: one["validation_score"])
    assert space.provenance["chosen"]["settings"] == best["settings"]

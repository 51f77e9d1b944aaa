"""Oracle analysis: known labels give the expected mAP; the probe is the Bayes rule of Gaussians."""

from dataclasses import replace

import numpy as np
import pytest

import commonspace as cs
from commonspace.data import Dataset
from commonspace.evaluation import LinearDiscriminant, analyze_oracle, mean_average_precision
from commonspace.methods import CCA, PosteriorMatching


def test_known_classes_replace_the_posteriors_of_one_side() -> None:
    draw = np.random.default_rng(0)
    marks = np.eye(3, dtype=bool)[np.arange(30) % 3]
    p = {name: draw.dirichlet(np.ones(3), 30) for name in ("image", "text")}
    result = analyze_oracle(p, {"image": marks, "text": marks}, "model")
    truth = marks.astype(float)
    assert result.known["image->text"] == {
        "image": mean_average_precision(truth, p["text"], marks, marks),
        "text": mean_average_precision(p["image"], truth, marks, marks),
    }
    assert result.accuracy["image"] == np.mean(p["image"].argmax(axis=1) == np.arange(30) % 3)


def test_perfect_posteriors_give_one_and_uniform_ones_chance() -> None:
    marks = np.eye(4, dtype=bool)[np.arange(40) % 4]
    p = {"image": marks.astype(float), "text": np.full((40, 4), 0.25)}
    result = analyze_oracle(p, {"image": marks, "text": marks}, "model")
    assert result.accuracy == {"image": 1.0, "text": 0.25}
    assert result.known["image->text"]["text"] == 1.0
    constant = np.ones((40, 1))
    chance = mean_average_precision(constant, constant, marks, marks)
    assert result.known["image->text"]["image"] == pytest.approx(chance)


def test_a_sample_of_several_classes_is_right_in_any_of_them() -> None:
    marks = np.array([[True, True, False], [False, False, True], [False, False, False]])
    p = np.array([[0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])
    result = analyze_oracle({"a": p, "b": p}, {"a": marks, "b": marks}, "model")
    assert result.accuracy["a"] == 0.5


def test_the_probe_is_the_bayes_rule_of_gaussian_classes() -> None:
    draw = np.random.default_rng(1)
    means = np.array([[0.0, 0.0], [2.0, 0.0]])
    classes = draw.integers(0, 2, 20_000)
    x = means[classes] + draw.normal(size=(20_000, 2))
    probe = LinearDiscriminant(x, np.eye(2, dtype=bool)[classes])
    p = probe(np.array([[1.0, 0.3], [2.0, 0.0], [0.0, 5.0]]))
    expected = 1 / (1 + np.exp(-2 * (np.array([1.0, 2.0, 0.0]) - 1)))
    np.testing.assert_allclose(p[:, 1], expected, atol=0.03)
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_a_class_without_samples_gets_no_probability() -> None:
    labels = np.array([[True, False, False], [False, True, False]] * 5)
    p = LinearDiscriminant(np.random.default_rng(0).normal(size=(10, 3)), labels)(np.zeros((2, 3)))
    assert (p[:, 2] == 0).all()
    assert np.isfinite(p).all()


def test_evaluate_uses_the_posteriors_of_the_model_or_a_probe(feature_dataset: Dataset) -> None:
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    for method, source in (
        (PosteriorMatching(epochs=2, hidden_dim=8), "model"),
        (CCA(dimension=3), "probe"),
    ):
        space = method.fit(train, validation)
        report = space.evaluate(feature_dataset, oracle=True)
        assert report.oracle is not None
        assert report.oracle.source == source
        assert set(report.oracle.accuracy) == {"image", "text"}
        for direction in report.directions:
            assert set(report.oracle.known[direction]) == {"image", "text"}
        head = str(report).splitlines()[1].split("  ")
        assert {"image known", "text known"} <= {cell.strip() for cell in head}
        assert "class accuracy by " in str(report)
        assert dict(report) == dict(cs.evaluate(space, feature_dataset))


def test_without_posteriors_and_training_samples_there_is_no_analysis(
    feature_dataset: Dataset,
) -> None:
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    space = CCA(dimension=3).fit(train, validation)
    test = feature_dataset.split("test")
    assert cs.evaluate(space, test, oracle=True).oracle is None
    bare = replace(
        feature_dataset, labels=feature_dataset.labels & (feature_dataset.splits == "test")[:, None]
    )
    assert cs.evaluate(space, bare, oracle=True).oracle is None

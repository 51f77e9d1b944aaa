"""How features are scaled for a kernel: as labels that are left out are likeliest."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import f_oneway

from commonspace.callbacks import Callback, Callbacks, EpochRecord
from commonspace.data import Dataset, Features
from commonspace.methods.base import kernel_posteriors
from commonspace.methods.base.kernel_posterior import KernelPosterior
from commonspace.methods.base.kernel_posteriors import fit_kernel_posteriors

CLASSES = 4
TELLING = 3


def drawn(n: int = 120, noise: int = 20, size: float = 1.0) -> Dataset:
    """Return features of which the first few separate classes, and noise of a given size."""
    draw = np.random.default_rng(0)
    classes = draw.permutation(n) % CLASSES
    centres = 1.5 * draw.normal(size=(CLASSES, TELLING))
    told = centres[classes] + draw.normal(size=(n, TELLING))
    values = np.hstack([told, size * draw.normal(size=(n, noise))])
    return Dataset(
        name="drawn",
        ids=tuple(map(str, range(n))),
        columns={"one": Features(values)},
        labels=np.eye(CLASSES, dtype=bool)[classes],
        class_names=tuple("abcd"),
        splits=np.full(n, "train"),
    )


def machine(data: Dataset) -> KernelPosterior:
    return fit_kernel_posteriors(data, multi_label=False, seed=0).machines["one"]


def values(data: Dataset) -> NDArray[np.float64]:
    column = data.columns["one"]
    assert isinstance(column, Features)
    return column.values.astype(np.float64)


def loss(found: KernelPosterior) -> float:
    assert found.loss is not None
    return found.loss


def test_features_that_separate_classes_count_for_more() -> None:
    data = drawn()
    found = machine(data)
    X, classes = values(data), data.labels.argmax(axis=1)
    powered = np.sign(X) * np.abs(X) ** found.scaling.power
    F = f_oneway(*(powered[classes == c] for c in range(CLASSES))).statistic
    weight = powered.std(axis=0) ** -found.scaling.evenness * F**found.scaling.relevance
    weight /= np.sqrt(np.square(weight * powered.std(axis=0)).mean())
    assert found.scaling.relevance > 0
    np.testing.assert_allclose(found.weight, weight, rtol=1e-6)
    np.testing.assert_allclose(found.shift, powered.mean(axis=0), atol=1e-9)


def test_left_out_labels_are_likelier_with_relevance(monkeypatch: pytest.MonkeyPatch) -> None:
    data = drawn(noise=60)
    found = machine(data)
    monkeypatch.setattr(kernel_posteriors, "RELEVANCES", ())
    assert loss(found) < 0.9 * loss(machine(data))


class Log(Callback):
    """A callback that records its events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        self.events.append(f"{task}, {total} steps")

    def on_advance(self, steps: int = 1) -> None:
        self.events.append("advanced")

    def on_end(self) -> None:
        self.events.append("ended")


def test_each_step_is_reported() -> None:
    """Four scalings, two relevances and the machine itself."""
    log = Log()
    fit_kernel_posteriors(drawn(), multi_label=False, seed=0, callbacks=Callbacks([log]))
    whole = ["kernel machine of one, 7 steps", *["advanced"] * 7, "ended"]
    assert log.events[: len(whole)] == whole


def test_the_end_of_an_interrupted_search_is_reported() -> None:
    class Interrupting(Log):
        def on_advance(self, steps: int = 1) -> None:
            raise KeyboardInterrupt

    log = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        fit_kernel_posteriors(drawn(), multi_label=False, seed=0, callbacks=Callbacks([log]))
    assert log.events == ["kernel machine of one, 7 steps", "ended"]


@pytest.mark.parametrize("size", [0.05, 1.0, 20.0])
def test_nothing_is_lost_by_giving_up_early(size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that looks at every width for every scaling chooses the same."""
    data = drawn(noise=12, size=size)
    found = machine(data)
    monkeypatch.setattr(kernel_posteriors, "DROP_FACTOR", np.inf)
    whole = machine(data)
    assert (found.scaling, found.width, found.ridge) == (whole.scaling, whole.width, whole.ridge)


@pytest.mark.parametrize(("size", "evenness"), [(0.01, 0.0), (100.0, 1.0)])
def test_evenness_is_what_the_data_wants(
    size: float, evenness: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_posteriors, "RELEVANCES", ())
    assert machine(drawn(noise=12, size=size)).scaling.evenness == evenness


@pytest.mark.parametrize("unit", [1e-3, 1e4])
def test_the_unit_of_all_features_does_not_matter(unit: float) -> None:
    data = drawn()
    other = replace(data, columns={"one": Features(unit * values(data))})
    assert machine(other).scaling == machine(data).scaling
    assert loss(machine(other)) == pytest.approx(loss(machine(data)), rel=1e-4)


def test_constant_features_have_no_weight() -> None:
    data = drawn()
    X = values(data)
    X[:, [1, 20]] = 7.0
    found = machine(replace(data, columns={"one": Features(X)}))
    assert (found.weight == 0).nonzero()[0].tolist() == [1, 20]
    assert np.isfinite(found.coefficients).all()


def test_a_feature_that_varies_only_without_labels_is_bearable() -> None:
    data = drawn()
    labels = data.labels.copy()
    labels[80:] = False
    X = values(data)
    X[:80, 5] = 0.0
    found = machine(replace(data, columns={"one": Features(X)}, labels=labels))
    assert found.scaling.relevance > 0
    assert np.isfinite(found.weight).all()
    assert np.isfinite(found.coefficients).all()


def test_few_labels_make_nothing_relevant() -> None:
    data = drawn()
    labels = data.labels.copy()
    labels[kernel_posteriors.PER_CLASS * CLASSES - 1 :] = False
    assert machine(replace(data, labels=labels)).scaling.relevance == 0


def test_several_labels_a_sample_have_relevant_features_too() -> None:
    data = drawn()
    draw = np.random.default_rng(1)
    labels = draw.random((len(data), CLASSES)) < 0.4
    told = labels @ draw.normal(size=(CLASSES, TELLING)) * 2 + draw.normal(
        size=(len(data), TELLING)
    )
    X = np.hstack([told, draw.normal(size=(len(data), 40))])
    changed: dict[str, Any] = {"one": Features(X)}
    given = replace(data, columns=changed, labels=labels)
    found = fit_kernel_posteriors(given, multi_label=True, seed=0).machines["one"]
    assert found.scaling.relevance > 0
    assert found.weight[:TELLING].min() > found.weight[TELLING:].max()


def test_samples_beyond_those_of_the_machine_are_believed_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The machine has not seen them: what it says of them is what a left-out sample is told."""
    clean = drawn(400, noise=2)
    draw = np.random.default_rng(1)
    others = np.eye(CLASSES, dtype=bool)[draw.integers(0, CLASSES, 400)]
    changed = draw.random(400) < 0.4
    data = replace(clean, labels=np.where(changed[:, None], others, clean.labels))
    wrong = (data.labels != clean.labels).any(axis=1)
    whole = fit_kernel_posteriors(data, multi_label=False, seed=0)
    monkeypatch.setattr(kernel_posteriors, "SAMPLES", 150)
    monkeypatch.setattr(kernel_posteriors, "LANDMARKS", 100)
    part = fit_kernel_posteriors(data, multi_label=False, seed=0)
    assert len(part.machines["one"].landmarks) == 100
    believed = (part.targets * clean.labels).sum(axis=1)
    assert part.noise == pytest.approx(whole.noise, abs=0.08)
    assert (believed[wrong] > 0.5).mean() > 0.7
    assert (believed[~wrong] > 0.5).mean() > 0.9
    agreed = part.targets.argmax(axis=1) == whole.targets.argmax(axis=1)
    assert agreed.mean() > 0.9


def test_scores_of_samples_beyond_the_machine_are_computed_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are those of the machine, before its calibration; rows without a label have none."""
    monkeypatch.setattr(kernel_posteriors, "SAMPLES", 150)
    monkeypatch.setattr(kernel_posteriors, "LANDMARKS", 100)
    data = drawn(400)
    labels = data.labels.copy()
    labels[5] = False
    data = replace(data, labels=labels)
    found = fit_kernel_posteriors(data, multi_label=False, seed=0)
    scores, machine = found.left_out["one"], found.machines["one"]
    rows = np.array([390, 5, 17, 17])
    np.testing.assert_allclose(scores.at(rows), scores.all()[rows], rtol=1e-5, atol=1e-6)
    assert np.isnan(scores.at(rows)[1]).all()
    column = data.columns["one"]
    assert isinstance(column, Features)
    p = machine.posteriors(column.values, multi_label=False)
    beyond = np.flatnonzero(scores.places >= 150)
    assert len(beyond) == 249
    slope = machine.coefficients[0, 0] / scores.coefficients[0, 0]
    offsets = machine.bias - slope * scores.bias
    logits = slope * scores.at(beyond) + offsets
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p[beyond], expected, atol=1e-4)


def test_scores_without_a_sample_do_not_see_its_label() -> None:
    """The label of a sample has a small effect on its own score: that on scaling and width."""
    data = drawn()
    labels = data.labels.copy()
    labels[7] = np.roll(labels[7], 1)
    labels[9] = False
    one, other = (
        fit_kernel_posteriors(each, multi_label=False, seed=0).left_out["one"].all()
        for each in (data, replace(data, labels=labels))
    )
    assert one.shape == labels.shape
    assert np.isnan(other[9]).all()
    assert not np.isnan(other[7]).any()
    assert np.abs(one[7] - other[7]).max() < 0.15
    assert one[np.arange(len(data)), data.labels.argmax(axis=1)].mean() > 0.5

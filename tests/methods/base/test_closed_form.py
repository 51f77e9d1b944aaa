"""Closed-form methods: selection on validation, provenance, callbacks and unsuitable data."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from torch import nn

import commonspace as cs
from commonspace.callbacks import Callback, EpochRecord
from commonspace.data import Dataset, Features, Texts
from commonspace.errors import DataError, SettingError
from commonspace.methods.base.closed_form import (
    ClosedFormMethod,
    dimensions_to_try,
    values_to_try,
)
from commonspace.networks.linear import AffineMap, LinearNetwork


class Turned(ClosedFormMethod):
    """A method for tests: the features of one modality turned by some positions."""

    name: ClassVar[str] = "turned"

    turn: int | None = None
    turns: tuple[int, ...] = ()
    uses_labels: bool = True
    exactly: int | None = None

    @property
    def supervised(self) -> bool:
        return self.uses_labels

    @property
    def exact_modalities(self) -> int | None:
        return self.exactly

    def prepare(self, train: Dataset) -> None: ...

    def candidates(self, problem: None) -> Sequence["Turned"]:
        return [replace(self, turn=turn) for turn in self.turns]

    def solve(self, problem: None) -> LinearNetwork:
        if self.turn is None or self.turn < 0:
            raise SettingError("this one fails")
        eye = np.eye(4)
        maps = {
            "image": AffineMap(np.zeros(4), eye),
            "text": AffineMap(np.zeros(4), np.roll(eye, self.turn, axis=1)),
        }
        return LinearNetwork.from_maps(maps)


@pytest.fixture
def labels_as_features(feature_dataset: Dataset) -> Dataset:
    """Return data whose features are the labels, so that the right answer is known."""
    labels = feature_dataset.labels.astype(np.float64)
    return replace(feature_dataset, columns={"image": Features(labels), "text": Features(labels)})


class Log(Callback):
    """A callback that records its events."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        self.events.append(("started", task, total))

    def on_advance(self, steps: int = 1) -> None:
        self.events.append("advanced")

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        assert isinstance(network, nn.Module)
        assert not network.training
        self.events.append((record.epoch, dict(record.losses), round(record.validation_score, 3)))

    def on_end(self) -> None:
        self.events.append("ended")


def test_the_first_of_the_best_is_chosen_and_all_are_recorded(labels_as_features: Dataset) -> None:
    log = Log()
    method = Turned(turns=(1, 4, 0, 2))
    space = method.fit(labels_as_features, run=cs.RunConfig(callbacks=(log,)))
    assert cs.evaluate(space, labels_as_features.split("test"))["average"]["map"] == 1.0
    record = space.provenance
    assert record["method"]["name"] == "turned"
    assert record["method"]["options"]["turn"] is None
    assert record["chosen"]["settings"]["turn"] == 4
    assert (record["chosen"]["trial"], record["chosen"]["trials"]) == (2, 4)
    assert record["chosen"]["validation_score"] == 1.0
    assert [trial["settings"]["turn"] for trial in record["tried"]] == [1, 4, 0, 2]
    figures = [trial["validation_score"] for trial in record["tried"]]
    assert figures[1] == figures[2] == 1.0
    assert max(figures[0], figures[3]) < 0.5
    assert record["data"]["fingerprint"] == labels_as_features.split("train").fingerprint
    assert record["validation"]["samples"] == 24
    trials: list[object] = []
    for number, figure in enumerate(figures, 1):
        trials += ["advanced", (number, {}, round(figure, 3))]
    assert log.events == [("started", "fitting", 4), *trials, "ended"]


def test_the_figure_is_the_mean_over_all_directions(labels_as_features: Dataset) -> None:
    validation = labels_as_features.split("validation")
    space = Turned(turns=(1,)).fit(labels_as_features.split("train"), validation, cs.RunConfig())
    expected = cs.evaluate(space, validation)["average"]["map"]
    assert space.provenance["chosen"]["validation_score"] == pytest.approx(expected)


def test_the_end_of_a_failing_fit_is_reported(labels_as_features: Dataset) -> None:
    log = Log()
    with pytest.raises(SettingError, match="this one"):
        Turned(turns=(-1,)).fit(labels_as_features, run=cs.RunConfig(callbacks=(log,)))
    assert log.events == [("started", "fitting", 1), "ended"]


def refuse(train: Dataset, validation: Dataset, **options: Any) -> DataError:  # noqa: ANN401
    with pytest.raises(DataError) as caught:
        Turned(turns=(0,), **options).fit(train, validation, cs.RunConfig())
    assert caught.value.expected
    assert caught.value.found
    assert caught.value.advice
    return caught.value


def test_unsuitable_columns_are_refused(
    feature_dataset: Dataset, raw_dataset: Dataset, three_modalities: Dataset
) -> None:
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    raw = refuse(raw_dataset.split("train"), raw_dataset.split("validation"))
    assert "'image' is raw" in raw.problem
    assert "commonspace extract" in raw.advice
    words = replace(train, columns={**train.columns, "text": Texts([("word",)] * len(train))})
    assert "'text' is raw" in refuse(words, validation).problem
    alone = replace(train, columns={"image": train.columns["image"]})
    assert refuse(alone, validation).found == "1: 'image'"
    many = refuse(three_modalities.split("train"), three_modalities.split("validation"), exactly=2)
    assert many.expected == "exactly 2"
    assert many.found == "3: 'image', 'type', 'sound.wav'"
    empty = np.zeros(len(train), dtype=bool)
    gone = replace(
        train, columns={**train.columns, "text": Features(np.zeros((len(train), 5)), empty)}
    )
    assert "has the modality 'text'" in refuse(gone, validation).problem


def test_labels_are_needed_only_where_they_are_used(labels_as_features: Dataset) -> None:
    train = labels_as_features.split("train")
    validation = labels_as_features.split("validation")
    bare = replace(train, labels=np.zeros_like(train.labels))
    assert "training split" in refuse(bare, validation).problem
    Turned(turns=(0,), uses_labels=False).fit(bare, validation, cs.RunConfig())
    unknown = replace(validation, labels=np.zeros_like(validation.labels))
    assert "validation split" in refuse(train, unknown).problem
    space = Turned(turns=(0,), uses_labels=False).fit(bare, unknown, cs.RunConfig())
    assert space.provenance["chosen"]["metric"] == "mean recall"
    assert not space.calibrated


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, (1,)), (2, (2,)), (3, (2, 3)), (8, (2, 4, 8)), (9, (2, 4, 8, 9))]
)
def test_dimensions_double_up_to_the_limit(limit: int, expected: tuple[int, ...]) -> None:
    assert dimensions_to_try(None, limit) == expected
    assert dimensions_to_try(1, limit) == (1,)
    with pytest.raises(SettingError, match=f"<= {limit}"):
        dimensions_to_try(limit + 1, limit)


def test_a_setting_of_zero_is_a_setting() -> None:
    assert values_to_try(0.0, (1.0, 2.0)) == (0.0,)

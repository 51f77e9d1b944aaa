"""What methods in closed form share: the choice on validation, the record, and what they refuse."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from torch import nn

import commonspace as cs
from commonspace.data import Dataset, Features, Texts
from commonspace.errors import DataError, SettingError
from commonspace.methods.base.closed_form import Fitting, dimensions, to_try
from commonspace.networks.linear import AffineMap, LinearNetwork
from commonspace.training import EpochRecord


@dataclass(frozen=True)
class Turned:
    """A method for tests: the labels themselves, or these turned for one modality."""

    turn: int


@pytest.fixture
def labelled(feature_dataset: Dataset) -> Dataset:
    """Return data whose features are the labels, so that what is right is known."""
    labels = feature_dataset.labels.astype(np.float64)
    return replace(feature_dataset, columns={"image": Features(labels), "text": Features(labels)})


def build(candidate: Turned) -> LinearNetwork:
    eye = np.eye(4)
    maps = {
        "image": AffineMap(np.zeros(4), eye),
        "text": AffineMap(np.zeros(4), np.roll(eye, candidate.turn, axis=1)),
    }
    return LinearNetwork.from_maps(maps)


class Listener:
    """An observer that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def started(self, epochs: int, steps: int, history: tuple[EpochRecord, ...]) -> None:
        self.heard.append(("started", epochs, steps, history))

    def stepped(self) -> None:
        self.heard.append("stepped")

    def epoch_ended(self, record: EpochRecord, network: nn.Module) -> None:
        assert not network.training
        self.heard.append((record.epoch, dict(record.losses), round(record.validation_map, 3)))

    def ended(self) -> None:
        self.heard.append("ended")


def test_the_first_of_the_best_is_chosen_and_all_are_recorded(labelled: Dataset) -> None:
    fitting = Fitting("turned", labelled.split("train"), labelled.split("validation"))
    candidates = [Turned(1), Turned(4), Turned(0), Turned(2)]
    listener = Listener()
    space = fitting.choose(Turned(-1), candidates, build, cs.Run(observers=(listener,)))
    assert cs.evaluate(space, labelled.split("test"))["average"]["map"] == 1.0
    record = space.provenance
    assert record["method"] == {"name": "turned", "options": {"turn": -1}}
    assert record["chosen"]["settings"] == {"turn": 4}
    assert (record["chosen"]["trial"], record["chosen"]["trials"]) == (2, 4)
    assert record["chosen"]["validation_map"] == 1.0
    assert [one["settings"]["turn"] for one in record["tried"]] == [1, 4, 0, 2]
    figures = [one["validation_map"] for one in record["tried"]]
    assert figures[1] == figures[2] == 1.0
    assert max(figures[0], figures[3]) < 0.5
    assert record["data"]["fingerprint"] == labelled.split("train").fingerprint
    assert record["validation"]["samples"] == 24
    trials: list[object] = []
    for number, figure in enumerate(figures, 1):
        trials += ["stepped", (number, {}, round(figure, 3))]
    assert listener.heard == [("started", 4, 1, ()), *trials, "ended"]


def test_the_figure_is_the_mean_over_all_directions(labelled: Dataset) -> None:
    validation = labelled.split("validation")
    space = Fitting("turned", labelled.split("train"), validation).choose(
        Turned(1), [Turned(1)], build, cs.Run(observers=())
    )
    expected = cs.evaluate(space, validation)["average"]["map"]
    assert space.provenance["chosen"]["validation_map"] == pytest.approx(expected)


def test_observers_hear_the_end_of_a_fitting_that_fails(labelled: Dataset) -> None:
    def broken(_: Turned) -> LinearNetwork:
        raise SettingError("this one cannot work")

    listener = Listener()
    fitting = Fitting("turned", labelled.split("train"), labelled.split("validation"))
    with pytest.raises(SettingError, match="this one"):
        fitting.choose(Turned(0), [Turned(0)], broken, cs.Run(observers=(listener,)))
    assert listener.heard == [("started", 1, 1, ()), "ended"]


def refused(train: Dataset, validation: Dataset, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        Fitting("turned", train, validation, **options)  # type: ignore[arg-type]
    assert caught.value.expected
    assert caught.value.found
    assert caught.value.advice
    return caught.value


def test_what_no_method_in_closed_form_can_take_is_refused(
    feature_dataset: Dataset, raw_dataset: Dataset, three_modalities: Dataset
) -> None:
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    raw = refused(raw_dataset.split("train"), raw_dataset.split("validation"))
    assert "'image' is raw" in raw.problem
    assert "commonspace extract" in raw.advice
    words = replace(train, columns={**train.columns, "text": Texts([("word",)] * len(train))})
    assert "'text' is raw" in refused(words, validation).problem
    alone = replace(train, columns={"image": train.columns["image"]})
    assert refused(alone, validation).found == "1: 'image'"
    many = refused(three_modalities.split("train"), three_modalities.split("validation"), exactly=2)
    assert many.expected == "exactly 2"
    assert many.found == "3: 'image', 'type', 'sound.wav'"
    empty = np.zeros(len(train), dtype=bool)
    gone = replace(
        train, columns={**train.columns, "text": Features(np.zeros((len(train), 5)), empty)}
    )
    assert "has the modality 'text'" in refused(gone, validation).problem


def test_labels_are_asked_for_where_they_are_needed(feature_dataset: Dataset) -> None:
    train, validation = feature_dataset.split("train"), feature_dataset.split("validation")
    bare = replace(train, labels=np.zeros_like(train.labels))
    assert "training part" in refused(bare, validation).problem
    Fitting("turned", bare, validation, supervised=False)
    unknown = replace(validation, labels=np.zeros_like(validation.labels))
    assert "validation part" in refused(train, unknown, supervised=False).problem


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, (1,)), (2, (2,)), (3, (2, 3)), (8, (2, 4, 8)), (9, (2, 4, 8, 9))]
)
def test_dimensions_double_up_to_the_limit(limit: int, expected: tuple[int, ...]) -> None:
    assert dimensions(None, limit) == expected
    assert dimensions(1, limit) == (1,)
    with pytest.raises(SettingError, match=f"at most {limit}"):
        dimensions(limit + 1, limit)


def test_a_setting_of_zero_is_a_setting() -> None:
    assert to_try(0.0, (1.0, 2.0)) == (0.0,)

"""Runs: their records, their data, and that tuning never uses the test split."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import commonspace as cs
from commonspace.callbacks import Callback, EpochRecord
from commonspace.comparison import make_experiments
from commonspace.comparison.runs import Record, Splits, Task, read_record, run_task
from commonspace.data import Dataset, Features
from commonspace.errors import DataError
from commonspace.methods import DSCMR, Method

TOY = Path(__file__).with_name("toy.py")


def toy(name: str = "Toy") -> Method:
    return make_experiments([f"{TOY}:{name}"])[0].method


def task(method: Method, kind: Literal["trial", "seed"] = "seed") -> Task:
    return Task("toy", kind, 3, method, {"noise": 3.0})


def test_a_run_holds_what_a_direct_fit_gives(feature_dataset: Dataset, tmp_path: Path) -> None:
    splits, method = Splits.of(feature_dataset), toy()
    record = run_task(task(method), splits, tmp_path, watch_test=False)
    space = method.fit(splits.train, splits.validation, cs.RunConfig())
    figures = cs.evaluate(space, splits.test)
    for direction, value in record["map"].items():
        assert value == pytest.approx(figures[direction]["map"], abs=1e-12)
        listed = record["average_precision"][direction]
        assert len(listed) == len(splits.test)
        assert np.mean(listed) == pytest.approx(value, abs=1e-6)
    assert record["validation_map"] == cs.evaluate(space, splits.validation)["average"]["map"]
    assert record["bytes"] == 4 * space.dimension
    assert json.loads((tmp_path / "toy" / "seed-03.json").read_text()) == record
    assert "best_on_test" not in record
    assert list((tmp_path / "toy").iterdir()) == [tmp_path / "toy" / "seed-03.json"]


def test_a_trial_holds_no_figure_of_the_test_part(feature_dataset: Dataset, tmp_path: Path) -> None:
    record = run_task(task(toy(), "trial"), Splits.of(feature_dataset), tmp_path, watch_test=True)
    assert set(record) == {
        "method", "settings", "seconds", "cpu_seconds", "validation_map", "chosen",
    }  # fmt: skip


def poisoned(data: Dataset) -> Dataset:
    """Return the data with other features and labels in the test part."""
    here = data.splits == "test"
    columns = {
        name: Features(np.where(here[:, None], -column.values, column.values))  # type: ignore[attr-defined]
        for name, column in data.columns.items()
    }
    labels = np.where(here[:, None], np.roll(data.labels, 1, axis=1), data.labels)
    return replace(data, columns=columns, labels=labels)


def without_times(record: Record) -> dict[str, object]:
    kept = {key: value for key, value in record.items() if "seconds" not in key}
    chosen = {key: value for key, value in record["chosen"].items() if key != "seconds"}
    return {**kept, "chosen": chosen}


@pytest.mark.parametrize("method", [DSCMR(hidden_dim=8, embedding_dim=4, epochs=4), toy()])
def test_trials_do_not_depend_on_the_test_part(
    method: Method, feature_dataset: Dataset, tmp_path: Path
) -> None:
    """The same bits whatever stands in the test part; cells of the table do differ."""
    found = {}
    for name, data in (("clean", feature_dataset), ("poisoned", poisoned(feature_dataset))):
        splits, folder = Splits.of(data), tmp_path / name
        trial = run_task(task(method, "trial"), splits, folder, watch_test=False)
        seed = run_task(task(method, "seed"), splits, folder, watch_test=False)
        found[name] = (without_times(trial), seed["chosen"].get("epoch"), seed["map"])
    assert found["clean"][:2] == found["poisoned"][:2]
    assert found["clean"][2] != found["poisoned"][2]


def test_the_best_on_test_is_that_of_the_best_epoch_there(
    feature_dataset: Dataset, tmp_path: Path
) -> None:
    splits, method = Splits.of(feature_dataset), toy()
    record = run_task(task(method), splits, tmp_path, watch_test=True)
    by_epoch = [
        cs.evaluate(method._space(splits.train, epoch), splits.test)["average"]["map"]  # type: ignore[attr-defined]
        for epoch in range(2)
    ]
    assert record["best_on_test"] == pytest.approx(max(by_epoch), abs=1e-6)
    assert np.mean(list(record["map"].values())) == pytest.approx(by_epoch[0], abs=1e-6)


def test_the_honest_figure_is_the_same_under_both_protocols(
    feature_dataset: Dataset, tmp_path: Path
) -> None:
    method = DSCMR(hidden_dim=8, embedding_dim=4, epochs=5)
    records = [
        run_task(task(method), Splits.of(feature_dataset), tmp_path / str(watch), watch_test=watch)
        for watch in (False, True)
    ]
    assert records[0]["map"] == records[1]["map"]
    assert records[1]["best_on_test"] >= np.mean(list(records[1]["map"].values())) - 1e-9


def test_a_method_without_epochs_has_no_best_on_test(
    feature_dataset: Dataset, tmp_path: Path
) -> None:
    """It calls no observer, as a user-defined method need not."""
    record = run_task(task(Plain()), Splits.of(feature_dataset), tmp_path, watch_test=True)
    assert record["best_on_test"] is None


@dataclass(frozen=True)
class Plain:
    """The toy, which it fits without the run."""

    def fit(
        self, train: Dataset, validation: Dataset, run: cs.RunConfig | None = None
    ) -> cs.CommonSpace:
        return toy().fit(train, validation)


def test_a_record_of_other_settings_is_none(feature_dataset: Dataset, tmp_path: Path) -> None:
    done = task(toy())
    record = run_task(done, Splits.of(feature_dataset), tmp_path, watch_test=False)
    assert read_record(tmp_path, done) == record
    other = replace(done, method=replace(done.method, noise=2.0))  # type: ignore[type-var]
    assert read_record(tmp_path, other) is None
    (tmp_path / "toy" / "seed-03.json").write_text("{")
    assert read_record(tmp_path, done) is None


def test_a_fit_that_diverges_is_a_result(feature_dataset: Dataset, tmp_path: Path) -> None:
    method = replace(toy(), diverges_above=1.0)  # type: ignore[type-var]
    record = run_task(task(method), Splits.of(feature_dataset), tmp_path, watch_test=False)
    assert record["failed"] == "too much noise: 3.0"
    assert read_record(tmp_path, task(method)) == record


def test_data_that_is_refused_leaves_no_record(feature_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing is good enough"):
        run_task(task(toy("Picky")), Splits.of(feature_dataset), tmp_path, watch_test=False)
    assert list((tmp_path / "toy").iterdir()) == []


def test_a_killed_training_resumes_to_the_same_figures(
    feature_dataset: Dataset, tmp_path: Path
) -> None:
    method, splits = DSCMR(hidden_dim=8, embedding_dim=4, epochs=6), Splits.of(feature_dataset)
    whole = run_task(task(method), splits, tmp_path / "whole", watch_test=False)
    scratch = tmp_path / "cut" / "toy" / "seed-03.work"
    with pytest.raises(KilledError):
        method.fit(
            splits.train,
            splits.validation,
            cs.RunConfig(checkpoint=scratch, callbacks=(Killer(4),)),
        )
    assert (scratch / "checkpoint.safetensors").exists()
    again = run_task(task(method), splits, tmp_path / "cut", watch_test=False)
    assert again["map"] == whole["map"]
    assert not scratch.exists()
    assert whole["seconds"] > 0 < whole["cpu_seconds"]
    assert again["seconds"] is again["cpu_seconds"] is None  # of the first part nobody knows


def test_a_checkpoint_of_something_else_is_not_gone_on_from(
    feature_dataset: Dataset, tmp_path: Path
) -> None:
    method, splits = DSCMR(hidden_dim=8, embedding_dim=4, epochs=3), Splits.of(feature_dataset)
    scratch = tmp_path / "toy" / "seed-03.work"
    with pytest.raises(KilledError):
        replace(method, seed=5).fit(
            splits.train,
            splits.validation,
            cs.RunConfig(checkpoint=scratch, callbacks=(Killer(2),)),
        )
    record = run_task(task(method), splits, tmp_path, watch_test=False)
    assert record["map"] == run_task(task(method), splits, tmp_path / "b", watch_test=False)["map"]


class KilledError(Exception):
    """What stands for the end of the process."""


class Killer(Callback):
    """Ends a training when an epoch begins to be told."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        if record.epoch == self.epoch:
            raise KilledError

"""Runs of a comparison: fit a method, evaluate it, and keep the record in a file.

A trial is evaluated on the validation split only. A seed is evaluated on the test split, once,
after tuning. Seed 0 with the settings of the best trial would repeat the fit of that trial: its
space is kept until then, and evaluated in place of a second fit.
"""

import json
import math
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from commonspace.atomic import replace_file
from commonspace.callbacks import Callback, EpochRecord
from commonspace.comparison.experiments import describe
from commonspace.comparison.trial_stop import TrialStop
from commonspace.data import Dataset, Features
from commonspace.encoders import Vectors
from commonspace.errors import CommonspaceError, SpaceError, TrainingError
from commonspace.evaluation import average_precisions, evaluate, mean_by_class, mean_over_queries
from commonspace.json_text import parse_json
from commonspace.methods import Method
from commonspace.space import CommonSpace, load
from commonspace.training import RunConfig, Samples, ValidationScore

__all__ = ["Record", "Splits", "Task", "read_record", "run_task"]

FLOAT = np.dtype(np.float32).itemsize
WORK, SPACE = ".work", ".space"
"""Suffixes of the folder of a checkpoint, and of that of the space of the best trial."""

Record = Mapping[str, Any]
"""The result of a run, as JSON values."""


@dataclass(frozen=True)
class Task:
    """One run to do.

    Args:
        experiment: name of its experiment.
        kind: "trial" for a tuning trial, "seed" for a run that is tested.
        number: of the trial, or the seed.
        method: with all settings.
        settings: the tuned settings, for the record.
        rivals: validation mAP by epoch of each earlier trial, for a trial that is stopped when it
            is behind; without any, it runs to its end.
        keep_above: validation mAP above which a trial is the best so far, and its space is kept.
        repeats: number of the trial whose fit a seed would repeat.
    """

    experiment: str
    kind: Literal["trial", "seed"]
    number: int
    method: Method
    settings: Mapping[str, Any]
    rivals: tuple[tuple[float, ...], ...] = ()
    keep_above: float | None = None
    repeats: int | None = None

    @property
    def name(self) -> str:
        """Path of its record in the folder of runs, without suffix."""
        return f"{self.experiment}/{self.kind}-{self.number:02d}"


@dataclass(frozen=True)
class Splits:
    """The three splits of a data set; the test split is used by runs of kind "seed" only."""

    train: Dataset
    validation: Dataset
    test: Dataset

    @classmethod
    def of(cls, data: Dataset) -> "Splits":
        """Return the splits of a data set.

        Raises:
            SplitError: a split is empty.
        """
        return cls(data.split("train"), data.split("validation"), data.split("test"))


def read_record(folder: Path, task: Task) -> Record | None:
    """Return the record of a finished task; None if there is none, or it had other settings."""
    try:
        record: dict[str, Any] = parse_json((folder / f"{task.name}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(record, dict) and record.get("method") == describe(task.method)
    return record if same else None


def run_task(task: Task, splits: Splits, folder: Path, *, watch_test: bool) -> Record:
    """Run a task, write its record, and return it.

    A training that was killed resumes from its checkpoint, with the same result; its total time is
    not known then, and not recorded.

    Args:
        task: the run to do.
        splits: of the data.
        folder: of all runs.
        watch_test: also record the best test mAP of any epoch, or trial inside the method.

    Raises:
        CommonspaceError: the method does not support the data. A training that diverges is a
            result, recorded like any other.
        OutputError: the record cannot be written.
    """
    path = folder / f"{task.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    record = None if watch_test else _evaluate_trial(task, splits.test, path)
    if record is None:
        record = _run(task, splits, path, watch_test)
    if task.kind == "seed" and task.number == 0:
        _remove_spaces(path.parent)
    with replace_file(path, overwrite=True) as draft:
        draft.write_text(json.dumps(record, ensure_ascii=False) + "\n", "utf-8")
    if (space := path.with_suffix(SPACE)).exists():
        _remove_spaces(path.parent, space)
    shutil.rmtree(path.with_suffix(WORK), ignore_errors=True)
    return record


def _run(task: Task, splits: Splits, path: Path, watch_test: bool) -> dict[str, Any]:
    """Fit and evaluate a method, and keep the space of the best trial so far beside the record."""
    scratch, kept = path.with_suffix(WORK), path.with_suffix(SPACE)
    stop = TrialStop(task.rivals) if task.kind == "trial" else None
    watcher = _BestOnTest(splits.test) if watch_test and task.kind == "seed" else None
    record: dict[str, Any] = {"method": describe(task.method), "settings": dict(task.settings)}
    start, start_cpu = time.monotonic(), time.process_time()
    try:
        space, uninterrupted = _fit(task.method, splits, scratch, watcher, stop)
    except TrainingError as error:
        record["failed"] = f"{error.problem}: {error.found}"
    else:
        record |= {
            "seconds": time.monotonic() - start if uninterrupted else None,
            "cpu_seconds": time.process_time() - start_cpu if uninterrupted else None,
            "validation_map": evaluate(space, splits.validation).map,
            "chosen": space.provenance.get("chosen", {}),
        }
        if task.kind == "seed":
            record |= _measure(space, splits.test)
            if watcher:
                record["best_on_test"] = watcher.best
        if stop and stop.curve:
            record["curve"] = stop.curve
        if stop and stop.stopped is not None:
            record["stopped"] = stop.stopped
        elif task.keep_above is not None and record["validation_map"] > task.keep_above:
            shutil.rmtree(kept, ignore_errors=True)  # of a process that was killed
            with suppress(CommonspaceError):  # a network that cannot be saved is fitted again
                space.save(kept)
    return record


def _evaluate_trial(task: Task, test: Dataset, path: Path) -> dict[str, Any] | None:
    """Return the record of a seed from the space of the trial that it would repeat, if it is there.

    Args:
        task: the seed.
        test: the test split.
        path: of its record, beside which the trial has its own.
    """
    if task.repeats is None:
        return None
    trial = path.with_name(f"trial-{task.repeats:02d}")
    try:
        record: dict[str, Any] = parse_json(trial.with_suffix(".json").read_text("utf-8"))
        space = load(trial.with_suffix(SPACE), device=record["chosen"].get("device", "cpu"))
    except (CommonspaceError, OSError, ValueError):
        return None
    record.pop("curve", None)
    return {**record, "fit_of": trial.name, **_measure(space, test)}


def _remove_spaces(folder: Path, best: Path | None = None) -> None:
    """Remove the spaces of the trials of an experiment, except that of the best one."""
    for space in folder.glob(f"*{SPACE}"):
        if space != best:
            shutil.rmtree(space, ignore_errors=True)


def _fit(
    method: Method,
    splits: Splits,
    scratch: Path,
    watcher: "_BestOnTest | None",
    stop: TrialStop | None,
) -> tuple[CommonSpace, bool]:
    """Return the space, and whether it was fitted without interruption."""
    if watcher:  # its figures would not be in a checkpoint
        shutil.rmtree(scratch, ignore_errors=True)
        return method.fit(splits.train, splits.validation, RunConfig(callbacks=(watcher,))), True
    if scratch.exists():
        with suppress(SpaceError):  # no checkpoint yet, or one of another version
            run = RunConfig(checkpoint=scratch, resume=True, stop=stop)
            return method.fit(splits.train, splits.validation, run), False
        shutil.rmtree(scratch, ignore_errors=True)
    run = RunConfig(checkpoint=scratch, stop=stop)
    return method.fit(splits.train, splits.validation, run), True


def _measure(space: CommonSpace, test: Dataset) -> dict[str, Any]:
    precisions = average_precisions(space, test)
    record: dict[str, Any] = {
        "map": {name: mean_over_queries(values) for name, values in precisions.items()},
        "average_precision": {
            name: [None if math.isnan(value) else round(value, 7) for value in values.tolist()]
            for name, values in precisions.items()
        },
        "dimension": space.dimension,
        "bytes": getattr(space.network, "bytes_per_item", space.dimension * FLOAT),
    }
    if all(len(values) == len(test) for values in precisions.values()):
        by_class = [mean_by_class(values, test.labels) for values in precisions.values()]
        record["class_map"] = {
            name: float(np.mean(values))
            for column, name in enumerate(test.class_names)
            if (values := [means[column] for means in by_class if column in means])
        }
    return record


class _BestOnTest(Callback):
    """Records the best test mAP of all epochs, which published code reports."""

    def __init__(self, test: Dataset) -> None:
        self._test = test
        self._score: ValidationScore | None = None
        self.best: float | None = None  # the method may have neither epochs nor trials

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """Evaluate the network on the test split."""
        assert isinstance(network, nn.Module)
        if self._score is None:
            inputs = {
                name: Vectors(column.size)
                for name, column in self._test.columns.items()
                if isinstance(column, Features)
            }
            device = next(network.parameters(), torch.empty(0)).device
            self._score = ValidationScore(Samples(self._test, inputs, device))
        self.best = max(self.best or 0.0, self._score(network))

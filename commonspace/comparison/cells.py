"""One cell of a comparison: a method is fitted, measured, and its record kept in a file.

A trial is measured on validation alone. A cell of the table is measured on the test part, once,
when nothing is left to choose. Neither knows of the other rows.
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
from commonspace.comparison.rows import described
from commonspace.data import Dataset, Features
from commonspace.encoders import Vectors
from commonspace.errors import SpaceError, TrainingError
from commonspace.evaluation import mean_over_queries
from commonspace.evaluation.protocol import average_precisions, evaluate
from commonspace.methods import Method
from commonspace.space import CommonSpace
from commonspace.training import EpochRecord, Run, Samples, ValidationScore

__all__ = ["Parts", "Record", "Task", "read_record", "run_task"]

Record = Mapping[str, Any]
"""What is kept of a cell, as JSON has it."""


@dataclass(frozen=True)
class Task:
    """One thing to do.

    Args:
        row: whose.
        kind: "trial" for a setting that is tried, "seed" for a cell of the table.
        number: of the trial, or the seed.
        method: with everything set.
        settings: what of it was searched, for the record.
    """

    row: str
    kind: Literal["trial", "seed"]
    number: int
    method: Method
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its place in the folder of cells."""
        return f"{self.row}/{self.kind}-{self.number:02d}"


@dataclass(frozen=True)
class Parts:
    """The three parts of a data set; the test part is touched by cells of the table alone."""

    train: Dataset
    validation: Dataset
    test: Dataset


def read_record(folder: Path, task: Task) -> Record | None:
    """Return the record of a task that was done, None where it was not, or with other settings."""
    try:
        record: dict[str, Any] = json.loads((folder / f"{task.name}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(record, dict) and record.get("method") == described(task.method)
    return record if same else None


def run_task(task: Task, parts: Parts, folder: Path, *, watch_test: bool) -> Record:
    """Do a task, keep its record, and return it.

    A training that was killed goes on from its checkpoint, to the same result; how long it took in
    all is not known then, and not told.

    Args:
        task: what to do.
        parts: of the data.
        folder: of all cells.
        watch_test: whether to note, beside the honest figure, the best one that any epoch or
            trial inside the method reaches on the test part.

    Raises:
        CommonspaceError: the method cannot take the data. A training that diverges is a result,
            kept like any other.
        OutputError: the record cannot be written.
    """
    place = folder / f"{task.name}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    scratch = place.with_suffix(".work")
    watcher = _BestOnTest(parts.test) if watch_test and task.kind == "seed" else None
    record: dict[str, Any] = {"method": described(task.method), "settings": dict(task.settings)}
    begun, begun_cpu = time.monotonic(), time.process_time()
    try:
        space, whole = _fitted(task.method, parts, scratch, watcher)
    except TrainingError as error:
        record["failed"] = f"{error.problem}: {error.found}"
    else:
        record |= {
            "seconds": time.monotonic() - begun if whole else None,
            "cpu_seconds": time.process_time() - begun_cpu if whole else None,
            "validation_map": evaluate(space, parts.validation)["average"]["map"],
            "chosen": space.provenance.get("chosen", {}),
        }
        if task.kind == "seed":
            record |= _measured(space, parts.test)
            if watcher:
                record["best_on_test"] = watcher.best
    with replace_file(place, overwrite=True) as draft:
        draft.write_text(json.dumps(record, ensure_ascii=False) + "\n", "utf-8")
    shutil.rmtree(scratch, ignore_errors=True)
    return record


def _fitted(
    method: Method, parts: Parts, scratch: Path, watcher: "_BestOnTest | None"
) -> tuple[CommonSpace, bool]:
    """Return the space, and whether all of the fit was done here and now."""
    if watcher:  # what it saw would not be in a checkpoint
        shutil.rmtree(scratch, ignore_errors=True)
        return method.fit(parts.train, parts.validation, Run(observers=(watcher,))), True
    if scratch.exists():
        with suppress(SpaceError):  # no checkpoint yet, or one of another version
            run = Run(scratch, resume=True, observers=())
            return method.fit(parts.train, parts.validation, run), False
        shutil.rmtree(scratch, ignore_errors=True)
    return method.fit(parts.train, parts.validation, Run(scratch, observers=())), True


def _measured(space: CommonSpace, test: Dataset) -> dict[str, Any]:
    precisions = average_precisions(space, test)
    return {
        "map": {name: mean_over_queries(values) for name, values in precisions.items()},
        "average_precision": {
            name: [None if math.isnan(one) else round(one, 7) for one in values.tolist()]
            for name, values in precisions.items()
        },
        "dimension": space.dimension,
        "bytes": space.dimension * np.dtype(np.float32).itemsize,
    }


class _BestOnTest:
    """Notes what choosing on the test part would have given, as published code does."""

    def __init__(self, test: Dataset) -> None:
        self._test = test
        self._score: ValidationScore | None = None
        self.best: float | None = None  # the method may have neither epochs nor trials

    def started(self, epochs: int, steps: int, history: tuple[EpochRecord, ...]) -> None:
        """Do nothing at the start."""

    def stepped(self) -> None:
        """Do nothing at a step."""

    def epoch_ended(self, record: EpochRecord, network: nn.Module) -> None:
        """Measure the network as it is."""
        if self._score is None:
            inputs = {
                name: Vectors(column.size)
                for name, column in self._test.columns.items()
                if isinstance(column, Features)
            }
            device = next(network.parameters(), torch.empty(0)).device
            self._score = ValidationScore(Samples(self._test, inputs, device))
        self.best = max(self.best or 0.0, self._score(network))

    def ended(self) -> None:
        """Do nothing at the end."""

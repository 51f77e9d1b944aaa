"""The whole grid: every row is tuned, then fitted and measured for every seed, cell by cell.

What is done is kept in the folder of the grid, so that the same call after a kill does the rest. It
knows nothing of tables.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from commonspace.atomic import replace_file
from commonspace.comparison.cells import Parts, Record, Task
from commonspace.comparison.plan import Plan, plans_of
from commonspace.comparison.rows import Budget, Row
from commonspace.comparison.workers import Answer, Held, submit, workers
from commonspace.data import Dataset
from commonspace.errors import DataError, OutputError, SettingError, TrainingError

__all__ = ["Grid", "GridWatcher", "Outcome", "read_grid", "run_grid"]

CELLS, RECORD, LOCK = "cells", "grid.json", ".lock"


@dataclass(frozen=True)
class Grid:
    """What is compared, and how.

    Args:
        data: with a train, a validation and a test split.
        rows: the methods.
        folder: where the cells are kept; a new one, or that of the same grid.
        seeds: cells of each row that draws random numbers: the seeds 0, 1, ...
        budget: what each method may spend.
        protocol: "validation" chooses everything on validation; "as-published" notes besides what
            the best epoch on the test part would have given.
        jobs: processes.
        threads: of torch in each process; 0 leaves them as they are.

    Raises:
        SettingError: a number is below 1, there is no row, or two share a name.
        DataError: the protocol is "as-published" and the data are raw.
    """

    data: Dataset
    rows: tuple[Row, ...]
    folder: Path
    seeds: int = 10
    budget: Budget = field(default_factory=Budget)
    protocol: Literal["validation", "as-published"] = "validation"
    jobs: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be run, before any time is spent."""
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        for wrong, expected, found in (
            (self.seeds < 1, "at least one seed", str(self.seeds)),
            (self.jobs < 1, "at least one job", str(self.jobs)),
            (not self.rows, "at least one method", "none"),
            (
                bool(twice),
                "each name once; a method in a file is called by its class in small letters",
                f"{', '.join(twice)} more than once",
            ),
        ):
            if wrong:
                raise SettingError(
                    "this comparison cannot be run",
                    expected=expected,
                    found=found,
                    advice="see commonspace compare --help",
                )
        raw = [name for name, one in self.data.columns.items() if one.kind != "features"]
        if raw and self.protocol == "as-published":
            raise DataError(
                "the best epoch on test can be told for features alone",
                expected="feature columns",
                found=f"raw {' and '.join(raw)}",
                advice="name encoders with --image and --text, or extract the features first",
            )


class GridWatcher(Protocol):
    """Somebody who watches a grid: a progress bar, a log."""

    def started(self, cells: int, done: int) -> None:
        """Hear how many cells there are, and how many were done before."""

    def running(self, tasks: tuple[str, ...]) -> None:
        """Hear what is being done now."""

    def finished(self, task: str, record: Record | None) -> None:
        """Hear that a cell is done, or that it failed."""

    def dropped(self, row: str, cells: int, reason: str) -> None:
        """Hear that a row cannot be had, so that its cells will not come."""

    def ended(self) -> None:
        """Hear that it is over, well or not."""


@dataclass(frozen=True)
class Outcome:
    """What a grid gave, or what there is of it so far."""

    cells: Mapping[str, Mapping[int, Record]]
    """Row -> seed -> record."""
    settings: Mapping[str, Mapping[str, Any]]
    """Row -> what was chosen for it."""
    trials: Mapping[str, int]
    """Row -> how many trials were made for it."""
    failed: Mapping[str, str]
    """Row -> why it has no cells, or which of its cells failed and why."""


def run_grid(grid: Grid, watcher: GridWatcher | None = None) -> Outcome:
    """Do what is still to be done, and return everything.

    Raises:
        SplitError: a split is empty.
        SettingError: the folder holds another grid.
        OutputError: another process works on this grid, or something cannot be written.
        TrainingError: a worker was killed, as when memory ran out.
        KeyboardInterrupt: somebody asked to stop; what is done is kept.
    """
    parts = Parts(*(grid.data.split(name) for name in ("train", "validation", "test")))
    with _claimed(grid.folder):
        _begin(grid, parts)
        cells = grid.folder / CELLS
        plans = plans_of(grid.rows, grid.budget, grid.seeds, cells)
        files = tuple(dict.fromkeys(row.file for row in grid.rows if row.file))
        held = Held(parts, cells, grid.protocol == "as-published", grid.threads, files)
        todo = sum(plan.left for plan in plans)
        if watcher:
            watcher.started(sum(plan.total for plan in plans), sum(plan.done for plan in plans))
        try:
            if todo:
                with workers(held, min(grid.jobs, todo)) as pool:
                    _work(plans, cells, pool, min(grid.jobs, todo), watcher)
        finally:
            if watcher:
                watcher.ended()
    return _outcome(plans)


def read_grid(grid: Grid) -> Outcome:
    """Return what there is of a grid, without doing anything; another process may work on it.

    Raises:
        SplitError: a split is empty.
        SettingError: the folder holds another grid, or none.
    """
    parts = Parts(*(grid.data.split(name) for name in ("train", "validation", "test")))
    _check_same(grid, parts)
    return _outcome(plans_of(grid.rows, grid.budget, grid.seeds, grid.folder / CELLS))


def _work(
    plans: list[Plan],
    cells: Path,
    pool: ProcessPoolExecutor,
    jobs: int,
    watcher: GridWatcher | None,
) -> None:
    busy: dict[Future[Answer], tuple[Plan, Task]] = {}
    while True:
        for plan in plans:
            while len(busy) < jobs and (task := plan.take()):
                busy[submit(pool, task)] = (plan, task)
        if not busy:
            break
        if watcher:
            watcher.running(tuple(task.name for _, task in busy.values()))
        ready, _ = wait(busy, return_when=FIRST_COMPLETED)
        for future in ready:
            plan, task = busy.pop(future)
            refused, lost = plan.refused, plan.left
            given = _given(future, task)
            if given.traceback:
                given = replace(given, problem=_kept(given, cells / plan.row.name))
            plan.put(task, given)
            if watcher and not refused:  # else its cells were dropped before
                watcher.finished(task.name, given.record)
                if plan.refused:
                    watcher.dropped(plan.row.name, lost - 1, plan.refused)
    for plan in plans:
        if lost := plan.left:  # nothing can be begun any more: its settings will never come
            plan.refuse(f"it takes the settings of {plan.row.tuned_as}, which has none")
            if watcher:
                watcher.dropped(plan.row.name, lost, plan.refused)


def _kept(answer: Answer, folder: Path) -> str:
    """Write the traceback into a file, and return the problem with its place."""
    place = folder / "error.txt"
    folder.mkdir(exist_ok=True)
    with replace_file(place, overwrite=True) as draft:
        draft.write_text(answer.traceback, "utf-8")
    return f"{answer.problem} (see {place})"


def _given(future: "Future[Answer]", task: Task) -> Answer:
    try:
        return future.result()
    except BrokenProcessPool as exc:
        raise TrainingError(
            "a process of the comparison ended unexpectedly",
            expected=f"an answer for {task.name}, or another cell in work",
            found=str(exc),
            advice="it may have run out of memory: the same command with fewer --jobs goes on",
        ) from exc


def _outcome(plans: list[Plan]) -> Outcome:
    return Outcome(
        cells={plan.row.name: dict(sorted(plan.cells.items())) for plan in plans},
        settings={plan.row.name: plan.tuning.best for plan in plans},
        trials={plan.row.name: plan.tuning.tried for plan in plans},
        failed={plan.row.name: plan.failure for plan in plans if plan.failure},
    )


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Keep the folder for this process."""
    try:
        (folder / CELLS).mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK).open("w")
    except OSError as exc:
        raise OutputError(
            f"{folder} could not be made",
            expected="a folder for the comparison",
            found=exc.strerror or str(exc),
            advice="choose another place",
        ) from exc
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise OutputError(
                f"{folder} is in use",
                expected="one comparison at a time in a folder",
                found="another process that works on it",
                advice="wait for it, or choose another place",
            ) from exc
        yield


def _begin(grid: Grid, parts: Parts) -> None:
    """Note what is compared in a new folder; refuse to mix it with anything else."""
    place = grid.folder / RECORD
    if not place.exists() and not any((grid.folder / CELLS).iterdir()):
        with replace_file(place) as draft:
            draft.write_text(json.dumps(_facts(grid, parts), indent=2) + "\n", "utf-8")
    _check_same(grid, parts)


def _check_same(grid: Grid, parts: Parts) -> None:
    """Refuse to mix cells of different data, budgets or protocols in one folder."""
    try:
        known = json.loads((grid.folder / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        known = None
    if not isinstance(known, dict):
        raise SettingError(
            f"{grid.folder} does not say what was compared in it",
            expected=f"a readable {RECORD}, as a comparison writes it",
            found="none, or a damaged one",
            advice="take a new folder: cells of unknown data are not taken over",
        )
    other = [name for name, value in _facts(grid, parts).items() if known.get(name) != value]
    if other:
        raise SettingError(
            f"{grid.folder} holds another comparison",
            expected="the same data, budget and protocol as before",
            found=f"another {' and '.join(other)}",
            advice="give the options of before, or choose another --out; methods, seeds and jobs"
            " may change",
        )


def _facts(grid: Grid, parts: Parts) -> dict[str, Any]:
    return {
        "data": {name: part.fingerprint for name, part in vars(parts).items()},
        "budget": asdict(grid.budget),
        "protocol": grid.protocol,
    }

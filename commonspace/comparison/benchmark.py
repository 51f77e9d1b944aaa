"""Benchmark: every experiment is tuned, then run for every seed.

Finished runs are kept in a folder: after an interruption the same call does the remaining ones.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from commonspace.atomic import replace_file, write_error
from commonspace.callbacks import Callback, Callbacks
from commonspace.comparison.experiments import Experiment, TuningBudget
from commonspace.comparison.runs import Record, Splits, Task
from commonspace.comparison.schedule import Schedule, make_schedules
from commonspace.comparison.workers import Answer, Context, Pool, start_pool
from commonspace.data import Dataset
from commonspace.errors import DataError, OutputError, SettingError, TrainingError
from commonspace.json_text import parse_json

__all__ = ["Benchmark", "BenchmarkResult", "Protocol", "read_benchmark", "run_benchmark"]

RUNS, RECORD, LOCK = "runs", "benchmark.json", ".lock"

Protocol = Literal["validation", "as-published"]
"""What chooses the epoch: "validation", or the test split as well, as published code does."""


@dataclass(frozen=True)
class Benchmark:
    """What is compared, and how.

    Args:
        data: with a train, a validation and a test split.
        experiments: the methods.
        folder: of the runs; a new one, or that of the same benchmark.
        seeds: number of runs of each method that has a seed: the seeds 0, 1, ...
        budget: tuning and training budget of each method.
        protocol: "validation" chooses everything on validation; "as-published" also records the
            best test mAP of any epoch.
        jobs: number of processes; 0 runs everything in this process.
        threads: number of torch threads in each process; 0 leaves it unchanged.

    Raises:
        SettingError: a number is out of range, there is no experiment, or two share a name.
        DataError: the protocol is "as-published" and the data are raw.
    """

    data: Dataset
    experiments: tuple[Experiment, ...]
    folder: Path
    seeds: int = 10
    budget: TuningBudget = field(default_factory=TuningBudget)
    protocol: Protocol = "validation"
    jobs: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        names = [experiment.name for experiment in self.experiments]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        for invalid, problem, expected, found in (
            (self.seeds < 1, "`seeds` must be >= 1", "at least one seed", str(self.seeds)),
            (self.jobs < 0, "`jobs` must be >= 0", "0 or more processes", str(self.jobs)),
            (not names, "there is no method to compare", "at least one method", "none"),
            (
                bool(duplicates),
                "two methods have the same name",
                "each name once; a method in a file has the name of its class in lower case",
                f"{', '.join(duplicates)} more than once",
            ),
        ):
            if invalid:
                raise SettingError(
                    problem, expected=expected, found=found, advice="see commonspace compare --help"
                )
        raw = [name for name, column in self.data.columns.items() if column.kind != "features"]
        if raw and self.protocol == "as-published":
            raise DataError(
                "the protocol as-published supports features only",
                expected="feature columns",
                found=f"raw {' and '.join(raw)}",
                advice="name encoders with --image and --text, or extract the features first",
            )


@dataclass(frozen=True)
class BenchmarkResult:
    """The records of a benchmark, complete or as far as it is done."""

    runs: Mapping[str, Mapping[int, Record]]
    """Experiment -> seed -> record."""
    settings: Mapping[str, Mapping[str, Any]]
    """Experiment -> tuned settings."""
    trials: Mapping[str, int]
    """Experiment -> number of tuning trials."""
    failed: Mapping[str, str]
    """Experiment -> why it has no runs, or which of its runs failed and why."""


def run_benchmark(benchmark: Benchmark, callbacks: Sequence[Callback] = ()) -> BenchmarkResult:
    """Do the remaining runs, and return the records of all.

    Args:
        benchmark: what is compared.
        callbacks: receive one task, "runs", with a step and a message for each run.

    Raises:
        SplitError: a split is empty.
        DataError: the validation or the test split has no labels.
        SettingError: the folder holds another benchmark.
        OutputError: another process uses the folder, or a file cannot be written.
        TrainingError: a worker was killed, for example because memory ran out.
        KeyboardInterrupt: interrupted by the user; finished runs are kept.
    """
    splits = Splits.of(benchmark.data)
    _check_labels(splits)
    report = Callbacks(callbacks)
    with _lock(benchmark.folder):
        benchmark = _start(benchmark, splits)
        runs = benchmark.folder / RUNS
        schedules = make_schedules(benchmark.experiments, benchmark.budget, benchmark.seeds, runs)
        experiments = benchmark.experiments
        files = tuple(dict.fromkeys(one.file for one in experiments if one.file))
        watch_test = benchmark.protocol == "as-published"
        context = Context(splits, runs, watch_test, benchmark.threads, files)
        left = sum(schedule.left for schedule in schedules)
        total = sum(schedule.total for schedule in schedules)
        with report.task("runs", total=total, done=total - left):
            if left:
                with start_pool(context, min(benchmark.jobs, left)) as pool:
                    _work(schedules, runs, pool, max(1, min(benchmark.jobs, left)), report)
    return _collect(schedules)


def read_benchmark(benchmark: Benchmark) -> BenchmarkResult:
    """Return the records of a benchmark without running anything; another process may run it.

    Raises:
        SplitError: a split is empty.
        SettingError: the folder holds another benchmark, or none.
    """
    benchmark = _check_same(benchmark, Splits.of(benchmark.data))
    runs = benchmark.folder / RUNS
    return _collect(make_schedules(benchmark.experiments, benchmark.budget, benchmark.seeds, runs))


def _check_labels(splits: Splits) -> None:
    for name, part in (("validation", splits.validation), ("test", splits.test)):
        if not part.labels.any():
            raise DataError(
                f"methods are compared by the mAP of classes, and the {name} split of"
                f" {part.name!r} has no labels",
                expected="labeled samples in the validation and the test split",
                found=f"{len(part)} samples without a label",
                advice="label them; or train methods that need no labels, such as infonce, and"
                " compare the R@K that commonspace evaluate prints",
            )


def _work(schedules: list[Schedule], runs: Path, pool: Pool, jobs: int, report: Callbacks) -> None:
    busy: dict[Future[Answer], tuple[Schedule, Task]] = {}
    while True:
        for schedule in schedules:
            while len(busy) < jobs and (task := schedule.take()):
                busy[pool.submit(task)] = (schedule, task)
        if not busy:
            break
        report.on_status(", ".join(task.name for _, task in busy.values()))
        ready, _ = wait(busy, return_when=FIRST_COMPLETED)
        for future in ready:
            schedule, task = busy.pop(future)
            dropped, left = schedule.refusal, schedule.left
            answer = _answer(future, task)
            if answer.traceback:
                answer = replace(answer, problem=_write_traceback(answer, runs, schedule))
            schedule.put(task, answer)
            if dropped:  # its remaining runs were reported before
                continue
            report.on_advance()
            if answer.record is not None:
                report.on_message(f"{task.name}  {_result(answer.record)}")
            if schedule.refusal:
                _drop(schedule, left - 1, report)
    for schedule in schedules:
        if left := schedule.left:  # it waits for settings that will never be tuned
            schedule.refuse(f"it uses the settings of {schedule.experiment.tuned_as}, which failed")
            _drop(schedule, left, report)


def _drop(schedule: Schedule, runs: int, report: Callbacks) -> None:
    """Report that the remaining runs of an experiment are not done."""
    if runs:
        report.on_advance(runs)
    report.on_message(f"without {schedule.experiment.name}: {schedule.refusal}")


def _result(record: Record) -> str:
    if "failed" in record:
        failed: str = record["failed"]
        return failed
    stopped = f", stopped after epoch {record['stopped']}" if "stopped" in record else ""
    return f"validation mAP {record['validation_map']:.3f}{stopped}"


def _write_traceback(answer: Answer, runs: Path, schedule: Schedule) -> str:
    """Write the traceback into a file, and return the problem with its path."""
    folder = runs / schedule.experiment.name
    folder.mkdir(exist_ok=True)
    with replace_file(folder / "error.txt", overwrite=True) as draft:
        draft.write_text(answer.traceback, "utf-8")
    return f"{answer.problem} (see {folder / 'error.txt'})"


def _answer(future: "Future[Answer]", task: Task) -> Answer:
    try:
        return future.result()
    except BrokenProcessPool as exc:
        raise TrainingError(
            "a process of the comparison ended unexpectedly",
            expected=f"a result of {task.name}, or of another run in progress",
            found=str(exc),
            advice="it may have run out of memory: continue with the same command and fewer --jobs",
        ) from exc


def _collect(schedules: list[Schedule]) -> BenchmarkResult:
    return BenchmarkResult(
        runs={one.experiment.name: dict(sorted(one.runs.items())) for one in schedules},
        settings={one.experiment.name: one.tuning.best for one in schedules},
        trials={one.experiment.name: one.tuning.finished_trials for one in schedules},
        failed={one.experiment.name: one.failure for one in schedules if one.failure},
    )


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Reserve the folder for this process."""
    try:
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK).open("w")
    except OSError as exc:
        raise write_error(folder, exc) from exc
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise OutputError(
                f"{folder} is in use",
                expected="one comparison at a time in a folder",
                found="another process that uses it",
                advice="wait for it, or choose another folder",
            ) from exc
        yield


def _start(benchmark: Benchmark, splits: Splits) -> Benchmark:
    """Record in a new folder what is compared; see ``_check_same`` for one with runs."""
    path = benchmark.folder / RECORD
    if not path.exists() and not any((benchmark.folder / RUNS).iterdir()):
        with replace_file(path) as draft:
            draft.write_text(json.dumps(_identity(benchmark, splits), indent=2) + "\n", "utf-8")
    return _check_same(benchmark, splits)


def _check_same(benchmark: Benchmark, splits: Splits) -> Benchmark:
    """Refuse to mix runs of different data, budgets or protocols in one folder.

    Returns:
        The benchmark; with full trials if the folder was started before trials were stopped.
    """
    try:
        recorded = parse_json((benchmark.folder / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        recorded = None
    if not isinstance(recorded, dict):
        raise SettingError(
            f"{benchmark.folder} has no record of what was compared in it",
            expected=f"a readable {RECORD}, as a comparison writes it",
            found="none, or a damaged one",
            advice="choose a new folder: runs of unknown data are not reused",
        )
    budget = recorded.get("budget")
    if isinstance(budget, dict) and "full_trials" not in budget:
        budget["full_trials"] = True
        benchmark = replace(benchmark, budget=replace(benchmark.budget, full_trials=True))
    identity = _identity(benchmark, splits)
    changed = [name for name, value in identity.items() if recorded.get(name) != value]
    if changed:
        raise SettingError(
            f"{benchmark.folder} holds another comparison",
            expected="the same data, budget and protocol as before",
            found=", ".join(_change(name, recorded.get(name), identity[name]) for name in changed),
            advice="use the options of before, or choose another --out; methods, seeds and jobs"
            " may change",
        )
    return benchmark


def _change(name: str, before: object, now: object) -> str:
    """Return what differs in one part of the record."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return f"{name} {now!r} in place of {before!r}"
    keys = [key for key in now if before.get(key) != now[key]]
    if name == "data":
        return f"other samples in {', '.join(keys)}"
    return ", ".join(f"{key} {now[key]} in place of {before.get(key)}" for key in keys)


def _identity(benchmark: Benchmark, splits: Splits) -> dict[str, Any]:
    return {
        "data": {name: part.fingerprint for name, part in vars(splits).items()},
        "budget": asdict(benchmark.budget),
        "protocol": benchmark.protocol,
    }

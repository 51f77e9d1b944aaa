"""Schedule of an experiment: its tuning trials one after the other, then its seeds."""

from collections.abc import Sequence
from pathlib import Path

from commonspace.comparison.experiments import Experiment, TuningBudget
from commonspace.comparison.runs import Record, Task, read_record
from commonspace.comparison.tuning import Tuning
from commonspace.comparison.workers import Answer

__all__ = ["Schedule", "make_schedules"]


class Schedule:
    """The tasks of one experiment; the benchmark takes tasks from it and puts answers back.

    Args:
        experiment: the experiment.
        tuning: its tuning, or that of the experiment whose settings it uses.
        tunes: whether it does the trials of ``tuning``.
        budget: of each fit.
        seeds: number of seeds.
        folder: of all runs; finished ones are not repeated.
    """

    def __init__(
        self,
        experiment: Experiment,
        tuning: Tuning,
        tunes: bool,
        budget: TuningBudget,
        seeds: int,
        folder: Path,
    ) -> None:
        self.experiment, self.tuning = experiment, tuning
        self.runs: dict[int, Record] = {}
        self.refusal = self.failure = ""
        self._tunes, self._budget, self._folder = tunes, budget, folder
        self._waiting = list(range(seeds if experiment.seeded else 1))
        self._busy: set[str] = set()
        self._failed = 0
        self._read_seeds = False
        self.total = len(self._waiting) + (tuning.trials if tunes else 0)
        self.read_finished()

    @property
    def left(self) -> int:
        """Number of tasks that are not finished."""
        if self.refusal:
            return 0
        trials = self.tuning.trials - self.tuning.finished_trials if self._tunes else 0
        seeds = self.total - (self.tuning.trials if self._tunes else 0)
        return trials + seeds - len(self.runs) - self._failed

    def read_finished(self) -> None:
        """Read the records that are in the folder already."""
        while self._tunes and not self.tuning.finished:
            task = self.tuning.next()
            record = read_record(self._folder, task)
            if record is None:
                return
            self.tuning.put(task, record)
        if self.tuning.finished and not self._read_seeds:
            self._read_seeds = True
            for seed in list(self._waiting):
                record = read_record(self._folder, self._seed_task(seed))
                if record is not None:
                    self._keep(seed, record)
                    self._waiting.remove(seed)

    def take(self) -> Task | None:
        """Return a task that can start now, if there is one."""
        if self.refusal:
            return None
        if not self.tuning.finished:
            task = self.tuning.next() if self._tunes and not self._busy else None
        else:
            self.read_finished()
            task = self._seed_task(self._waiting.pop(0)) if self._waiting else None
        if task:
            self._busy.add(task.name)
        return task

    def put(self, task: Task, answer: Answer) -> None:
        """Store the answer of a task; one without a record ends the experiment."""
        self._busy.discard(task.name)
        if answer.record is None:
            self.refuse(answer.problem)
        elif task.kind == "trial":
            self.tuning.put(task, answer.record)
        else:
            self._keep(task.number, answer.record)

    def refuse(self, reason: str) -> None:
        """Give the experiment up."""
        self.refusal = self.failure = reason

    def _keep(self, seed: int, record: Record) -> None:
        if "failed" in record:
            self._failed += 1
            self.failure = f"seed {seed}: {record['failed']}"
        else:
            self.runs[seed] = record

    def _seed_task(self, seed: int) -> Task:
        settings = self.tuning.best
        method = self.experiment.configure(settings, seed, self._budget)
        repeats = self.tuning.repeated(method) if self._tunes else None
        return Task(self.experiment.name, "seed", seed, method, settings, repeats=repeats)


def make_schedules(
    experiments: Sequence[Experiment], budget: TuningBudget, seeds: int, folder: Path
) -> list[Schedule]:
    """Return a schedule for each experiment; those that are tuned as another share its trials.

    Where that other experiment is not compared itself, the first that names it does its trials.

    Args:
        experiments: in the order of the table.
        budget: of each fit.
        seeds: number of seeds.
        folder: of all runs.
    """
    tunings: dict[str, Tuning] = {}
    schedules = []
    for experiment in sorted(experiments, key=lambda one: one.tuned_as is not None):
        shared = experiment.tuned_as or experiment.name
        tunes = shared not in tunings
        tuning = tunings.setdefault(shared, Tuning(experiment, budget))
        schedules.append(Schedule(experiment, tuning, tunes, budget, seeds, folder))
    order = {experiment.name: place for place, experiment in enumerate(experiments)}
    return sorted(schedules, key=lambda schedule: order[schedule.experiment.name])

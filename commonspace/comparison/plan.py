"""What is to be done for one row, in which order: its trials one by one, then its seeds.

It starts nothing; the grid takes tasks from it and puts the answers back.
"""

from collections.abc import Sequence
from pathlib import Path

from commonspace.comparison.cells import Record, Task, read_record
from commonspace.comparison.rows import Budget, Row
from commonspace.comparison.tuning import Tuning
from commonspace.comparison.workers import Answer

__all__ = ["Plan", "plans_of"]


class Plan:
    """The tasks of one row.

    Args:
        row: whose.
        tuning: of this row, or of the one whose settings it takes over.
        tunes: whether the trials are this row's own to do.
        budget: of each fit.
        seeds: how many cells.
        folder: of all cells; those that are done are not done again.
    """

    def __init__(
        self, row: Row, tuning: Tuning, tunes: bool, budget: Budget, seeds: int, folder: Path
    ) -> None:
        """Find what is done."""
        self.row, self.tuning = row, tuning
        self.cells: dict[int, Record] = {}
        self.refused = self.failure = ""
        self._tunes, self._budget, self._folder = tunes, budget, folder
        self._waiting = list(range(seeds if row.seeded else 1))
        self._busy: set[str] = set()
        self._failed = 0
        self._looked = False
        self.total = len(self._waiting) + (tuning.trials if tunes else 0)
        self.look()

    @property
    def done(self) -> int:
        """How many of its tasks are behind it."""
        return self.total - self.left

    @property
    def left(self) -> int:
        """How many of its tasks may still come."""
        if self.refused:
            return 0
        trials = self.tuning.trials - self.tuning.tried if self._tunes else 0
        cells = self.total - (self.tuning.trials if self._tunes else 0)
        return trials + cells - len(self.cells) - self._failed

    def look(self) -> None:
        """Take over what the folder holds already."""
        while self._tunes and not self.tuning.finished:
            task = self.tuning.next()
            record = read_record(self._folder, task)
            if record is None:
                return
            self.tuning.tell(task, record)
        if self.tuning.finished and not self._looked:
            self._looked = True
            for seed in list(self._waiting):
                record = read_record(self._folder, self._cell(seed))
                if record is not None:
                    self._keep(seed, record)
                    self._waiting.remove(seed)

    def take(self) -> Task | None:
        """Return a task that can be begun now, if there is one."""
        if self.refused:
            return None
        if not self.tuning.finished:
            task = self.tuning.next() if self._tunes and not self._busy else None
        else:
            self.look()
            task = self._cell(self._waiting.pop(0)) if self._waiting else None
        if task:
            self._busy.add(task.name)
        return task

    def put(self, task: Task, answer: Answer) -> None:
        """Take what came of a task; what refuses the data refuses the row."""
        self._busy.discard(task.name)
        if answer.record is None:
            self.refuse(answer.problem)
        elif task.kind == "trial":
            self.tuning.tell(task, answer.record)
        else:
            self._keep(task.number, answer.record)

    def refuse(self, reason: str) -> None:
        """Give the row up."""
        self.refused = self.failure = reason

    def _keep(self, seed: int, record: Record) -> None:
        if "failed" in record:
            self._failed += 1
            self.failure = f"seed {seed}: {record['failed']}"
        else:
            self.cells[seed] = record

    def _cell(self, seed: int) -> Task:
        settings = self.tuning.best
        method = self.row.settled(settings, seed, self._budget)
        return Task(self.row.name, "seed", seed, method, settings)


def plans_of(rows: Sequence[Row], budget: Budget, seeds: int, folder: Path) -> list[Plan]:
    """Return a plan for each row; rows that are tuned as another share its trials.

    Where that other row is not compared itself, the first that names it makes its trials.

    Args:
        rows: in the order of the table.
        budget: of each fit.
        seeds: cells of each row.
        folder: of all cells.
    """
    tunings: dict[str, Tuning] = {}
    plans = []
    for row in sorted(rows, key=lambda one: one.tuned_as is not None):
        shared = row.tuned_as or row.name
        tunes = shared not in tunings
        tuning = tunings.setdefault(shared, Tuning(row, budget))
        plans.append(Plan(row, tuning, tunes, budget, seeds, folder))
    order = {row.name: place for place, row in enumerate(rows)}
    return sorted(plans, key=lambda plan: order[plan.row.name])

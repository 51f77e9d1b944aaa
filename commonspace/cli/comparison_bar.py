"""A progress bar for a comparison: cells done, what is in work, and the time that is left."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["ComparisonBar"]

AN_HOUR = 3600.0


class ComparisonBar:
    """Shows a comparison on standard error: live in a terminal, a line for each cell elsewhere."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._total = self._done = 0

    def started(self, cells: int, done: int) -> None:
        """Draw the bar."""
        self._total, self._done = cells, done
        self._progress = Progress(
            TextColumn("cell {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[running]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
            speed_estimate_period=AN_HOUR,  # cells are few and of very different length
        )
        self._task = self._progress.add_task("", total=cells, completed=done, running="")
        self._progress.start()
        if done:
            self._say(f"{done} of {cells} cells were done before")

    def running(self, tasks: tuple[str, ...]) -> None:
        """Show what is being done."""
        if self._progress:
            self._progress.update(self._task, running=", ".join(tasks))

    def finished(self, task: str, record: Mapping[str, Any] | None) -> None:
        """Advance by a cell."""
        self._done += 1
        if self._progress:
            self._progress.advance(self._task)
        if record is None or self._console.is_terminal:
            return
        figure = record.get("validation_map")
        result = record.get("failed") or f"validation mAP {figure:.3f}"
        self._say(f"cell {self._done}/{self._total}  {task}  {result}")

    def dropped(self, row: str, cells: int, reason: str) -> None:
        """Do without the cells of a row."""
        self._total -= cells
        if self._progress:
            self._progress.update(self._task, total=self._total)
        self._say(f"without {row}: {reason}")

    def ended(self) -> None:
        """Take the bar away."""
        if self._progress:
            self._progress.stop()
            self._progress = None

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

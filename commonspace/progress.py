"""Progress bar for the terminal; a line for every tenth part where there is no terminal."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from commonspace.callbacks import Callback, EpochRecord, best_epoch

__all__ = ["ProgressBar"]

SPEED_WINDOW = 3600.0
"""Seconds over which the speed is estimated: steps can be few and of very different length."""

EPOCH_TASKS = ("training", "fitting")
"""Tasks that write a line at the end of an epoch, with its figures, rather than at a step."""


QUIET_SECONDS = 5.0
"""Without a terminal, a task other than training writes no line before it has run this long."""


class ProgressBar(Callback):
    """Shows a task on standard error: steps done, time left, and the figures of the last epoch.

    In a terminal it is a live bar, removed at the end. Elsewhere, such as in a log file, it writes
    one line for every tenth of the steps of a long task or of the epochs, and every message.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._id = TaskID(0)
        self._task = ""
        self._total: int | None = None
        self._done = self._before = self._written = 0
        self._start = 0.0
        self._epochs: tuple[EpochRecord, ...] = ()

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        """Draw the bar."""
        self._task, self._total, self._done, self._before = task, total, done, done
        self._written = 0
        self._start = time.monotonic()
        self._epochs = tuple(history)
        self._progress = Progress(
            TextColumn(
                "{task.description} {task.completed:.0f}" + f"/{total}" * (total is not None)
            ),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[status]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
            speed_estimate_period=SPEED_WINDOW,
        )
        self._id = self._progress.add_task(task, total=total, completed=done, status="")
        self._progress.start()
        if done:
            self.on_message(f"{task}: {done} of {total} were done before")

    def on_advance(self, steps: int = 1) -> None:
        """Move the bar on."""
        self._done += steps
        if self._progress:
            self._progress.advance(self._id, steps)
        if self._total and not self._console.is_terminal and self._task not in EPOCH_TASKS:
            tenth = 10 * self._done // self._total
            if tenth > self._written and time.monotonic() - self._start >= QUIET_SECONDS:
                self._written = tenth
                self._print(f"{self._task} {self._done}/{self._total}{self._time_left()}")

    def on_status(self, text: str) -> None:
        """Show what is being done."""
        if self._progress:
            self._progress.update(self._id, status=text)

    def on_message(self, text: str) -> None:
        """Print a line above the bar."""
        self._print(text)

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """Show the figures of the epoch, and the best epoch so far."""
        self._epochs += (record,)
        best = best_epoch(self._epochs)
        losses = "".join(f"{name} {value:.4f}  " for name, value in record.losses.items())
        figures = f"{losses}validation {record.metric} {record.validation_score:.3f}" + (
            " (the last epoch is kept)"
            if record.keeps_last
            else f" (best {best.validation_score:.3f}, epoch {best.epoch})"
        )
        epochs = record.epoch
        if self._done and self._total:
            epochs = round(self._total / self._done * record.epoch)
        text = f"epoch {record.epoch}/{epochs}  {figures}"
        self.on_status(text)
        if not self._console.is_terminal and self._total:
            tenth = 10 * self._done // self._total
            if tenth > self._written:
                self._written = tenth
                left = record.seconds / record.epoch * (epochs - record.epoch)
                self._print(f"{text}  {left:.0f} s left")

    def on_end(self) -> None:
        """Remove the bar."""
        if self._progress:
            self._progress.stop()
            self._progress = None

    def _time_left(self) -> str:
        new = self._done - self._before
        if not new or self._total is None:
            return ""
        left = (time.monotonic() - self._start) / new * (self._total - self._done)
        return f"  {left:.0f} s left"

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

"""Progress bars for the terminal: losses, validation mAP, and the time that is left."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import nn

from commonspace.training.history import EpochRecord, best_epoch

__all__ = ["PreparationBar", "ProgressBar"]


class PreparationBar:
    """Shows on standard error, in a terminal alone, what is done before the first epoch."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def started(self, what: str, steps: int) -> None:
        """Draw the bar of one part."""
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description} {task.completed}/{task.total}"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task(what, total=steps)
        self._progress.start()

    def advanced(self) -> None:
        """Move on by a step."""
        if self._progress:
            self._progress.advance(self._task)

    def ended(self) -> None:
        """Take the bar away."""
        if self._progress:
            self._progress.stop()
            self._progress = None


class ProgressBar:
    """Shows a training on standard error while it runs.

    In a terminal it is a live bar; elsewhere, such as in a log file, a line for every tenth part.
    """

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._history: tuple[EpochRecord, ...] = ()
        self._epochs = 0
        self._live = False

    def started(self, epochs: int, steps: int, history: tuple[EpochRecord, ...]) -> None:
        """Draw the bar, at the place where a resumed training goes on."""
        console = Console(stderr=True)
        self._history, self._epochs, self._live = history, epochs, console.is_terminal
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            disable=not self._live,
            transient=True,
        )
        self._task = self._progress.add_task(
            "training",
            total=epochs * steps,
            completed=len(history) * steps,
            epoch=len(history) + 1,
            figures="",
        )
        self._progress.start()

    def stepped(self) -> None:
        """Advance by one step."""
        if self._progress:
            self._progress.advance(self._task)

    def epoch_ended(self, record: EpochRecord, network: nn.Module) -> None:
        """Show the figures of the epoch."""
        self._history += (record,)
        best = best_epoch(self._history)
        losses = "  ".join(f"{name} {value:.4f}" for name, value in record.losses.items())
        figures = (
            f"{losses}  validation mAP {record.validation_map:.3f}"
            f" (best {best.validation_map:.3f}, epoch {best.epoch})"
        )
        if self._live and self._progress:
            self._progress.update(
                self._task, epoch=min(record.epoch + 1, self._epochs), figures=figures
            )
        elif self._progress and record.epoch % max(1, self._epochs // 10) == 0:
            left = record.seconds / record.epoch * (self._epochs - record.epoch)
            self._progress.console.print(
                f"epoch {record.epoch}/{self._epochs}  {figures}  {left:.0f} s left",
                soft_wrap=True,
                highlight=False,
            )

    def ended(self) -> None:
        """Take the bar away."""
        if self._progress:
            self._progress.stop()
            self._progress = None

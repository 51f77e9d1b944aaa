"""A progress bar for an extraction: how many items, how many a second, how long still."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["ExtractionBar"]


class ExtractionBar:
    """Shows an extraction on standard error: live in a terminal, a line at the end elsewhere."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._modality = ""
        self._items = self._cached = self._done = 0
        self._begun = 0.0

    def started(self, modality: str, items: int, done: int) -> None:
        """Draw the bar of one modality."""
        self._modality, self._items, self._cached, self._done = modality, items, done, 0
        self._begun = time.monotonic()
        self._progress = Progress(
            TextColumn(f"{modality} {{task.completed}}/{items}"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[rate]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task(modality, total=items, completed=done, rate="")
        self._progress.start()

    def advanced(self, items: int) -> None:
        """Move on."""
        self._done += items
        if self._progress:
            self._progress.update(self._task, advance=items, rate=self._rate())

    def ended(self) -> None:
        """Take the bar away, and say what was done."""
        if self._progress is None:
            return
        self._progress.stop()
        self._progress = None
        rate = f", {self._rate()}" if self._done else ""
        cached = f", {self._cached} from the cache" if self._cached else ""
        self._console.print(
            f"{self._modality}: {self._cached + self._done} of {self._items} distinct items"
            f"{cached}{rate}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._begun, 1e-9)
        return f"{self._done / seconds:.1f} a second"

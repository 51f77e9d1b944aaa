"""A progress bar for putting items into an index: how many are kept for good."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["index_bar"]


@contextmanager
def index_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Lend what shows progress on standard error, in a terminal alone.

    Args:
        what: is counted.

    Yields:
        To be called with (how many are kept, how many there are).
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn(f"{what} {{task.completed}}/{{task.total}}"),
        BarColumn(bar_width=24),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

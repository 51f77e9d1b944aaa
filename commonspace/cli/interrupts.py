"""SIGTERM as Ctrl-C: whoever asks a training to end gets the same tidy end.

It knows nothing of what is interrupted.
"""

import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

__all__ = ["INTERRUPTED", "same_command_goes_on", "sigterm_interrupts"]

INTERRUPTED = 130
"""The exit code of a command that was asked to end."""


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block when the process gets SIGTERM.

    Outside the main thread, where Python takes no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def same_command_goes_on(kept: str) -> Iterator[None]:
    """On Ctrl-C or SIGTERM in the block, say what was kept and that the same command goes on.

    Args:
        kept: what was, and where.
    """
    with sigterm_interrupts():
        try:
            yield
        except KeyboardInterrupt as exc:
            again = shlex.join(["commonspace", *sys.argv[1:]])
            typer.echo(f"stopped; {kept}\ngo on with: {again}", err=True)
            raise typer.Exit(INTERRUPTED) from exc


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

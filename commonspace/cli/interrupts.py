"""Handling of Ctrl-C and SIGTERM in commands that take long."""

import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

__all__ = ["INTERRUPTED", "resumable", "sigterm_interrupts"]

INTERRUPTED = 130
"""Exit code of an interrupted command."""


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block when the process receives SIGTERM.

    Has no effect outside the main thread, where Python handles no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def resumable(saved: str) -> Iterator[None]:
    """Print what was saved and the command that continues, if the block is interrupted.

    Args:
        saved: What is saved, and where, as a clause: "finished runs are in tables/all".

    Raises:
        typer.Exit: With code 130, on Ctrl-C or SIGTERM.
    """
    with sigterm_interrupts():
        try:
            yield
        except KeyboardInterrupt as exc:
            command = shlex.join(["commonspace", *sys.argv[1:]])
            typer.echo(f"stopped; {saved}\ncontinue with: {command}", err=True)
            raise typer.Exit(INTERRUPTED) from exc


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

"""Processes that do the tasks of a grid: each holds the data once, and none outlives its parent.

It knows nothing of which tasks there are.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import torch

from commonspace.comparison.cells import Parts, Record, Task, run_task
from commonspace.comparison.user_methods import load_file
from commonspace.errors import CommonspaceError

__all__ = ["Answer", "Held", "answer", "workers"]


@dataclass(frozen=True)
class Held:
    """What every worker holds.

    Args:
        parts: of the data.
        folder: of the cells.
        watch_test: whether to note the best on test too.
        threads: of torch in each worker; 0 leaves them as they are.
        files: with methods of somebody else.
    """

    parts: Parts
    folder: Path
    watch_test: bool
    threads: int
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came of a task: its record, or why there is none."""

    record: Record | None = None
    problem: str = ""
    """What the method says that it cannot do, or the traceback of an error that nobody meant."""


@contextmanager
def workers(held: Held, count: int) -> Iterator[ProcessPoolExecutor]:
    """Lend processes that ``answer`` can be submitted to; at the end they are stopped at once.

    Args:
        held: what each of them holds.
        count: how many.
    """
    pool = ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),  # torch's threads do not survive a fork
        initializer=_begin,
        initargs=(held.files, held.threads, pickle.dumps(held)),
    )
    others = set(multiprocessing.active_children())
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
            process.join()


_HELD: list[Held] = []


def answer(task: bytes) -> Answer:
    """Do a pickled task in a worker."""
    held = _HELD[0]
    try:
        one: Task = pickle.loads(task)
        return Answer(run_task(one, held.parts, held.folder, watch_test=held.watch_test))
    except CommonspaceError as error:
        return Answer(problem=f"{error.problem}: expected {error.expected}, found {error.found}")
    except Exception:
        return Answer(problem=traceback.format_exc())


def _begin(files: tuple[Path, ...], threads: int, held: bytes) -> None:
    """Get ready; the files come first, since the tasks name classes that are in them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if threads:
        torch.set_num_threads(threads)
    for file in files:
        load_file(file)
    _HELD[:] = [pickle.loads(held)]


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

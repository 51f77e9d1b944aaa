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
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import torch

from commonspace.comparison.cells import Parts, Record, Task, run_task
from commonspace.comparison.method_file import MethodFile
from commonspace.errors import CommonspaceError

__all__ = ["Answer", "Held", "submit", "workers"]

PATIENCE = 5.0
"""Seconds that a worker has to end before it is killed."""


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
    files: tuple[MethodFile, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came of a task: its record, or why there is none."""

    record: Record | None = None
    problem: str = ""
    """What the method says that it cannot do, or the last line of the traceback."""
    traceback: str = ""
    """Of an error that nobody meant, for who wrote the method."""


@contextmanager
def workers(held: Held, count: int) -> Iterator[ProcessPoolExecutor]:
    """Lend processes for ``submit``; at the end they are stopped at once.

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
            process.join(PATIENCE)
            process.kill()  # what a method may have made deaf
            process.join()


def submit(pool: ProcessPoolExecutor, task: Task) -> Future[Answer]:
    """Give a worker a task.

    A worker may be started for it. Until that one is ready to be deaf to Ctrl-C, which is for the
    parent alone, the signal is held back from it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(_answer, pickle.dumps(task))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_HELD: list[Held] = []


def _answer(task: bytes) -> Answer:
    """Do a pickled task in a worker."""
    held = _HELD[0]
    try:
        one: Task = pickle.loads(task)
        return Answer(run_task(one, held.parts, held.folder, watch_test=held.watch_test))
    except CommonspaceError as error:
        return Answer(problem=f"{error.problem}: expected {error.expected}, found {error.found}")
    except (Exception, SystemExit) as error:
        last = traceback.format_exception_only(error)[-1].strip()
        return Answer(problem=last, traceback=traceback.format_exc())


def _begin(files: tuple[MethodFile, ...], threads: int, held: bytes) -> None:
    """Get ready; the files come first, since the tasks name classes that are in them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.dup2(2, 1)  # what a method prints does not belong among the results
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if threads:
        torch.set_num_threads(threads)
    for file in files:
        file.load()
    _HELD[:] = [pickle.loads(held)]


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

"""Worker processes of a benchmark: each holds the data once and ends with its parent."""

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
from typing import Protocol

import torch

from commonspace.comparison.method_file import MethodFile
from commonspace.comparison.runs import Record, Splits, Task, run_task
from commonspace.errors import CommonspaceError

__all__ = ["Answer", "Context", "Pool", "start_pool"]

PATIENCE = 5.0
"""Seconds that a worker has to end before it is killed."""


@dataclass(frozen=True)
class Context:
    """What every worker holds.

    Args:
        splits: of the data.
        folder: of the runs.
        watch_test: whether to record the best test mAP too.
        threads: number of torch threads in each worker; 0 leaves it unchanged.
        files: files of user-defined methods.
    """

    splits: Splits
    folder: Path
    watch_test: bool
    threads: int
    files: tuple[MethodFile, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The result of a task: its record, or why there is none."""

    record: Record | None = None
    problem: str = ""
    """Message of an error of the library, or the last line of the traceback."""
    traceback: str = ""
    """Traceback of an unexpected error."""


class Pool(Protocol):
    """Runs tasks."""

    def submit(self, task: Task) -> Future[Answer]:
        """Start a task."""


@contextmanager
def start_pool(context: Context, count: int) -> Iterator[Pool]:
    """Start worker processes; at the end of the block they are stopped at once.

    Args:
        context: what each of them holds.
        count: number of processes; 0 runs the tasks in this process.
    """
    if count == 0:
        yield _InProcess(context)
        return
    executor = ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),  # torch's threads do not survive a fork
        initializer=_initialize,
        initargs=(context.files, context.threads, pickle.dumps(context)),
    )
    others = set(multiprocessing.active_children())
    try:
        yield _Processes(executor)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
            process.join(PATIENCE)
            process.kill()  # a method may ignore the signal
            process.join()


class _Processes:
    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def submit(self, task: Task) -> Future[Answer]:
        """Start a task in a worker.

        A worker may be started for it. SIGINT, which is for the parent alone, is blocked in the
        worker until it ignores the signal.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._executor.submit(_run_pickled, pickle.dumps(task))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _InProcess:
    def __init__(self, context: Context) -> None:
        self._context = context

    def submit(self, task: Task) -> Future[Answer]:
        """Run a task to its end."""
        future: Future[Answer] = Future()
        threads = torch.get_num_threads()
        try:
            if self._context.threads:
                torch.set_num_threads(self._context.threads)
            future.set_result(_run(task, self._context))
        finally:
            torch.set_num_threads(threads)
        return future


_CONTEXT: list[Context] = []


def _run(task: Task, context: Context) -> Answer:
    try:
        return Answer(run_task(task, context.splits, context.folder, watch_test=context.watch_test))
    except CommonspaceError as error:
        return Answer(problem=f"{error.problem}: expected {error.expected}, found {error.found}")
    except (Exception, SystemExit) as error:
        last = traceback.format_exception_only(error)[-1].strip()
        return Answer(problem=last, traceback=traceback.format_exc())


def _run_pickled(pickled: bytes) -> Answer:
    """Run a pickled task in a worker."""
    try:
        task: Task = pickle.loads(pickled)
    except Exception as error:  # a class that the worker cannot import
        last = traceback.format_exception_only(error)[-1].strip()
        return Answer(problem=last, traceback=traceback.format_exc())
    return _run(task, _CONTEXT[0])


def _initialize(files: tuple[MethodFile, ...], threads: int, context: bytes) -> None:
    """Prepare a worker; the files come first, since the tasks name classes in them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.dup2(2, 1)  # what a method prints must not mix with the results
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if threads:
        torch.set_num_threads(threads)
    for file in files:
        file.load()
    _CONTEXT[:] = [pickle.loads(context)]


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

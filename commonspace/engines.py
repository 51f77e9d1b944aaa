"""Engines: where the parts of a large task run. This process, local processes, or a Ray cluster.

The work is one picklable function of a part. An engine holds it once in each worker and returns the
results in the order of the parts. A worker that is lost loses no part: Ray runs it again elsewhere.
"""

import logging
import multiprocessing
import os
import pickle
import secrets
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, Protocol, TypeVar

from commonspace.errors import CommonspaceError, DataError, invalid_setting
from commonspace.extras import optional

__all__ = ["Engine", "InProcess", "LocalProcesses", "RayCluster"]

P = TypeVar("P")
T = TypeVar("T")

LOG = logging.getLogger("commonspace.engines")
SILENCE = 120.0
"""Seconds without a result of Ray after which the wait is reported, again and again."""


class Engine(Protocol):
    """Runs the parts of a task."""

    def map(self, work: Callable[[P], T], parts: Sequence[P]) -> Iterator[T]:
        """Yield the result of each part, in order.

        Args:
            work: picklable; it is sent to each worker once.
            parts: picklable.

        Raises:
            CommonspaceError: raised by the work, or because a worker ended.
        """

    @property
    def workers(self) -> int:
        """Number of parts that run at a time, as far as it is known before."""


class InProcess:
    """Runs the parts one after the other in this process."""

    workers = 1

    def map(self, work: Callable[[P], T], parts: Sequence[P]) -> Iterator[T]:
        """Yield the result of each part, in order; see ``Engine``.

        Args:
            work: a function of one part.
            parts: its arguments.
        """
        return map(work, parts)


class LocalProcesses:
    """Runs the parts in processes of this machine, which end with this one.

    Args:
        count: number of processes.

    Raises:
        SettingError: the number is less than 1.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise invalid_setting("processes", count, ">= 1")
        self.workers = count

    def map(self, work: Callable[[P], T], parts: Sequence[P]) -> Iterator[T]:
        """Yield the result of each part, in order; see ``Engine``.

        Args:
            work: a function of one part.
            parts: its arguments.
        """
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        executor = ProcessPoolExecutor(
            min(self.workers, max(1, len(parts))),
            mp_context=multiprocessing.get_context("spawn"),  # threads do not survive a fork
            initializer=_initialize,
            initargs=(max(1, (cores or 1) // self.workers), _pickled(work)),
        )
        others = set(multiprocessing.active_children())
        waiting: deque[Future[Any]] = deque()
        try:
            for part in parts:
                if len(waiting) >= 2 * self.workers:
                    yield _value(waiting.popleft().result())
                with _interrupts_blocked():
                    waiting.append(executor.submit(_run_here, part))
            while waiting:
                yield _value(waiting.popleft().result())
        except BrokenProcessPool as exc:
            raise DataError(
                "a worker process ended before its part was done",
                expected="a result of each part",
                found=str(exc),
                advice="give it more memory, or use fewer processes",
            ) from exc
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
                process.join()


class RayCluster:
    """Runs the parts as tasks of Ray, each on one CPU or GPU.

    Ray runs a part again if its worker or its node is lost. Without an address, and without a
    cluster that this process has joined, Ray starts on this machine and leaves one core free.

    Args:
        address: of a cluster, such as "auto" or "10.0.0.1:6379"; None: this machine.
        gpu: whether each part needs a GPU.

    Raises:
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, address: str | None = None, *, gpu: bool = False) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray = optional("ray", "the engine ray", "ray")
        self._address, self._gpu = address, gpu
        self.workers = max(1, (os.cpu_count() or 1) - 1)

    def map(self, work: Callable[[P], T], parts: Sequence[P]) -> Iterator[T]:
        """Yield the result of each part, in order; see ``Engine``.

        Args:
            work: a function of one part.
            parts: its arguments.
        """
        ray = self._ray
        started = not ray.is_initialized()
        if started:
            self._connect()
        try:
            key = "GPU" if self._gpu else "CPU"
            self.workers = max(1, int(ray.cluster_resources().get(key, 1)))
            kept = [ray.put(_pickled(work))]  # in a list, Ray hands over the reference
            name = secrets.token_hex(8)
            task = ray.remote(_run_on_ray).options(
                num_cpus=1, num_gpus=int(self._gpu), max_retries=-1, scheduling_strategy="SPREAD"
            )
            waiting: deque[Any] = deque()
            for part in parts:
                if len(waiting) >= 2 * self.workers:
                    yield _value(self._wait(waiting.popleft()))
                waiting.append(task.remote(name, kept, part))
            while waiting:
                yield _value(self._wait(waiting.popleft()))
        except ray.exceptions.RayError as exc:
            raise DataError(
                "a part did not end on Ray",
                expected="a result of each part",
                found=(str(exc).strip().splitlines() or [type(exc).__name__])[-1],
                advice="look at the log of Ray; every node needs this version of commonspace and"
                " the same paths",
            ) from exc
        finally:
            if started:
                ray.shutdown()

    def _wait(self, result: Any) -> Any:  # noqa: ANN401 - a reference of Ray, and what it means
        """Return a result, and report every now and then that it is not there yet.

        Ray repeats a part without end if its worker runs out of memory, without a message.
        """
        waited = 0.0
        while not self._ray.wait([result], timeout=SILENCE)[0]:
            waited += SILENCE
            LOG.warning(
                "no result from Ray for %.0f s. A part may be slow, wait for a free CPU or GPU, or"
                " be repeated because its worker ran out of memory: see `ray status` and the log of"
                " Ray",
                waited,
            )
        return self._ray.get(result)

    def _connect(self) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if self._address is None:
            options |= {"num_cpus": self.workers, "include_dashboard": False}
            if sys.platform == "linux":  # Ray would replace 127.0.0.1 by an address of the network
                options["_node_ip_address"] = "127.0.0.2"
        try:
            self._ray.init(address=self._address or "local", **options)
        except Exception as exc:  # of several kinds
            raise DataError(
                f"the Ray cluster {self._address or 'of this machine'} cannot be joined",
                expected="a running cluster: ray start --head",
                found=(str(exc).strip().splitlines() or [type(exc).__name__])[0],
                advice="check the address, and that Python and Ray have the versions of the"
                " cluster",
            ) from exc


_WORK: dict[str, Callable[[Any], Any]] = {}


def _run_here(part: Any) -> Any:  # noqa: ANN401 - any part and any result
    """Run a part in a local process."""
    return _outcome(_WORK[""], part)


def _run_on_ray(name: str, kept: list[Any], part: Any) -> Any:  # noqa: ANN401
    """Run a part in a worker of Ray, which keeps the work for the next parts."""
    import ray

    if name not in _WORK:
        _WORK.clear()
        _WORK[name] = pickle.loads(ray.get(kept[0]))
    return _outcome(_WORK[name], part)


def _pickled(work: Callable[[Any], Any]) -> bytes:
    try:
        return pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as exc:
        raise DataError(
            "this work cannot be sent to other processes",
            expected="encoders and functions of modules that can be imported",
            found=str(exc),
            advice="run it in this process: --engine local",
        ) from exc


def _outcome(work: Callable[[Any], Any], part: Any) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401
    """Return the result, or the content of an error of this package."""
    try:
        return work(part), ()
    except CommonspaceError as error:
        kind = type(error)
        return None, (kind, error.problem, error.expected, error.found, error.advice)


def _value(outcome: tuple[Any, tuple[Any, ...]]) -> Any:  # noqa: ANN401
    value, error = outcome
    if error:
        kind, problem, expected, found, advice = error
        raise kind(problem, expected=expected, found=found, advice=advice)
    return value


def _initialize(threads: int, work: bytes) -> None:
    """Prepare a local process; the number of threads must be set before NumPy is imported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_die_with_parent, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    _WORK[""] = pickle.loads(work)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep SIGINT, which is for the parent alone, from a process that is being started."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

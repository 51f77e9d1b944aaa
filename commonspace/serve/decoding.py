"""Decoding of uploaded photos in worker processes with limits of time and memory."""

import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from commonspace.allocator import trim_memory
from commonspace.serve.decode_worker import IDLE_SECONDS, REPLY, REQUEST
from commonspace.serve.errors import RequestError, busy

__all__ = ["QUERY_SIDE", "STORED_SIDE", "DecodePool"]

QUERY_SIDE = 800
"""Longest side in pixels to which the photo of a query is scaled down; encoders read less."""
STORED_SIDE = 1600
"""Longest side in pixels of a photo that is stored in the index."""

WALL_FACTOR = 3
"""A worker is killed after this many times its processor time: then the machine is overloaded."""
ABANDONED = 1.0
"""Seconds that a decoding may go on whose client has gone."""


class DecodePool:
    """Worker processes that decode photos; a worker that reaches a limit is replaced.

    The C library keeps the memory of photos that have gone, since the blocks of many threads lie
    between each other. Server and workers return it to the system after a moment without photos.

    Args:
        workers: number of processes.
        max_photos: photos that may be waiting or decoded at a time, and queries with them.
        max_pixels: pixels that may be decoded.
        seconds: processor time of one photo.
        memory: address space of a worker in bytes.
    """

    def __init__(
        self, *, workers: int, max_photos: int, max_pixels: int, seconds: int, memory: int
    ) -> None:
        self._max_photos, self._max_pixels, self._seconds = max_photos, max_pixels, seconds
        self._photos = 0
        self._trimming: asyncio.TimerHandle | None = None
        self._workers = [_Worker(memory) for _ in range(workers)]
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._slots = asyncio.Semaphore(workers)

    def start(self) -> None:
        """Start the processes, so that the first photo does not wait for them."""
        for worker in self._workers:
            worker.start()

    def close(self) -> None:
        """Kill the processes and drop what they do."""
        if self._trimming is not None:
            self._trimming.cancel()
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a photo upload for the block, from its first byte to the answer.

        Raises:
            RequestError: 503, too many are in progress.
        """
        if self._photos >= self._max_photos:
            raise busy("too many photos are being processed", 2)
        self._photos += 1
        try:
            yield
        finally:
            self._photos -= 1
            if not self._photos:
                self._trim_when_idle()

    def _trim_when_idle(self) -> None:
        """Return the memory of photos to the system, unless another one comes within a moment."""
        if self._trimming is not None:
            self._trimming.cancel()

        def trim() -> None:
            self._trimming = None
            if not self._photos:
                with suppress(RuntimeError):  # closed meanwhile
                    self._threads.submit(trim_memory)

        self._trimming = asyncio.get_running_loop().call_later(IDLE_SECONDS, trim)

    async def decode(
        self, read: Callable[[], Awaitable[bytes]], side: int = QUERY_SIDE
    ) -> NDArray[np.uint8]:
        """Return (h, w, 3) uint8 RGB of an image file.

        When the task is cancelled, a waiting photo is dropped and a running worker is given
        little time.

        Args:
            read: returns the file; called when a worker is free, so that waiting uploads stay on
                disk.
            side: longest side of the result in pixels.

        Raises:
            RequestError: 415 or 413 if the photo cannot be used; 503 if the machine is overloaded.
        """
        await self._slots.acquire()
        try:
            data = await read()
            job = _Job(data, side, self._max_pixels, self._seconds)
            work = asyncio.get_running_loop().run_in_executor(self._threads, self._run, job)
        except BaseException:
            self._slots.release()
            raise
        work.add_done_callback(lambda _: self._slots.release())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            job.abandon()
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    def _run(self, job: "_Job") -> NDArray[np.uint8]:
        worker = self._idle.get()
        try:
            return worker.decode(job)
        finally:
            self._idle.put(worker)


class _Job:
    """One photo to decode."""

    def __init__(self, data: bytes, side: int, max_pixels: int, seconds: int) -> None:
        self.data = data
        self.head = REQUEST.pack(side, max_pixels, seconds, len(data))
        self.seconds = seconds
        self.abandoned = False
        self.overdue = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def abandon(self) -> None:
        """Let the worker end soon."""
        self.abandoned = True
        _start_timer(ABANDONED, self.stop)

    def run_in(self, process: subprocess.Popen[bytes] | None) -> None:
        """Remember the process that decodes the photo; None once it has ended."""
        with self._lock:
            self._process = process

    def stop(self) -> None:
        """Kill the process that decodes the photo, if it still does."""
        with self._lock:
            if self._process is not None:
                self.overdue = True
                self._process.kill()


class _Worker:
    """One process, used by one thread at a time."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def start(self) -> subprocess.Popen[bytes]:
        """Return the process, started if it does not run."""
        with self._lock:
            if self._closed:
                raise busy("the service is stopping", 5)
            if self._process is None or self._process.poll() is not None:
                self._release()
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "commonspace.serve.decode_worker", str(self._memory)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=_environment(),
                )
            return self._process

    def close(self) -> None:
        """Kill the process for good."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._release()

    def decode(self, job: _Job) -> NDArray[np.uint8]:
        """Return the pixels of a photo."""
        if job.abandoned:
            raise busy("the client has gone")
        process = self.start()
        job.run_in(process)
        timer = _start_timer(WALL_FACTOR * job.seconds, job.stop)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(job.head)
            process.stdin.write(job.data)
            process.stdin.flush()
            reply, pixels = _read_reply(process.stdout)
        except (OSError, EOFError, ValueError) as exc:
            raise self._death(process, job) from exc
        finally:
            job.run_in(None)
            timer.cancel()
        if "status" in reply:
            raise RequestError(**reply)
        return np.frombuffer(pixels, np.uint8).reshape(reply["shape"])

    def _death(self, process: subprocess.Popen[bytes], job: _Job) -> RequestError:
        """Return the error for a process that ended while it worked."""
        process.kill()
        code = process.wait()
        if self._closed:
            return busy("the service is stopping", 5)
        if job.overdue:
            return busy("decoding the image was not finished in time", 2)
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return RequestError(
                413,
                "decoding the image takes too long",
                code="image_too_large",
                expected=f"at most {job.seconds} seconds of processor time",
                advice="send a smaller one",
            )
        return RequestError(
            415,
            "the file is not an image that can be read",
            code="image_unreadable",
            found=f"{len(job.data):,} bytes that start with {job.data[:8]!r}",
            advice="convert it to JPEG or PNG",
        )

    def _release(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()


def _start_timer(seconds: float, work: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
    return timer


def _read_reply(pipe: BinaryIO | Any) -> tuple[dict[str, Any], bytes]:  # noqa: ANN401 - IO[bytes]
    head = _read(pipe, REPLY.size)
    length, size = REPLY.unpack(head)
    return json.loads(_read(pipe, length)), _read(pipe, size)


def _read(pipe: BinaryIO | Any, size: int) -> bytes:  # noqa: ANN401
    data: bytes = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _environment() -> dict[str, str]:
    """Return the environment of a worker: the same package, and no threads that reserve memory."""
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}

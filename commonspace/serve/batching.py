"""Queries that come at the same time share one forward pass of the encoder.

A query that finds the worker idle is answered at once; those that come meanwhile gather, and are
the next batch. A batch of which a query cannot be answered is asked one by one, so that each gets
its own answer. It knows no HTTP and no index: what answers is handed in.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from commonspace.errors import CommonspaceError
from commonspace.serve.refusals import RefusedError

__all__ = ["Batcher"]

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


class Batcher(Generic[Ask, Answer]):
    """Gathers what is asked, and answers it in batches, one batch at a time.

    Args:
        answer: n things that are asked -> n answers; called in a thread of its own.
        most: how many of them, at most.
        waiting: how many may wait; further ones are refused.
        observe: hears the size of each batch.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Ask]], Sequence[Answer]],
        *,
        most: int,
        waiting: int,
        observe: Callable[[int], None],
    ) -> None:
        """Keep the parts; ``start`` begins."""
        self._answer = answer
        self._most = most
        self._observe = observe
        self._queue: asyncio.Queue[tuple[Ask, asyncio.Future[Answer]]] = asyncio.Queue(waiting)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to answer, on the running loop."""
        self._task = asyncio.create_task(self._serve())

    async def stop(self) -> None:
        """Answer what is waiting, and end."""
        await self._queue.join()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._worker.shutdown()

    async def ask(self, asked: Ask, seconds: float) -> Answer:
        """Return the answer to one thing that is asked.

        Args:
            asked: what.
            seconds: how long to wait at most.

        Raises:
            RefusedError: too many are waiting, or it took too long.
            CommonspaceError: what it cannot be answered for.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((asked, future))
        except asyncio.QueueFull as exc:
            raise _busy("too many queries are waiting") from exc
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError as exc:
            raise _busy("the query was not answered in time") from exc

    async def _serve(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._most and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._answer_all([one for one in batch if not one[1].done()])
            finally:
                for _ in batch:
                    self._queue.task_done()

    async def _answer_all(self, batch: Sequence[tuple[Ask, "asyncio.Future[Answer]"]]) -> None:
        if not batch:  # all of them have gone away meanwhile
            return
        loop = asyncio.get_running_loop()
        self._observe(len(batch))
        try:
            found = await loop.run_in_executor(
                self._worker, self._answer, [asked for asked, _ in batch]
            )
        except Exception as exc:
            if len(batch) > 1 and isinstance(exc, CommonspaceError | RefusedError):
                for one in batch:
                    await self._answer_all([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), answer in zip(batch, found, strict=True):
            if not future.done():
                future.set_result(answer)


def _busy(problem: str) -> RefusedError:
    return RefusedError(503, problem, advice="try again in a moment", retry=1)

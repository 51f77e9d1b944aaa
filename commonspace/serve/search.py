"""Searches of the service, in batches: those that arrive at the same time share a forward pass.

A query that arrives while the worker is idle is answered at once; queries that arrive meanwhile
are collected for the next batch. If a batch fails, its queries are repeated one by one, so that
each gets its own result or error.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import CommonspaceError
from commonspace.retrieval import Query, SearchResult
from commonspace.serve.errors import RequestError, busy, unknown_item
from commonspace.serve.index_manager import IndexManager
from commonspace.serve.schemas import SearchRequest, SearchResponse

__all__ = ["Batcher", "SearchJob", "answer_searches", "without_photo"]

QueryT = TypeVar("QueryT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, eq=False)
class SearchJob:
    """A search request with its decoded image."""

    request: SearchRequest
    image: NDArray[np.uint8] | None
    """(h, w, 3) RGB."""
    start: float
    """When the request came, by ``time.perf_counter``."""


class Batcher(Generic[QueryT, ResultT]):
    """Collects queries and answers them in batches, one batch at a time.

    Args:
        answer: n queries -> n results; called in a thread of its own.
        batch_size: maximum number of queries in a batch.
        max_queued: maximum number of waiting queries.
        on_batch: called with the size of each batch.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[QueryT]], Sequence[ResultT]],
        *,
        batch_size: int,
        max_queued: int,
        on_batch: Callable[[int], None],
    ) -> None:
        self._answer = answer
        self._batch_size = batch_size
        self._on_batch = on_batch
        self._queue: asyncio.Queue[tuple[QueryT, asyncio.Future[ResultT]]] = asyncio.Queue(
            max_queued
        )
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start answering, on the running loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Answer the waiting queries, then stop."""
        await self._queue.join()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._worker.shutdown()

    async def submit(self, query: QueryT, seconds: float) -> ResultT:
        """Return the result of one query; one whose task is cancelled while it waits is dropped.

        Args:
            query: what ``answer`` takes.
            seconds: maximum time to wait.

        Raises:
            RequestError: 503, too many queries are waiting, or it took too long.
            CommonspaceError: The query cannot be answered.
        """
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        try:
            self._queue.put_nowait((query, future))
        except asyncio.QueueFull as exc:
            raise busy("too many queries are waiting") from exc
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError as exc:
            raise busy("the query was not answered in time") from exc

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._batch_size and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._answer_batch([entry for entry in batch if not entry[1].done()])
            finally:
                for _ in range(len(batch)):
                    self._queue.task_done()
                del batch  # not held while waiting: it has the pixels of its photos

    async def _answer_batch(
        self, batch: Sequence[tuple[QueryT, "asyncio.Future[ResultT]"]]
    ) -> None:
        if not batch:  # all clients have gone
            return
        loop = asyncio.get_running_loop()
        self._on_batch(len(batch))
        try:
            results = await loop.run_in_executor(
                self._worker, self._answer, [query for query, _ in batch]
            )
        except Exception as exc:
            if len(batch) > 1 and isinstance(exc, CommonspaceError | RequestError):
                for entry in batch:
                    await self._answer_batch([entry])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(exc)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)


def answer_searches(manager: IndexManager, jobs: Sequence[SearchJob]) -> list[SearchResponse]:
    """Return the results of each request; all texts are embedded in one pass.

    Args:
        manager: holds the index.
        jobs: n requests.

    Raises:
        SettingError: A request names a field or modality that the index does not have, or an
            option that the space does not support.
        DataError: An image or a vector cannot be used.
        RequestError: 404, a request names an unknown item.
    """
    with manager.lease() as index:
        for job in jobs:
            for id in (job.request.id, *(job.request.less_like or ())):
                if id is not None and index.item(id) is None:
                    raise unknown_item(id)
        space = index.space
        results = index.search_many([_query(job) for job in jobs])
        responses = []
        for job, found in zip(jobs, results, strict=True):
            responses.append(
                SearchResponse(
                    results=[without_photo(result) for result in found],
                    total=found.total,
                    nothing_matches=found.nothing_matches,
                    has_instance_block=space.has_instance_block,
                    calibrated=space.calibrated,
                    seconds=time.perf_counter() - job.start,
                )
            )
        return responses


def without_photo(result: SearchResult) -> SearchResult:
    """Return a result without the path of its photo."""
    return result if result.photo is None else replace(result, photo=None)


def _query(job: SearchJob) -> Query:
    request = job.request
    return Query(
        request.text,
        job.image,
        request.vector,
        request.id,
        k=request.k,
        offset=request.offset,
        modality=request.modality,
        query_modality=request.query_modality,
        where=request.where,
        instance_weight=request.instance_weight,
        min_relevance=request.min_relevance,
        keywords=request.keywords,
        text_weight=request.text_weight,
        without=request.without,
        less_like=request.less_like,
        less_like_vector=request.less_like_vector,
        diversity=request.diversity,
        max_similarity=request.max_similarity,
        group_by=request.group_by,
        sort=request.sort,
    )

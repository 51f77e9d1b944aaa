"""Dynamic batching: shared forward passes, with a result or an error for each query."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import commonspace as cs
from commonspace.errors import SettingError
from commonspace.serve import ServiceSettings, build_app
from commonspace.serve.errors import RequestError
from commonspace.serve.search import Batcher


class Asked:
    """A query that can be observed."""


def doubled(asked: Sequence[int]) -> list[int]:
    if any(one < 0 for one in asked):
        raise SettingError("below zero")
    return [2 * one for one in asked]


def batcher(
    answer: object = doubled, *, most: int = 8, waiting: int = 100
) -> tuple[Batcher[int, int], list[int]]:
    sizes: list[int] = []
    made: Batcher[int, int] = Batcher(
        answer,  # type: ignore[arg-type]
        batch_size=most,
        max_queued=waiting,
        on_batch=sizes.append,
    )
    return made, sizes


def test_queries_that_arrive_together_share_a_batch() -> None:
    async def run() -> None:
        made, sizes = batcher()
        made.start()
        found = await asyncio.gather(*(made.submit(number, 5) for number in range(20)))
        await made.stop()
        assert found == [2 * number for number in range(20)]
        assert sizes == [8, 8, 4]

    asyncio.run(run())


def test_answered_queries_are_not_held_while_the_next_ones_are_awaited() -> None:
    async def run() -> None:
        made: Batcher[Asked, int] = Batcher(
            lambda asked: [0] * len(asked), batch_size=8, max_queued=9, on_batch=lambda size: None
        )
        made.start()
        query = Asked()
        held = weakref.ref(query)
        assert await made.submit(query, 5) == 0
        del query
        await asyncio.sleep(0.05)
        gc.collect()
        assert held() is None
        await made.stop()

    asyncio.run(run())


def test_a_single_query_does_not_wait_and_later_ones_share_the_next_batch() -> None:
    async def run() -> None:
        started, gate = threading.Event(), threading.Event()

        def slow(asked: Sequence[int]) -> list[int]:
            started.set()
            assert gate.wait(5)
            return doubled(asked)

        made, sizes = batcher(slow)
        made.start()
        first = asyncio.create_task(made.submit(1, 5))
        assert await asyncio.to_thread(started.wait, 5)  # nobody else has come
        rest = [asyncio.create_task(made.submit(number, 5)) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        gate.set()
        assert [await task for task in (first, *rest)] == [2, 4, 6, 8]
        await made.stop()
        assert sizes == [1, 3]

    asyncio.run(run())


def test_an_invalid_query_does_not_affect_others() -> None:
    async def run() -> None:
        made, _ = batcher()
        made.start()
        found = await asyncio.gather(
            *(made.submit(number, 5) for number in (1, -2, 3)), return_exceptions=True
        )
        await made.stop()
        assert found[0] == 2
        assert isinstance(found[1], SettingError)
        assert found[2] == 6

    asyncio.run(run())


def test_too_many_queries_are_refused_and_waiting_ones_are_answered_at_the_end() -> None:
    async def run() -> None:
        gate = threading.Event()

        def slow(asked: Sequence[int]) -> list[int]:
            gate.wait(5)
            return doubled(asked)

        made, _ = batcher(slow, most=1, waiting=3)
        made.start()
        first = asyncio.create_task(made.submit(1, 5))
        await asyncio.sleep(0.05)  # it is being answered
        rest = [asyncio.create_task(made.submit(number, 5)) for number in (2, 3, 4)]
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError, match="too many queries are waiting") as refused:
            await made.submit(5, 5)
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        stopping = asyncio.create_task(made.stop())
        gate.set()
        await stopping
        assert [await task for task in (first, *rest)] == [2, 4, 6, 8]

    asyncio.run(run())


def test_a_query_that_waits_too_long_fails() -> None:
    async def run() -> None:
        gate = threading.Event()
        made, _ = batcher(lambda asked: [gate.wait(5) for _ in asked])
        made.start()
        with pytest.raises(RequestError, match="not answered in time"):
            await made.submit(1, 0.05)
        gate.set()
        await made.stop()

    asyncio.run(run())


def test_concurrent_queries_share_a_forward_pass(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve queries at once, some of them bad, are answered as each is alone."""
    words = ["a red wall", "some green door", "one blue wall"] * 4
    calls: list[int] = []
    embed = cs.CommonSpace.embed

    def counted(self: cs.CommonSpace, modality: str, items: object, **rest: int) -> object:
        calls.append(len(items))  # type: ignore[arg-type]
        if len(calls) == 1:
            time.sleep(0.3)  # the others gather meanwhile
        return embed(self, modality, items, **rest)

    app = build_app(index, ServiceSettings(rate=0))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:

        def ask(text: str) -> list[str]:
            said = client.post("/search", json={"text": text, "k": 5}).json()
            return [one["id"] for one in said["results"]]

        alone = [ask(text) for text in words]
        monkeypatch.setattr(cs.CommonSpace, "embed", counted)
        with ThreadPoolExecutor(12) as pool:
            together = list(pool.map(ask, words))
    assert together == alone
    assert sum(calls) == 12
    assert len(calls) <= 6

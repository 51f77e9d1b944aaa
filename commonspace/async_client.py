"""HTTP client of the search service for programs with an event loop.

from commonspace.async_client import AsyncClient

async with AsyncClient("http://127.0.0.1:8000") as shop:
red, blue = await asyncio.gather(shop.search("red"), shop.search("blue"))
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import ParamSpec, Self, TypeVar

from commonspace.client import Client
from commonspace.retrieval.items import Item

__all__ = ["AsyncClient"]

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")


class AsyncClient:
    """Client of a search service for programs with an event loop; requests run in threads.

    The methods are those of ``Client``, with the same parameters, to be awaited; ``items`` is
    iterated with ``async for``.

    Args:
        address: of the service: "http://127.0.0.1:8000".
        key: an API key, if the service requires one.
        timeout: maximum time of a response, in seconds.
        connections: maximum number of requests at a time.

    Raises:
        SettingError: If the address is not one of HTTP.

    Example:
        async with AsyncClient("http://127.0.0.1:8000") as shop:
            red, blue = await asyncio.gather(shop.search("red"), shop.search("blue"))
    """

    def __init__(
        self, address: str, *, key: str | None = None, timeout: float = 30.0, connections: int = 16
    ) -> None:
        self._client = Client(address, key=key, timeout=timeout)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="commonspace-client")
        self.search = self._in_thread(self._client.search)
        self.item = self._in_thread(self._client.item)
        self.image = self._in_thread(self._client.image)
        self.thumbnail = self._in_thread(self._client.thumbnail)
        self.embed = self._in_thread(self._client.embed)
        self.facets = self._in_thread(self._client.facets)
        self.about = self._in_thread(self._client.about)
        self.put = self._in_thread(self._client.put)
        self.put_many = self._in_thread(self._client.put_many)
        self.remove = self._in_thread(self._client.remove)
        self.judge = self._in_thread(self._client.judge)

    async def __aenter__(self) -> Self:
        """Return the client, whose threads end with the block."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """End the threads."""
        self.close()

    def close(self) -> None:
        """End the threads, without waiting for requests in progress."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def items(self, where: str | None = None, *, page: int = 100) -> AsyncIterator[Item]:
        """Yield every item that a filter accepts, as ``Client.items``.

        Args:
            where: a filter on the fields; None for all.
            page: number of items of a request, at most 1,000.

        Raises:
            ServiceError: If the filter is invalid, or the service cannot be reached.
        """
        fetch = self._in_thread(self._client.item_page)
        items, cursor = await fetch(where, page)
        while True:
            for item in items:
                yield item
            if cursor is None:
                return
            items, cursor = await fetch(where, page, cursor)

    def _in_thread(
        self, call: Callable[ParametersT, ResultT]
    ) -> Callable[ParametersT, Awaitable[ResultT]]:
        @wraps(call)
        def run(*args: ParametersT.args, **kwargs: ParametersT.kwargs) -> Awaitable[ResultT]:
            loop = asyncio.get_running_loop()
            return loop.run_in_executor(self._threads, partial(call, *args, **kwargs))

        return run

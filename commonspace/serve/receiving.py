"""Reception of request bodies within limits of size and time.

A body that is late is the fault of the client (408), or of a service that was too busy (503).
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from starlette.types import Message, Receive

from commonspace.serve.errors import RequestError, busy

__all__ = ["LoopDelay", "RequestBody", "too_large"]

LINGER_SECONDS = 3.0
"""Time for which the rest of a body is received and dropped after an error: a client that is still
sending would see a reset, not the response."""
KEPT_BYTES = 2**16
"""Length of a body up to which a connection is kept after an error."""
OWN_SHARE = 0.5
"""A late request is answered with 503 instead of 408 if the service itself, not the client, took
this part of the time."""
TICK = 0.05
"""Seconds between two measurements of the delay of the event loop."""


class LoopDelay:
    """Seconds for which the event loop was late, summed up while bodies are received."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._users = 0
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    @property
    def seconds(self) -> float:
        """The sum until now."""
        if self._handle is None:
            return self._seconds
        return self._seconds + max(0.0, asyncio.get_running_loop().time() - self._due)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Measure during the block."""
        self._users += 1
        if self._handle is None:
            self._start()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users and self._handle is not None:
                self._seconds = self.seconds
                self._handle.cancel()
                self._handle = None

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + TICK
        self._handle = loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._seconds = self.seconds
        self._start()


class RequestBody:
    """The body of a request, as an ASGI ``receive``.

    Args:
        receive: of the server.
        headers: of the request, names in lower case.
        seconds: time within which it must have arrived.
        delay: of the event loop, inside ``watch``.
    """

    def __init__(
        self, receive: Receive, headers: Mapping[str, str], seconds: float, delay: LoopDelay
    ) -> None:
        self._receive = receive
        self._seconds = seconds
        self._delay = delay
        self._start = asyncio.get_running_loop().time()
        self._waited = 0.0
        """Seconds in which the client was waited for."""
        self._size = 0
        self.max_bytes = 0
        length = headers.get("content-length", "0")
        chunked = "transfer-encoding" in headers
        self.complete = not chunked and length == "0"
        """Whether all of it has been received."""
        self.is_long = chunked or not length.isdecimal() or int(length) > KEPT_BYTES
        self.is_late = False

    async def __call__(self) -> Message:
        """Return the next part.

        Raises:
            RequestError: 413, 408 if the client was too slow, 503 if the service was.
        """
        if self.complete:  # the next message says that the client has gone
            return await self._receive()
        loop = asyncio.get_running_loop()
        start, delay = loop.time(), self._delay.seconds
        try:
            async with asyncio.timeout_at(self._start + self._seconds):
                message = await self._receive()
        except TimeoutError as exc:
            self._wait_ended(start, delay)
            raise self._late(loop.time() - self._start - self._waited) from exc
        self._wait_ended(start, delay)
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self._size > self.max_bytes:
                raise too_large(self.max_bytes)
        return message

    async def discard(self) -> None:
        """Receive the rest for a moment, and drop it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.complete:
                    message = await self._receive()
                    more = message["type"] == "http.request" and message.get("more_body", False)
                    self.complete = not more

    def _wait_ended(self, start: float, delay: float) -> None:
        waited = asyncio.get_running_loop().time() - start
        self._waited += max(0.0, waited - (self._delay.seconds - delay))

    def _late(self, own: float) -> RequestError:
        self.is_late = True
        if own >= OWN_SHARE * self._seconds:
            return busy("the service is too busy to receive the request in time", 5)
        return RequestError(
            408,
            "the request did not arrive in time",
            expected=f"the whole request within {self._seconds:g} seconds",
            advice="send less, or use a faster connection",
        )


def too_large(limit: int) -> RequestError:
    """Return the error for a body of more bytes than the limit."""
    return RequestError(
        413,
        "the request is too large",
        expected=f"at most {limit:,} bytes",
        advice="send a smaller image, or less text",
    )

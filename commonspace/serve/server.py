"""Serving an application until it is told to stop: uvicorn, with patience that ends.

It knows no index and no routes.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from commonspace.errors import SettingError

__all__ = ["PatientProtocol", "listen", "run", "server_of"]

HEADERS_WITHIN = 10.0
"""Seconds in which the head of a request must have arrived: a slow-loris sends it for ever."""
IDLE = 15
"""Seconds that a connection without a request is kept."""
CONNECTIONS = 1000
"""At a time; further ones get a 503."""


def run(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    started: Callable[[str, int], None] | None = None,
    ending: float = 30.0,
) -> None:
    """Serve until SIGINT or SIGTERM; requests that have begun are answered first.

    Args:
        app: what answers.
        host: a name or address of this machine.
        port: 0 takes a free one.
        started: hears address and port, once connections are taken.
        ending: seconds that requests may take to end after the signal.

    Raises:
        SettingError: the address cannot be taken.
        KeyboardInterrupt: after the end, where SIGINT brought it.
    """
    with listen(host, port) as taken:
        server_of(app, started=started, ending=ending).run(sockets=[taken])


def server_of(
    app: ASGIApp,
    *,
    started: Callable[[str, int], None] | None = None,
    ending: float = 30.0,
) -> uvicorn.Server:
    """Return a server that is not running yet, for those who bring a thread or loop of their own.

    Args:
        app: what answers.
        started: hears address and port, once connections are taken.
        ending: seconds that requests may take to end once ``should_exit`` is set.
    """
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would hold ids; the guard logs routes
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=max(1, round(ending)),
        limit_concurrency=CONNECTIONS,
    )
    return _Server(config, started)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections.

    Raises:
        SettingError: the address cannot be taken.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        taken = socket.create_server((host, port), family=family, backlog=2048)
        # Connections inherit it; else the end of an answer waits 40 ms for an acknowledgement.
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return taken
    except (OSError, OverflowError) as exc:
        raise SettingError(
            f"the service cannot listen on {host}:{port}",
            expected="an address of this machine, and a port that is free",
            found=getattr(exc, "strerror", None) or str(exc),
            advice="choose another one with --host and --port; --port 0 takes a free one",
        ) from exc


class PatientProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, which gives a client only so long to send the head of a request."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on while the head is not whole."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self.conn.trailing_data[0] and self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEADERS_WITHIN, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()


class _Server(uvicorn.Server):
    """Says when connections are taken."""

    def __init__(self, config: uvicorn.Config, started: Callable[[str, int], None] | None) -> None:
        super().__init__(config)
        self._hears = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._hears is not None and sockets:
            address: Any = sockets[0].getsockname()
            self._hears(address[0], address[1])

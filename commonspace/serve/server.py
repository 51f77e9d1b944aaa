"""HTTP server: uvicorn, with a limit of time for request heads and for stopping."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from commonspace.errors import SettingError

__all__ = ["TimedProtocol", "listen", "make_server", "run"]

LOG = logging.getLogger("commonspace.serve")
HEAD_SECONDS = 10.0
"""Time within which the head of a request must have arrived, against slow clients."""
IDLE_SECONDS = 15
"""Time that a connection without a request is kept."""
MAX_CONNECTIONS = 1000
"""At a time; further ones get status 503."""
STOP_SECONDS = 26.0
"""Time within which the process ends after a signal; 30 are promised, the rest is a margin."""
_RESERVE = 8.0
"""Of the time to stop, what is left for closing after the last request."""


def run(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    started: Callable[[str, int], None] | None = None,
    stop_seconds: float = STOP_SECONDS,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve until SIGINT or SIGTERM; requests in progress are answered first.

    A process that has not ended ``stop_seconds`` after the signal is ended by force.

    Args:
        app: the application.
        host: a name or address of this machine.
        port: 0 chooses a free one.
        started: called with address and port once connections are accepted.
        stop_seconds: time to stop after a signal.
        trusted_proxies: addresses or networks of proxies whose forwarding headers are used.

    Raises:
        SettingError: The address is not available.
        KeyboardInterrupt: At the end, if SIGINT stopped it.
    """
    with listen(host, port) as accepted:
        make_server(
            app,
            started=started,
            stop_seconds=stop_seconds,
            trusted_proxies=trusted_proxies,
            force=True,
        ).run(sockets=[accepted])


def make_server(
    app: ASGIApp,
    *,
    started: Callable[[str, int], None] | None = None,
    stop_seconds: float = STOP_SECONDS,
    trusted_proxies: Sequence[str] = (),
    force: bool = False,
) -> uvicorn.Server:
    """Return a server that does not run yet, for a thread or event loop of the caller.

    Args:
        app: the application.
        started: called with address and port once connections are accepted.
        stop_seconds: time to stop after a signal, or after ``should_exit`` is set.
        trusted_proxies: addresses or networks of proxies whose forwarding headers are used.
        force: whether the process is ended at that time, whatever it does.
    """
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would contain ids; the middleware logs routes
        server_header=False,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies) or None,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=max(1, round(stop_seconds - _RESERVE)),
        limit_concurrency=MAX_CONNECTIONS,
    )
    return _Server(config, started, stop_seconds if force else None)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        SettingError: The address is not available.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
        # Connections inherit it; without it the end of a response waits 40 ms for an ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as exc:
        raise SettingError(
            f"the service cannot listen on {host}:{port}",
            expected="an address of this machine, and a free port",
            found=getattr(exc, "strerror", None) or str(exc),
            advice="choose others with --host and --port; --port 0 chooses a free port",
        ) from exc


class TimedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn with a limit of time for the head of a request."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Stop the timer when the head is complete."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self.conn.trailing_data[0] and self._timer is None:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()


class _Server(uvicorn.Server):
    """Server that reports its address, and ends the process if it does not stop in time."""

    def __init__(
        self,
        config: uvicorn.Config,
        started: Callable[[str, int], None] | None,
        force_after: float | None,
    ) -> None:
        super().__init__(config)
        self._on_start = started
        self._force_after = force_after

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_start is not None and sockets:
            address: Any = sockets[0].getsockname()
            self._on_start(address[0], address[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._force_after is not None and not self.should_exit:
            timer = threading.Timer(self._force_after - 2, _end_process)
            timer.daemon = True
            timer.start()
        super().handle_exit(sig, frame)


def _end_process() -> None:
    LOG.error("not stopped in time: ending the process")
    logging.shutdown()
    os._exit(1)

"""ASGI middleware before every request: access, limits, response headers, metrics and the log.

The log has the route of a request, never its words or ids.
"""

import logging
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commonspace.serve.access import COOKIE, SESSION_SECONDS, Access, Caller
from commonspace.serve.errors import RequestError, error_body
from commonspace.serve.logs import REQUEST_ID
from commonspace.serve.metrics import Metrics
from commonspace.serve.receiving import LoopDelay, RequestBody, too_large
from commonspace.serve.settings import ServiceSettings

__all__ = ["CALLER", "RateLimit", "RequestMiddleware"]

LOG = logging.getLogger("commonspace.serve.requests")
CALLER = "commonspace.caller"
"""Key of the ``Caller`` in the ASGI scope."""
HEALTH_PATHS = ("/health", "/ready")
"""Paths for monitoring: no key and no rate limit."""
MAX_CALLERS = 10_000
"""Callers whose rate is remembered; beyond that number the least recent one is forgotten."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

HEADERS = {
    b"content-security-policy": b"default-src 'self'; object-src 'none'; base-uri 'none';"
    b" form-action 'self'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
}
MAX_JSON = 2**20
"""Bytes of a JSON body, except of a batch of items by a caller who may write them."""
_REQUEST_ID = re.compile(r"[\w.\-]{1,64}", re.ASCII)
_ITEM_PATH = re.compile(r"(/v1|/v1/indexes/[^/]+|/indexes/[^/]+/v1)?/items/")
_PAGE_PATH = re.compile(r"/(indexes/[^/]+/)?(page/.*)?")


class RequestMiddleware:
    """Checks requests before the application sees them.

    Args:
        app: the application.
        settings: limits, keys and hosts.
        metrics: counts every response.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics) -> None:
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._access = Access(settings.keys) if settings.keys else None
        self._limit = RateLimit(settings.rate, settings.burst)
        self._delay = LoopDelay()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        headers = _decode_headers(scope)
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = secrets.token_hex(8)
        REQUEST_ID.set(request_id)
        method = scope["method"] if scope["method"] in METHODS else "other"
        body = RequestBody(receive, headers, self._settings.receive_seconds, self._delay)
        response = _Response(send, request_id, body, without_body=method == "HEAD")
        if method == "HEAD":
            scope = {**scope, "method": "GET"}
        if _ITEM_PATH.match(scope["path"]):  # ids may have any character: routes decode them
            scope["path"] = scope.get("raw_path", b"").decode("ascii", "replace") or scope["path"]
        try:
            response.headers += self._check(scope, headers, response)
            if response.preflight:
                await _send_empty(response)
            else:
                body.max_bytes = self._max_bytes(scope, headers)
                with nullcontext() if body.complete else self._delay.watch():
                    await self._app(scope, body, response)
        except RequestError as error:
            await _send_error(error, response)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(method, route, str(response.status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            LOG.info(
                "%s %s %d %.1f ms",
                method,
                route,
                response.status,
                1000 * seconds,
                extra={
                    "method": method,
                    "route": route,
                    "status": response.status,
                    "milliseconds": round(1000 * seconds, 1),
                },
            )

    def _check(
        self, scope: Scope, headers: dict[str, str], response: "_Response"
    ) -> list[tuple[bytes, bytes]]:
        """Refuse the request, or return headers for its response."""
        if scope["path"] in HEALTH_PATHS:
            return []
        self._check_host(headers)
        extra = self._check_origin(scope, headers, response)
        if response.preflight:
            return extra
        caller = self._identify(scope, headers)
        scope[CALLER] = caller
        wait = self._limit.wait(caller.name)
        if wait:
            raise RequestError(
                429, "too many requests", advice="send fewer requests", retry_after=wait
            )
        length, most = headers.get("content-length", "0"), self._max_bytes(scope, headers)
        if length.isdecimal() and int(length) > most:
            raise too_large(most)
        if caller.session:
            cookie = (
                f"{COOKIE}={caller.session}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly;"
                " SameSite=Strict"
            )
            secure = "; Secure" if scope.get("scheme") == "https" else ""
            extra.append((b"set-cookie", (cookie + secure).encode("latin-1")))
        return extra

    def _max_bytes(self, scope: Scope, headers: dict[str, str]) -> int:
        """Return how long a body may be: JSON is held in memory, forms with photos are not."""
        if headers.get("content-type", "").strip().lower().startswith("multipart/form-data"):
            return self._settings.max_body
        writes = scope["path"].endswith("/items/batch") and self._settings.writable
        if writes and CALLER in scope and scope[CALLER].may_write:
            return self._settings.max_body
        return min(MAX_JSON, self._settings.max_body)

    def _check_host(self, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        name = (urlsplit(f"//{host}").hostname or "") if _is_plain(host) else ""
        if self._settings.allowed_hosts and name not in self._settings.allowed_hosts:
            raise RequestError(
                403,
                "this host name is not allowed",
                code="host_not_allowed",
                found=ascii(host)[:80],
                advice="start the service with --allowed-host NAME",
            )

    def _check_origin(
        self, scope: Scope, headers: dict[str, str], response: "_Response"
    ) -> list[tuple[bytes, bytes]]:
        """Refuse requests of pages of other sites, but for the allowed ones."""
        origin = headers.get("origin")
        if origin is not None and origin in self._settings.cors_origins:
            response.preflight = (
                scope["method"] == "OPTIONS" and "access-control-request-method" in headers
            )
            allowed = [(b"access-control-allow-origin", origin.encode()), (b"vary", b"Origin")]
            if response.preflight:
                allowed += [
                    (b"access-control-allow-methods", b"GET, POST, DELETE"),
                    (b"access-control-allow-headers", b"Authorization, Content-Type, X-Request-ID"),
                    (b"access-control-max-age", b"600"),
                ]
            return [*allowed, (b"cross-origin-resource-policy", b"cross-origin")]
        foreign = origin is not None and urlsplit(origin).netloc != headers.get("host", "")
        if foreign or headers.get("sec-fetch-site") == "cross-site":
            opened = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
            if not opened:  # a link from another site to the page is allowed
                raise RequestError(
                    403,
                    "requests from pages of other sites are not allowed",
                    code="origin_not_allowed",
                    advice="start the service with --cors-origin ORIGIN",
                )
        return [(b"cross-origin-resource-policy", b"same-origin")]

    def _identify(self, scope: Scope, headers: dict[str, str]) -> Caller:
        address = str((scope.get("client") or ("unknown",))[0])
        if _PAGE_PATH.fullmatch(scope["path"]):
            return Caller(address, may_write=False)
        if self._access is None:
            return Caller(address, may_write=True)
        caller = self._access.identify(headers)
        if caller is None:
            wait = self._limit.wait(f"without a key: {address}")
            raise RequestError(
                429 if wait else 401,
                "API key missing or unknown",
                expected="the header Authorization: Bearer KEY",
                advice="ask the operator of the service for a key",
                retry_after=wait or None,
            )
        return caller


class RateLimit:
    """Token bucket for each caller: tokens return with time, each request takes one.

    Args:
        rate: tokens a second; 0: unlimited.
        burst: tokens of a full bucket.
        clock: seconds.

    Example:
        >>> limit = RateLimit(1.0, 2, clock=lambda: 0.0)
        >>> [limit.wait("a") for _ in range(3)], limit.wait("b")
        ([0, 0, 1], 0)
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str) -> int:
        """Take a token; return 0, or the seconds until there is one.

        Args:
            caller: name of a key, or an address.
        """
        if not self._rate:
            return 0
        now = self._clock()
        tokens, since = self._buckets.get(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        enough = tokens >= 1
        self._buckets[caller] = (tokens - enough, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return 0 if enough else max(1, math.ceil((1 - tokens) / self._rate))


class _Response:
    """Sends a response with the headers of every response, and remembers its status."""

    def __init__(
        self, send: Send, request_id: str, body: RequestBody, *, without_body: bool
    ) -> None:
        self._send = send
        self._body = body
        self._without_body = without_body
        self.status = 499  # the client has gone before there was one
        self.started = False
        self.preflight = False
        self.headers: list[tuple[bytes, bytes]] = [
            *HEADERS.items(),
            (b"x-request-id", request_id.encode()),
        ]

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            names = {name.lower() for name, _ in message["headers"]}
            headers = [*message["headers"], *self.headers]
            if b"cache-control" not in names:
                headers.append((b"cache-control", b"no-store"))
            unread = not self._body.complete and (self._body.is_long or self._body.is_late)
            if self.status in (408, 413) or unread:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self._without_body:
            message = {**message, "body": b""}
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last and self.status >= 400 and not (self._body.complete or self._body.is_late):
            await self._send({**message, "more_body": True})
            await self._body.discard()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


async def _send_error(error: RequestError, response: _Response) -> None:
    """Answer before, or instead of, the application."""
    if response.started:  # too late to send anything else
        raise error
    body = error_body(error)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await response({"type": "http.response.start", "status": error.status, "headers": headers})
    await response({"type": "http.response.body", "body": body})


async def _send_empty(response: _Response) -> None:
    await response({"type": "http.response.start", "status": 204, "headers": []})
    await response({"type": "http.response.body", "body": b""})


def _decode_headers(scope: Scope) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }


def _is_plain(host: str) -> bool:
    """Return whether a Host header can be parsed by ``urlsplit``."""
    return host.isascii() and not set(host) & set("/?#@\\ ") and host.count("[") == host.count("]")

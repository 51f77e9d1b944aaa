"""What stands before every request: who may ask, how much, how fast; and what every answer carries.

An ASGI middleware. It knows no index and nothing of what is asked: words and ids reach no log.
"""

import asyncio
import logging
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commonspace.serve.keys import known_key
from commonspace.serve.metrics import Metrics
from commonspace.serve.rate import RateLimit
from commonspace.serve.refusals import RefusedError, refusal_body
from commonspace.serve.settings import ServiceSettings

__all__ = ["COOKIE", "Guard"]

LOG = logging.getLogger("commonspace.serve.requests")
COOKIE = "commonspace"
OPEN = ("/health", "/ready")
"""Addresses for machines that look whether the service lives: no key, no limit."""

HEADERS = {
    b"content-security-policy": b"default-src 'self'; object-src 'none'; base-uri 'none';"
    b" form-action 'self'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Lets requests through that may come through.

    Args:
        app: what answers them.
        settings: limits, keys and names.
        metrics: counts every answer.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, metrics: Metrics) -> None:
        """Keep the parts."""
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._limit = RateLimit(settings.rate, settings.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the application do it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        answer = _Answer(send)
        if scope["path"].startswith("/items/"):  # ids may hold any sign: they are decoded later
            scope["path"] = scope.get("raw_path", b"").decode("ascii", "replace") or scope["path"]
        try:
            answer.extra = self._checked(scope)
            await self._app(scope, _Body(receive, scope, self._settings), answer)
        except RefusedError as refused:
            await _refuse(refused, answer)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.answered(_method(scope), route, answer.status, seconds)
            LOG.info("%s %s %d %.1f ms", _method(scope), route, answer.status, 1000 * seconds)

    def _checked(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Return headers for the answer, or refuse the request."""
        headers = _headers_of(scope)
        if scope["path"] in OPEN:
            return []
        self._check_names(scope, headers)
        who, extra = self._caller(scope, headers)
        wait = self._limit.wait(who)
        if wait:
            raise RefusedError(429, "too many requests", advice="ask more slowly", retry=wait)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._settings.body:
            raise _too_large(self._settings.body)
        return extra

    def _check_names(self, scope: Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        name = (urlsplit(f"//{host}").hostname or "") if _plain(host) else ""
        if self._settings.hosts and name not in self._settings.hosts:
            raise RefusedError(
                403,
                "the service is not known under this name",
                found=ascii(host)[:80],
                advice="start it with --known-as NAME",
            )
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc != host
        if foreign or headers.get("sec-fetch-site") == "cross-site":
            opened = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
            if not opened:  # a link from elsewhere to the page is fine
                raise RefusedError(403, "pages of other sites may not ask here")

    def _caller(
        self, scope: Scope, headers: dict[str, str]
    ) -> tuple[str, list[tuple[bytes, bytes]]]:
        """Return who asks, and headers for the answer."""
        address = str((scope.get("client") or ("somebody",))[0])
        if not self._settings.keys or _is_page(scope["path"]):
            return address, []
        given = _key_of(headers)
        name = known_key(self._settings.keys, given) if given else None
        if name is None:
            wait = self._limit.wait(f"without a key: {address}")
            raise RefusedError(
                429 if wait else 401,
                "no API key, or one that is not known",
                expected="the header Authorization: Bearer KEY",
                advice="ask who runs the service for one",
                retry=wait or None,
            )
        if headers.get("sec-fetch-site") == "same-origin" and "authorization" in headers:
            # The page: its pictures are fetched without that header, and bring a cookie instead.
            cookie = f"{COOKIE}={given}; Path=/; HttpOnly; SameSite=Strict"
            secure = "; Secure" if scope.get("scheme") == "https" else ""
            return f"key: {name}", [(b"set-cookie", (cookie + secure).encode("latin-1"))]
        return f"key: {name}", []


class _Answer:
    """Sends an answer with the headers that each one has, and remembers its status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 499  # the caller went away before there was any
        self.begun = False
        self.extra: list[tuple[bytes, bytes]] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.begun = message["status"], True
            given = {name.lower() for name, _ in message["headers"]}
            headers = [*message["headers"], *self.extra, *HEADERS.items()]
            if b"cache-control" not in given:
                headers.append((b"cache-control", b"no-store"))
            if self.status in (408, 413):  # the rest of the body is waited for no more
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)


class _Body:
    """Receives the body of a request, as long as it is small enough and comes in time."""

    def __init__(self, receive: Receive, scope: Scope, settings: ServiceSettings) -> None:
        self._receive = receive
        self._most = settings.body
        self._seconds = settings.receiving
        self._ends = asyncio.get_running_loop().time() + settings.receiving
        self._size = 0
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:  # what comes now tells that the caller is gone, whenever that is
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError as exc:
            raise RefusedError(
                408,
                "the request did not arrive in time",
                expected=f"all of it within {self._seconds:g} seconds",
                advice="send less, or over a faster line",
            ) from exc
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._size > self._most:
                raise _too_large(self._most)
        return message


async def _refuse(refused: RefusedError, answer: _Answer) -> None:
    """Answer before, or in place of, the application."""
    if answer.begun:  # nothing can be said any more
        raise refused
    body = refusal_body(refused)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if refused.retry is not None:
        headers.append((b"retry-after", str(refused.retry).encode()))
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await answer({"type": "http.response.start", "status": refused.status, "headers": headers})
    await answer({"type": "http.response.body", "body": body})


def _headers_of(scope: Scope) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }


def _key_of(headers: dict[str, str]) -> str:
    kind, _, key = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and key:
        return key.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie is not None else ""


def _is_page(path: str) -> bool:
    return path == "/" or path.startswith("/page/")


def _plain(host: str) -> bool:
    """Tell whether a Host header is one that ``urlsplit`` takes."""
    return host.isascii() and not set(host) & set("/?#@\\ ") and host.count("[") == host.count("]")


def _method(scope: Scope) -> str:
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    return scope["method"] if scope["method"] in known else "other"


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        413,
        "the request is too large",
        expected=f"at most {most:,} bytes",
        advice="send a smaller image, or fewer words",
    )

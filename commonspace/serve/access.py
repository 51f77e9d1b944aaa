"""Access control: who calls, by API key or page session, and how many requests a caller may send."""

import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie

from commonspace.serve.keys import ApiKey, find_key

__all__ = ["COOKIE", "Access", "Caller", "RateLimit"]

COOKIE = "commonspace_session"
SESSION_SECONDS = 12 * 3600
MAX_SESSIONS = 10_000
MAX_CALLERS = 10_000
"""Callers whose rate is remembered; beyond that number the least recent one is forgotten."""


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    name: str
    """"key: NAME", or the network address where the service needs no keys."""
    may_write: bool
    session: str = ""
    """A new session token that the response is to set as a cookie."""


class Access:
    """Identifies callers.

    The page sends its key once. It then gets a session cookie, since an img element cannot send
    the Authorization header. A session ends with the process or after twelve hours, and may only
    read.

    Args:
        keys: name -> API key; empty: every caller is accepted and may write.
        clock: seconds.
    """

    def __init__(
        self, keys: Mapping[str, ApiKey], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def identify(self, headers: Mapping[str, str], address: str) -> Caller | None:
        """Return the caller, or None if keys are required and the request has no valid one.

        Args:
            headers: of the request, names in lower case.
            address: of the client.
        """
        if not self._keys:
            return Caller(address, may_write=True)
        owner = self._session_owner(headers.get("cookie", ""))
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return Caller(f"key: {owner}", may_write=False) if owner else None
        name = find_key(self._keys, key.strip())
        if name is None:
            return None
        from_page = headers.get("sec-fetch-site") == "same-origin"
        session = self._start_session(name) if from_page and owner != name else ""
        return Caller(f"key: {name}", self._keys[name].write, session)

    def _start_session(self, name: str) -> str:
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = (name, self._clock() + SESSION_SECONDS)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def _session_owner(self, cookies: str) -> str | None:
        try:
            cookie = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return None
        name, end = self._sessions.get(_digest(cookie.value), ("", 0.0)) if cookie else ("", 0.0)
        return name if name in self._keys and self._clock() < end else None


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


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()

"""How fast one caller may ask: a bucket of tokens for each. It knows no HTTP."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["RateLimit"]

CALLERS = 10_000
"""Callers that are remembered; beyond, the one that asked longest ago is forgotten."""


class RateLimit:
    """Tokens that come back with time; each request takes one.

    Args:
        rate: tokens a second; 0: no limit.
        burst: tokens of a full bucket.
        clock: seconds.

    Example:
        >>> limit = RateLimit(1.0, 2, clock=lambda: 0.0)
        >>> [limit.wait("me") for _ in range(3)], limit.wait("you")
        ([0, 0, 1], 0)
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with full buckets."""
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str) -> int:
        """Take a token; return 0, or the seconds after which there is one.

        Args:
            caller: a key's name, or an address.
        """
        if not self._rate:
            return 0
        now = self._clock()
        tokens, since = self._buckets.get(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        enough = tokens >= 1
        self._buckets[caller] = (tokens - enough, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > CALLERS:
            self._buckets.popitem(last=False)
        return 0 if enough else max(1, math.ceil((1 - tokens) / self._rate))

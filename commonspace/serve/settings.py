"""How a service behaves: its limits, who may ask, and whether it may be written to.

It knows no HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from commonspace.errors import check_settings

__all__ = ["LOCAL_HOSTS", "ServiceSettings"]

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ServiceSettings:
    """How a service behaves.

    Args:
        name: what the page is called; None: the name of the index folder.
        writable: whether items may be put in and taken out.
        keys: name -> SHA-256 of an API key, in hexadecimal digits; empty: nobody needs one.
        hosts: the names by which the service may be called, without ports; empty: any. A page of
            another site that has its own name point here cannot ask then.
        batch: queries that share a forward pass, at most; 1 asks one by one.
        waiting: queries that may wait at a time; further ones are sent away with 503.
        body: bytes of a request, at most.
        pixels: of an image that is sent, at most.
        decoding: seconds that decoding an image may take.
        receiving: seconds in which a request must have arrived whole.
        answering: seconds in which a query must be answered.
        rate: requests a second that one caller may send, over a longer time; 0: any number.
        burst: requests that one caller may send at once.
        log_queries: whether the words of a query are written to the log.

    Raises:
        SettingError: a value that cannot work.
    """

    name: str | None = None
    writable: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = LOCAL_HOSTS
    batch: int = 32
    waiting: int = 1000
    body: int = 20 * 2**20
    pixels: int = 40_000_000
    decoding: float = 10.0
    receiving: float = 30.0
    answering: float = 30.0
    rate: float = 50.0
    burst: int = 300
    log_queries: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        checks = (
            ("batch", self.batch >= 1, "a whole number from 1"),
            ("waiting", self.waiting >= 1, "a whole number from 1"),
            ("body", self.body >= 1024, "at least 1024 bytes"),
            ("pixels", self.pixels >= 1, "a whole number from 1"),
            ("decoding", self.decoding > 0, "above 0 seconds"),
            ("receiving", self.receiving > 0, "above 0 seconds"),
            ("answering", self.answering > 0, "above 0 seconds"),
            ("rate", self.rate >= 0, "0 or more requests a second"),
            ("burst", self.burst >= 1, "a whole number from 1"),
        )
        check_settings(self, checks)

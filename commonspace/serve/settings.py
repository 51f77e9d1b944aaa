"""Settings of the service: limits, access and the name shown on the page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from commonspace.errors import check_settings
from commonspace.serve.access import ApiKey

__all__ = ["LOCAL_HOSTS", "ServiceSettings"]

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of the service.

    Args:
        name: title of the page; None: the name of the index folder.
        writable: whether items may be added, replaced and removed.
        feedback: file to which judgments of visitors are added; None: they cannot be sent.
        snapshots: folder for snapshots, which callers that may write create and restore; None: they
            cannot.
        keys: name -> API key; empty: requests need no key.
        allowed_hosts: host names, without ports, that a request may be addressed to; empty: any.
            They protect a local service from web pages whose name resolves to 127.0.0.1.
        cors_origins: origins of other sites, such as "https://shop.example", whose pages may call
            the API from a browser.
        trusted_proxies: addresses or networks of proxies whose X-Forwarded-For and
            X-Forwarded-Proto headers are used.
        batch_size: maximum number of queries embedded in one forward pass.
        max_queued: maximum number of waiting queries; further ones get status 503.
        max_photos: maximum number of photo uploads in progress, from the first byte to the answer;
            further ones get 503.
        max_body: maximum size of a request body in bytes.
        max_pixels: maximum number of pixels of an uploaded photo, after the reduction that the
            JPEG format allows while decoding.
        decode_workers: number of processes that decode uploaded photos.
        decode_seconds: processor time that decoding one photo may take.
        decode_memory: address space of a decoding process in bytes.
        receive_seconds: time within which a request must have arrived.
        answer_seconds: time within which a query must be answered.
        rate: requests a second that one caller may send on average; 0: unlimited.
        burst: requests that one caller may send at once.
        log_queries: whether the content of queries is logged.

    Raises:
        SettingError: If a value is out of range.
    """

    name: str | None = None
    writable: bool = False
    feedback: Path | None = None
    snapshots: Path | None = None
    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    allowed_hosts: tuple[str, ...] = LOCAL_HOSTS
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    batch_size: int = 32
    max_queued: int = 1000
    max_photos: int = 64
    max_body: int = 20 * 2**20
    max_pixels: int = 40_000_000
    decode_workers: int = 2
    decode_seconds: int = 10
    decode_memory: int = 2**30
    receive_seconds: float = 30.0
    answer_seconds: float = 30.0
    rate: float = 50.0
    burst: int = 300
    log_queries: bool = False

    def __post_init__(self) -> None:
        counts: tuple[str, ...] = ("batch_size", "max_queued", "max_photos", "max_pixels", "burst")
        counts = (*counts, "decode_workers", "decode_seconds")
        checks = [(name, getattr(self, name) >= 1, ">= 1") for name in counts]
        checks += [
            ("max_body", self.max_body >= 1024, ">= 1024 bytes"),
            ("decode_memory", self.decode_memory >= 2**27, ">= 134217728 bytes"),
            ("receive_seconds", self.receive_seconds > 0, "> 0 seconds"),
            ("answer_seconds", self.answer_seconds > 0, "> 0 seconds"),
            ("rate", self.rate >= 0, ">= 0 requests a second"),
        ]
        check_settings(self, checks)

"""The service: an index over HTTP, its page, and the map of its items.

``build_app`` makes an ASGI application of an index folder; ``run`` serves it until it is told to
stop. FastAPI and its company are loaded when one of the two is first asked for.
"""

from typing import TYPE_CHECKING, Any

from commonspace.extras import optional
from commonspace.serve.settings import ServiceSettings

if TYPE_CHECKING:
    from commonspace.serve.app import build_app
    from commonspace.serve.server import run

__all__ = ["ServiceSettings", "build_app", "run"]

_HOMES = {"build_app": "app", "run": "server"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is that of the name
    """Fetch what needs FastAPI, or say how to install it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'commonspace.serve' has no attribute {name!r}")
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        optional(package, "the service", "serve")
    return getattr(optional(f"commonspace.serve.{_HOMES[name]}", "the service", "serve"), name)

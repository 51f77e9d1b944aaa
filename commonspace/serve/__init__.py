"""HTTP service for an index: a JSON API, a web page, and a map of the items.

``build_app`` returns an ASGI application; ``run`` serves it until it is stopped. FastAPI and
uvicorn are imported when one of the two is first used.
"""

from typing import TYPE_CHECKING, Any

from commonspace.extras import optional
from commonspace.serve.settings import ServiceSettings

if TYPE_CHECKING:
    from commonspace.serve.app import build_app
    from commonspace.serve.server import run

__all__ = ["ServiceSettings", "build_app", "run"]

_MODULES = {"build_app": "app", "run": "server"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is that of the name
    """Import a name that needs FastAPI."""
    if name not in _MODULES:
        raise AttributeError(f"module 'commonspace.serve' has no attribute {name!r}")
    for package in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
        optional(package, "the service", "serve")
    return getattr(optional(f"commonspace.serve.{_MODULES[name]}", "the service", "serve"), name)

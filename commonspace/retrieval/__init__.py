"""The search index: storage, vector search, filters, migration.

Names are loaded when they are first used, so that ``commonspace.retrieval.items`` is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from commonspace.retrieval.audit import AuditSettings, Finding
    from commonspace.retrieval.index import Index
    from commonspace.retrieval.items import Item, Query, SearchResult, SearchResults
    from commonspace.retrieval.snapshot import restore_snapshot, write_snapshot
    from commonspace.retrieval.verify import Cost, Verification
    from commonspace.retrieval.writing import Change

__all__ = [
    "AuditSettings",
    "Change",
    "Cost",
    "Finding",
    "Index",
    "Item",
    "Query",
    "SearchResult",
    "SearchResults",
    "Verification",
    "restore_snapshot",
    "write_snapshot",
]

_MODULES = {
    "AuditSettings": "audit",
    "Change": "writing",
    "Cost": "verify",
    "Finding": "audit",
    "Index": "index",
    "Item": "items",
    "Query": "items",
    "SearchResult": "items",
    "SearchResults": "items",
    "Verification": "verify",
    "restore_snapshot": "snapshot",
    "write_snapshot": "snapshot",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is that of the name
    """Load a public name."""
    if name not in _MODULES:
        raise AttributeError(f"module 'commonspace.retrieval' has no attribute {name!r}")
    return getattr(import_module(f"commonspace.retrieval.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__

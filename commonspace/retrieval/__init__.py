"""Search in a catalogue: an index that loses nothing and knows its space."""

from commonspace.retrieval.audit import AuditSettings, Finding
from commonspace.retrieval.index import Index
from commonspace.retrieval.query import Found, Query
from commonspace.retrieval.searching import Search
from commonspace.retrieval.verify import Cost, Verification
from commonspace.retrieval.writing import Change

__all__ = [
    "AuditSettings",
    "Change",
    "Cost",
    "Finding",
    "Found",
    "Index",
    "Query",
    "Search",
    "Verification",
]

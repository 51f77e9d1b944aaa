"""Items of an index and search results: the data types of index, service and client.

Importing this module loads neither torch nor numpy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

__all__ = ["Item", "SearchResult", "SearchResults"]


@dataclass(frozen=True, kw_only=True)
class Item:
    """An item of an index."""

    id: str
    """Unique id, as given in the data."""
    split: str = ""
    """"train", "validation" or "test": the split of the data that the item came from."""
    labels: tuple[str, ...] = ()
    """Names of its classes."""
    fields: Mapping[str, Any]
    """Metadata fields that have a value: name -> number, string, bool, or a list of them."""
    texts: tuple[str, ...] = ()
    """Its texts, if the index was built from raw texts."""
    photo: str | None = None
    """Path of its photo, if the index was built from image files; None from a service."""
    has_picture: bool = False
    """Whether a picture can be shown: an image file that exists, or stored pixels."""
    modalities: tuple[str, ...] = ()
    """Modalities that it has vectors of."""
    posterior: Mapping[str, Mapping[str, float]] | None = None
    """Modality -> class -> probability, where the service reports it."""


@dataclass(frozen=True, kw_only=True)
class SearchResult(Item):
    """An item that matches a query, with its score."""

    modality: str
    """Modality of the item whose vector matched best."""
    score: float
    """Inner product of the query vector and the item vector."""
    relevance: float | None = None
    """Probability that query and item share a class; None if the space is not calibrated."""


class SearchResults(list[SearchResult]):
    """A ranked list of search results, best first; prints as a table.

    Args:
        results: in order.
        total: number of items that match the filter and have the modality, ranked or not.
    """

    def __init__(self, results: Iterable[SearchResult] = (), total: int = 0) -> None:
        super().__init__(results)
        self.total = total

    def __repr__(self) -> str:
        """Return a table in plain text."""
        rows = [("score", "relevance", "id", "labels", "text"), *map(_cells, self)]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([f"{len(self)} of {self.total} items", *lines])

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        head = "".join(
            f"<th>{name}</th>" for name in ("score", "relevance", "id", "labels", "text")
        )
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(result)) + "</tr>"
            for result in self
        )
        return f"<table><tr>{head}</tr>{rows}</table>"


def _cells(result: SearchResult) -> tuple[str, str, str, str, str]:
    text = " ".join(result.texts[0].split()) if result.texts else ""
    return (
        f"{result.score:.3f}",
        "" if result.relevance is None else f"{result.relevance:.2f}",
        result.id,
        ", ".join(result.labels),
        text if len(text) <= 60 else f"{text[:59]}…",
    )

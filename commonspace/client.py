"""HTTP client of the search service, with the standard library only.

    from commonspace.client import Client

    shop = Client("http://127.0.0.1:8000", key="...")
    for item in shop.search("a red kite", k=5):
        print(item.id, item.relevance)

Importing this module loads neither torch nor an index.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from commonspace.retrieval.items import Item, SearchResult, SearchResults
from commonspace.service_connection import ServiceConnection

__all__ = ["Client"]


class Client:
    """Client of a search service.

    Args:
        address: of the service: "http://127.0.0.1:8000"; of one of several indexes:
            "http://127.0.0.1:8000/indexes/NAME".
        key: an API key, if the service requires one.
        timeout: maximum time of a response, in seconds.

    Raises:
        SettingError: If the address is not one of HTTP.
    """

    def __init__(self, address: str, *, key: str | None = None, timeout: float = 30.0) -> None:
        self._service = ServiceConnection(address, key, timeout)

    def search(
        self,
        text: str | None = None,
        image: str | Path | bytes | None = None,
        vector: Sequence[float] | None = None,
        id: str | None = None,
        *,
        k: int = 10,
        offset: int = 0,
        modality: str | None = None,
        query_modality: str | None = None,
        where: str | None = None,
        instance_weight: float | None = None,
        min_relevance: float | None = None,
        keywords: bool = True,
        text_weight: float | None = None,
        without: str | None = None,
        less_like: str | Sequence[str] | None = None,
        less_like_vector: Sequence[float] | None = None,
        diversity: float = 0.0,
        max_similarity: float | None = None,
        group_by: str | None = None,
        sort: str | None = None,
    ) -> SearchResults:
        """Return the items that match a query best, as ``Index.search`` does.

        Args:
            text: words to search for.
            image: an image file, or its bytes.
            vector: (d,), a vector of the space.
            id: an item of the index: "more like this". With several of text, image, vector and
                id, the query vector is the mean of their vectors, each scaled to unit length.
            k: maximum number of results.
            offset: number of results to skip, for paging.
            modality: search only the vectors of this modality (default: all).
            query_modality: with ``id``, use only this modality of the item (default: all).
            where: a filter on the fields, such as 'price < 50'.
            instance_weight: 0 ranks by class, 1 by exact item (default: that of the space).
            min_relevance: drop results, of the k, whose relevance is lower.
            keywords: whether items that hold all words of a query of text alone come first, if
                they are at most 10.
            text_weight: of a query of text and something else, the weight of the text, 0 to 1
                (default: that of the space, chosen on validation).
            without: words to avoid: items that hold all of them are left out; with commas between
                them, items that hold all words of one of the parts.
            less_like: id, or ids, of items to be unlike. They are no results; half of the score
                that their mean gives an item is subtracted from its score.
            less_like_vector: (d,), a vector to be unlike, as ``embed`` returns it for a photo.
            diversity: from 0 (by score) to 1: prefers results that are unlike those before them,
                among the 200 best.
            max_similarity: from 0 to 1: of results that are at least so similar, the best is
                listed, with the others in its ``similar``, among the 200 best. 0.95 is for
                near-duplicates.
            group_by: a field: of the items with equal values, such as the photos of one product,
                the best is listed, with the others in its ``similar``; ``total`` counts groups.
            sort: a field that orders the 200 best results, "-price" for descending order. Without
                ``min_relevance``, those of a relevance of at least 0.5, if it is known.

        Raises:
            ServiceError: If the service returns an error or cannot be reached.
        """
        parameters = {
            "text": text,
            "vector": _numbers(vector),
            "id": id,
            "k": k,
            "offset": offset,
            "modality": modality,
            "query_modality": query_modality,
            "where": where,
            "instance_weight": instance_weight,
            "min_relevance": min_relevance,
            "keywords": keywords,
            "text_weight": text_weight,
            "without": without,
            "less_like": [less_like] if isinstance(less_like, str) else less_like,
            "less_like_vector": _numbers(less_like_vector),
            "diversity": diversity,
            "max_similarity": max_similarity,
            "group_by": group_by,
            "sort": sort,
        }
        body = {name: value for name, value in parameters.items() if value is not None}
        answer = self._service.json("POST", "/search", body, image)
        results = (SearchResult(**_values(SearchResult, result)) for result in answer["results"])
        return SearchResults(
            results, int(answer["total"]), nothing_matches=bool(answer["nothing_matches"])
        )

    def item(self, id: str) -> Item:
        """Return an item, with its class posterior if the space has one.

        Args:
            id: of the item.

        Raises:
            ServiceError: If the id is unknown (status 404), or the service cannot be reached.
        """
        return Item(**_values(Item, self._service.json("GET", _item(id))))

    def items(self, where: str | None = None, *, page: int = 100) -> Iterator[Item]:
        """Return every item that a filter accepts, in the order in which they were written.

        Args:
            where: a filter on the fields; None for all.
            page: number of items of a request, at most 1,000.

        Raises:
            ServiceError: If the filter is invalid, or the service cannot be reached.
        """
        items, cursor = self.item_page(where, page)
        yield from items
        while cursor is not None:
            items, cursor = self.item_page(where, page, cursor)
            yield from items

    def item_page(
        self, where: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> tuple[list[Item], str | None]:
        """Return a page of items, and the cursor of the next page; None at the end.

        Args:
            where: a filter on the fields; None for all.
            limit: maximum number of items, at most 1,000.
            cursor: that of the page before; None for the first page.

        Raises:
            ServiceError: If the filter is invalid, or the service cannot be reached.
        """
        query = {"limit": str(limit), "where": where, "cursor": cursor}
        given = {name: value for name, value in query.items() if value is not None}
        answer = self._service.json("GET", f"/items?{urlencode(given)}")
        return [Item(**_values(Item, item)) for item in answer["items"]], answer["cursor"]

    def judge(self, id: str, useful: bool, *, text: str | None = None) -> None:
        """Store whether a result is what was looked for, if the service accepts judgments.

        Args:
            id: of the result.
            useful: the judgment.
            text: words of the query.

        Raises:
            ServiceError: If the service does not (status 403), the id is unknown (404), or the
                service cannot be reached.
        """
        self._service.json("POST", "/feedback", {"id": id, "useful": useful, "text": text})

    def image(self, id: str) -> bytes:
        """Return the picture of an item, as an image file.

        Args:
            id: of the item.

        Raises:
            ServiceError: If it has none (status 404), or the service cannot be reached.
        """
        return self._service.content("GET", f"{_item(id)}/image")

    def thumbnail(self, id: str, size: int = 256) -> bytes:
        """Return the picture of an item as a JPEG that fits into a square.

        Args:
            id: of the item.
            size: side of the square in pixels, from 16 to 1024.

        Raises:
            ServiceError: If it has none (status 404), or the service cannot be reached.
        """
        return self._service.content("GET", f"{_item(id)}/thumbnail?size={size}")

    def embed(
        self, text: str | None = None, image: str | Path | bytes | None = None
    ) -> list[float]:
        """Return the query vector of a text or a photo, to search with it several times.

        Args:
            text: words.
            image: an image file, or its bytes.

        Raises:
            ServiceError: If the space does not read it, or the service cannot be reached.
        """
        body = {} if text is None else {"text": text}
        vector: list[float] = self._service.json("POST", "/embed", body, image)["vector"]
        return vector

    def facets(
        self,
        where: str | None = None,
        *,
        without: str | None = None,
        group_by: str | None = None,
    ) -> dict[str, dict[Any, int]]:
        """Return field -> value -> number of items that a filter accepts, most frequent first.

        Args:
            where: a filter on the fields; None for all.
            without: words to avoid.
            group_by: field whose equal values count as one item.

        Raises:
            ServiceError: If the filter is invalid, or the service cannot be reached.
        """
        fields = self._service.json(
            "POST", "/facets", {"where": where, "without": without, "group_by": group_by}
        )["fields"]
        return {
            name: {one["value"]: one["count"] for one in values} for name, values in fields.items()
        }

    def about(self) -> dict[str, Any]:
        """Return items, modalities, classes and fields of the index.

        Raises:
            ServiceError: If the service cannot be reached.
        """
        return self._service.json("GET", "/about")

    def put(
        self,
        id: str,
        *,
        text: str | Sequence[str] = (),
        image: str | Path | bytes | None = None,
        labels: str | Sequence[str] = (),
        fields: Mapping[str, Any] | None = None,
    ) -> str:
        """Add or replace an item, if the service is writable.

        Args:
            id: of the item.
            text: its text or texts.
            image: an image file, or its bytes.
            labels: its class or classes.
            fields: numbers, strings, true or false by name.

        Returns:
            "added", "replaced", "described" (only labels or fields changed) or "unchanged".

        Raises:
            ServiceError: If the service is not writable (status 403), or cannot be reached.
        """
        body = _listed({"id": id, "text": text, "labels": labels, "fields": dict(fields or {})})
        return str(self._service.json("POST", "/items", body, image)["change"])

    def put_many(self, items: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """Add or replace up to 1,000 items without images, if the service is writable.

        Args:
            items: each with "id", "text", "labels" and "fields", as for ``put``.

        Returns:
            Number of items that were "added", "replaced", "described" and "unchanged", and "items"
            of the index now.

        Raises:
            ServiceError: If an item is invalid (nothing is written), the service is not writable
                (status 403), or cannot be reached.
        """
        return self._service.json("POST", "/items/batch", {"items": [*map(_listed, items)]})

    def remove(self, id: str) -> None:
        """Remove an item, if the service is writable.

        Args:
            id: of the item.

        Raises:
            ServiceError: If the id is unknown (status 404), or the service is not writable (403).
        """
        self._service.json("DELETE", _item(id))


def _numbers(vector: Sequence[float] | None) -> list[float] | None:
    return None if vector is None else [float(number) for number in vector]


def _listed(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item whose texts and labels are lists: a string is one of them, not its letters."""
    names = [name for name in ("text", "labels") if name in item]
    lists = {name: [item[name]] if isinstance(item[name], str) else [*item[name]] for name in names}
    return {**item, **lists}


def _item(id: str) -> str:
    return f"/items/{quote(id, safe='')}"


def _values(kind: type[Item], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an item; a service may know more than this client."""
    known = [one.name for one in fields(kind) if one.name in answer]
    lists = ("labels", "texts", "modalities", "similar")
    return {name: tuple(answer[name]) if name in lists else answer[name] for name in known}

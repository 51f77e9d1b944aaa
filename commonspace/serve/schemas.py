"""Requests and responses of the API, as pydantic models; OpenAPI is generated from them.

Items and search results are those of ``commonspace.retrieval.items``.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat
from pydantic_core import PydanticCustomError

from commonspace.retrieval.items import Item, SearchResult

__all__ = [
    "AboutResponse",
    "BatchRequest",
    "BatchResponse",
    "EmbedRequest",
    "EmbedResponse",
    "ErrorContent",
    "ErrorResponse",
    "Facet",
    "FacetsRequest",
    "FacetsResponse",
    "FeedbackRequest",
    "FieldSummary",
    "ItemResponse",
    "ItemsResponse",
    "MapResponse",
    "NewItem",
    "RequestModel",
    "Sample",
    "SearchRequest",
    "SearchResponse",
    "ServedIndex",
    "SnapshotResponse",
    "StatusResponse",
    "WriteResponse",
]

MAX_ITEMS = 1000


def _whole(value: object) -> object:
    """Return an integer for a float without a fraction: JSON has one type of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _field_value(value: object) -> object:
    """Return a value that a field may have; one error says what, not one for each type."""
    if isinstance(value, list | dict) or (isinstance(value, float) and not math.isfinite(value)):
        raise PydanticCustomError(
            "field_value", "Input should be a string, a finite number, true, false or null"
        )
    return value


WholeNumber = Annotated[int, BeforeValidator(_whole)]
Fraction = Annotated[FiniteFloat, Field(ge=0, le=1)]
Id = Annotated[str, Field(min_length=1, max_length=1000)]
FieldName = Annotated[str, Field(min_length=1, max_length=200)]
FieldValue = Annotated[str | bool | int | FiniteFloat | None, BeforeValidator(_field_value)]
Text = Annotated[str, Field(min_length=1, max_length=10_000)]


class RequestModel(BaseModel):
    """A request, whose values have the JSON types that are declared: no "5" or true for 5."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SearchRequest(RequestModel):
    """A query: text, vector, item or (as multipart/form-data) image; of several, their mean."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "a red kite", "k": 5}]})

    text: Text | None = Field(None, description="Words to search for.")
    vector: list[FiniteFloat] | None = Field(
        None,
        min_length=1,
        max_length=10_000,
        description="A vector of the space, as /v1/embed returns it.",
    )
    id: Id | None = Field(None, description='Id of an item of the index: "more like this".')
    k: WholeNumber = Field(
        10, ge=1, le=1000, description="Maximum number of results (default: 10)."
    )
    offset: WholeNumber = Field(
        0, ge=0, le=10_000, description="Results to skip, for paging (default: 0)."
    )
    modality: str | None = Field(
        None, max_length=200, description="Search only this modality of the items (default: all)."
    )
    query_modality: str | None = Field(
        None,
        max_length=200,
        description="With id: use only this modality of the item (default: the mean of all).",
    )
    where: str | None = Field(
        None,
        max_length=20_000,
        description='Filter on the fields: label = "Watches" and price < 50.',
    )
    instance_weight: Fraction | None = Field(
        None,
        description="0 ranks by class, 1 by exact item; only for spaces with an instance block."
        " Default: default_instance_weight of /v1/about.",
    )
    min_relevance: Fraction | None = Field(
        None, description="Drop results, of the k, whose relevance is lower."
    )
    keywords: bool = Field(
        True,
        description="Whether items that hold all words of a query of text alone come first, if"
        " they are at most 10 (default: true).",
    )
    text_weight: Fraction | None = Field(
        None,
        description="Weight of the text in a query of text and something else."
        " Default: default_text_weight of /v1/about.",
    )
    without: Text | None = Field(
        None,
        description="Words to avoid: items that hold all of them are left out; with commas"
        " between them, items that hold all words of one of the parts.",
    )
    less_like: list[Id] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Ids of items to be unlike: they are no results, and half of the score that"
        " their mean gives an item is subtracted from its score.",
    )
    less_like_vector: list[FiniteFloat] | None = Field(
        None,
        min_length=1,
        max_length=10_000,
        description="A vector to be unlike, as /v1/embed returns it for a photo.",
    )
    diversity: Fraction = Field(
        0,
        description="From 0 (by score) to 1: prefers results unlike those before them, among the"
        " 200 best (default: 0).",
    )
    max_similarity: Fraction | None = Field(
        None,
        description="Of results that are at least so similar, the best is listed, with the ids of"
        " the others as similar; 0.95 is for near-duplicates.",
    )
    group_by: FieldName | None = Field(
        None,
        description="Field: of the items with equal values, such as the photos of one product, the"
        " best is listed, with the ids of the others as similar; total counts the groups.",
    )
    sort: FieldName | None = Field(
        None,
        description="Sort the 200 best results by a field: price, or -price for descending order.",
    )


class EmbedRequest(RequestModel):
    """A text, or (as multipart/form-data) an image, to embed."""

    text: Text | None = None


class FacetsRequest(RequestModel):
    """Which items to count."""

    where: str | None = Field(
        None, max_length=20_000, description="Filter on the fields, as in a search (default: all)."
    )
    without: Text | None = Field(None, description="Words to avoid, as in a search.")
    group_by: FieldName | None = Field(
        None,
        description="Field whose equal values count as one item, as in a search.",
    )


class FeedbackRequest(RequestModel):
    """Whether a result is what a visitor looked for."""

    id: Id = Field(description="The result.")
    useful: bool
    text: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="Words of the query."
    )
    query_id: Id | None = Field(None, description='Item of the query: "more like this".')


class NewItem(RequestModel):
    """An item to add or replace; an image is sent with it as multipart/form-data."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "kite 7", "text": ["a red kite"], "labels": ["kite"]}]
        },
    )

    id: Id
    text: list[Annotated[str, Field(min_length=1, max_length=100_000)]] = Field(
        default_factory=list, max_length=100
    )
    labels: list[Annotated[str, Field(min_length=1, max_length=1000)]] = Field(
        default_factory=list, max_length=100
    )
    fields: dict[FieldName, FieldValue] = Field(default_factory=dict, max_length=100)


class BatchRequest(RequestModel):
    """Items to add or replace, without images."""

    items: list[NewItem] = Field(min_length=1, max_length=MAX_ITEMS)


class SearchResponse(BaseModel):
    """Results of a query."""

    results: list[SearchResult] = Field(description="Best first.")
    total: int = Field(description="Items that match filter and modality, ranked or not.")
    nothing_matches: bool = Field(
        description="Whether the query is unlike everything that the space was trained on: the"
        " results are the nearest items, but probably no matches."
    )
    has_instance_block: bool = Field(description="Whether instance_weight has an effect.")
    calibrated: bool = Field(description="Whether relevance is available.")
    seconds: float = Field(description="Time from the request to the response.")


@dataclass(frozen=True, kw_only=True)
class ItemResponse(Item):
    """An item with its nearest neighbors."""

    confirmed: bool = False
    """Whether a person gave or confirmed its classes."""
    neighbors: tuple[SearchResult, ...]
    """Most similar items, best first; of a group only the best."""
    variants: tuple[str, ...] = ()
    """Ids of up to 24 other items of its group, such as further photos."""


class ItemsResponse(BaseModel):
    """A page of items, in the order in which they were written."""

    items: list[Item]
    cursor: str | None = Field(description="Returns the next page; null at the end.")


class EmbedResponse(BaseModel):
    """A vector of the space."""

    vector: list[float]
    fingerprint: str = Field(description="Identifies the space that the vector belongs to.")


class Facet(BaseModel):
    """A value of a field, with the number of items that have it."""

    value: Any
    count: int


class FacetsResponse(BaseModel):
    """Numbers of items that match a filter, by field and value."""

    fields: dict[str, list[Facet]] = Field(
        description='The most frequent values, at most 200 a field; "label" has the classes.'
    )


class FieldSummary(BaseModel):
    """Values of a field."""

    kind: str = Field(description="number, string, boolean or mixed")
    values: list[Any] = Field(description="The most frequent values, at most 50.")
    distinct: int = Field(description="Number of different values.")
    min: float | None
    max: float | None


class Sample(BaseModel):
    """An item with a picture, as an example of a class."""

    label: str
    id: str


class AboutResponse(BaseModel):
    """Contents of the index and abilities of the service."""

    name: str
    items: int
    groups: int = Field(description="Items, those of one group counted once.")
    modalities: list[str]
    reads: list[str] = Field(description='What queries may contain: "text", "image", or both.')
    classes: list[str]
    samples: list[Sample] = Field(description="Example items of up to 24 classes.")
    fields: dict[str, FieldSummary]
    roles: dict[str, str] = Field(
        description="Role (title, price, link or group) -> the field that is it."
    )
    has_instance_block: bool
    default_instance_weight: float | None = Field(
        description="Instance weight of a search without one; null without an instance block."
    )
    default_text_weight: float = Field(
        description="Weight of the text in a query of text and something else."
    )
    calibrated: bool
    writable: bool
    feedback: bool = Field(description="Whether judgments of results can be sent.")
    fingerprint: str = Field(description="Identifies the space.")
    languages: list[str] = Field(description="Languages of the page.")


class MapResponse(BaseModel):
    """Map of all items: one point for each of their modalities, as columns of equal length."""

    x: list[float]
    y: list[float]
    modality: list[int] = Field(description="Positions in modalities.")
    class_: list[int] = Field(alias="class", description="Positions in classes; -1: none.")
    ids: list[str]
    modalities: list[str]
    classes: list[str]
    generation: int = Field(description="Generation of the index that the map shows.")
    current: bool = Field(description="Whether the index has not changed since.")


class WriteResponse(BaseModel):
    """Result of a change."""

    id: str
    change: str = Field(description="added, replaced, described, unchanged or removed")
    items: int = Field(description="Number of items in the index now.")


class BatchResponse(BaseModel):
    """Result of a batch of changes."""

    added: int
    replaced: int
    described: int = Field(description="Items of which only labels or fields changed.")
    unchanged: int
    items: int = Field(description="Number of items in the index now.")


class ServedIndex(BaseModel):
    """One of the indexes of the service."""

    name: str = Field(
        description="Its calls are under /v1/indexes/NAME, its page at /indexes/NAME/."
    )
    title: str
    items: int


class SnapshotResponse(BaseModel):
    """A snapshot of the index."""

    name: str
    bytes: int
    created: str = Field(description="ISO date and time, UTC.")


class StatusResponse(BaseModel):
    """State of the service."""

    status: str


class ErrorContent(BaseModel):
    """What is wrong, what was expected, what came instead, and what to do."""

    code: str = Field(description="Stable identifier for programs.")
    problem: str
    expected: str = ""
    found: str = ""
    advice: str = ""


class ErrorResponse(BaseModel):
    """The form of every error."""

    error: ErrorContent

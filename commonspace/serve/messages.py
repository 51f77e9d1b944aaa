"""What goes over the wire: requests as they are checked, answers as they are promised.

Every model names its fields' meaning; OpenAPI is made of them. It knows no index.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

__all__ = [
    "AboutAnswer",
    "ErrorAnswer",
    "FieldAnswer",
    "FoundItem",
    "Health",
    "ItemAnswer",
    "MapAnswer",
    "NewItem",
    "Probability",
    "Refusal",
    "SearchAnswer",
    "SearchRequest",
    "Written",
]

Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Id = Annotated[str, Field(min_length=1, max_length=1000)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SearchRequest(_Request):
    """A query: words, an item of the index, or (as multipart/form-data) an image; or several."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"text": "a red kite", "k": 5}]},
    )

    text: str | None = Field(None, min_length=1, max_length=10_000, description="Words.")
    id: Id | None = Field(None, description="An item of the index: more like this.")
    vector: list[FiniteFloat] | None = Field(
        None, max_length=100_000, description="A vector of the space."
    )
    query_modality: str | None = Field(
        None,
        max_length=200,
        description="By which of its modalities the item asks; all: their mean.",
    )
    k: int = Field(10, ge=1, le=1000, description="How many items.")
    offset: int = Field(0, ge=0, le=10_000, description="How many of the best to pass over.")
    modality: str | None = Field(
        None, max_length=200, description="Find items by this modality alone."
    )
    where: str | None = Field(
        None, max_length=20_000, description='A condition: label = "Watches" and price < 50.'
    )
    instance_weight: Share | None = Field(
        None, description="From 0, the same kind, to 1, this very thing; for granular spaces."
    )
    min_relevance: Share | None = Field(
        None, description="Leave out, of the k, what is less probably relevant."
    )


class NewItem(_Request):
    """An item to put in; an image comes with it as multipart/form-data."""

    model_config = ConfigDict(
        extra="forbid",
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
    fields: dict[str, str | bool | int | FiniteFloat | None] = Field(
        default_factory=dict, max_length=100
    )


class FoundItem(BaseModel):
    """An item that was found."""

    id: str
    modality: str = Field(description="By which of its modalities it was found.")
    score: float = Field(description="The inner product of the query's vector with the item's.")
    relevance: float | None = Field(
        description="How probable it is that query and item share a class; null: not calibrated."
    )
    labels: list[str]
    split: str
    texts: list[str] = Field(description="Its texts, where the index keeps texts.")
    has_picture: bool
    modalities: list[str]
    fields: dict[str, Any]


class SearchAnswer(BaseModel):
    """What was found, the best first."""

    results: list[FoundItem]
    total: int = Field(description="Items that condition and modality leave to be found.")
    has_instance_block: bool
    calibrated: bool
    seconds: float = Field(description="From the whole request to the answer.")


class Probability(BaseModel):
    """A class, and how probable it is."""

    name: str
    probability: float


class ItemAnswer(BaseModel):
    """All that is known of an item."""

    id: str
    split: str
    labels: list[str]
    texts: list[str]
    has_picture: bool
    fields: dict[str, Any]
    modalities: list[str]
    posterior: dict[str, list[Probability]] | None = Field(
        description="Modality -> its most probable classes; null where the space tells none."
    )
    neighbours: list[FoundItem]


class FieldAnswer(BaseModel):
    """What the items hold in one field."""

    kind: str = Field(description="number, string, boolean or mixed")
    values: list[Any] | None = Field(description="The most frequent, at most 50.")
    distinct: int
    min: float | None
    max: float | None


class AboutAnswer(BaseModel):
    """What there is to search in."""

    name: str
    items: int
    modalities: list[str]
    classes: list[str]
    fields: dict[str, FieldAnswer]
    has_instance_block: bool
    calibrated: bool
    writable: bool
    languages: list[str] = Field(description="Languages that the page speaks.")


class MapAnswer(BaseModel):
    """Every item on a plane, a point for each of its modalities, as columns of equal length."""

    x: list[float]
    y: list[float]
    modality: list[int]
    class_: list[int] = Field(alias="class", description="A place in classes; -1: none.")
    ids: list[str]
    modalities: list[str]
    classes: list[str]
    generation: int = Field(description="Of the index, when the map was made.")
    current: bool = Field(description="Whether the index is as it was then.")


class Written(BaseModel):
    """What a change did."""

    id: str
    change: str = Field(description="added, replaced, described, unchanged or removed")
    items: int = Field(description="Items that the index holds now.")


class Health(BaseModel):
    """Whether the service is there."""

    status: str


class Refusal(BaseModel):
    """What is wrong, what was expected, what came, and what to do."""

    problem: str
    expected: str = ""
    found: str = ""
    advice: str = ""


class ErrorAnswer(BaseModel):
    """The form of every error."""

    error: Refusal

"""Items, queries and search results: the data types of index, service and client.

Importing this module loads neither torch nor numpy.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commonspace.errors import SettingError, check_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Item", "Query", "SearchResult", "SearchResults", "split_words"]

_AVOIDED = re.compile(r"""(^|\s)[-−](?:"([^"]+)"|([^\s"-][^\s"]*))""")

LONGEST_TEXT = 100_000
"""Maximum number of characters of a text query; a longer one is probably a file."""


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
    """Probability that query and item share a class, lower for a query that is unlike the training
    data; None if the space is not calibrated."""
    has_keywords: bool = False
    """Whether it comes first because it holds all words of the query."""
    similar: tuple[str, ...] = ()
    """Ids of results that are grouped behind it, by ``group_by`` or ``max_similarity``."""


class SearchResults(list[SearchResult]):
    """A ranked list of search results, best first; prints as a table.

    Args:
        results: in order.
        total: number of items that match the filter and have the modality, ranked or not.
        nothing_matches: whether the query is unlike everything that the space was trained on, so
            that these are the nearest items, but probably no matches.
    """

    def __init__(
        self,
        results: Iterable[SearchResult] = (),
        total: int = 0,
        *,
        nothing_matches: bool = False,
    ) -> None:
        super().__init__(results)
        self.total = total
        self.nothing_matches = nothing_matches

    def __repr__(self) -> str:
        """Return a table in plain text."""
        rows = [("score", "relevance", "id", "labels", "text"), *map(_cells, self)]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        note = "; probably nothing matches" if self.nothing_matches else ""
        return "\n".join([f"{len(self)} of {self.total} items{note}", *lines])

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


@dataclass(frozen=True, eq=False)
class Query:
    """A query, with the same parameters and defaults as ``Index.search``.

    Args:
        text: words to search for.
        image: an image file, or an (h, w, 3) uint8 array.
        vector: (d,), a vector of the space, as ``CommonSpace.embed`` returns it.
        id: an item of the index: "more like this". The item itself is not among the results. With
            several of text, image, vector and id, the query vector is the mean of their vectors,
            each scaled to unit length.
        k: maximum number of results.
        offset: number of results to skip, for paging.
        modality: search only the vectors of this modality (default: all; an item is ranked by its
            best vector).
        query_modality: with ``id``, use only this modality of the item (default: the mean of all).
        where: a filter on the fields, such as 'price < 50'; see ``commonspace.retrieval.filter``.
        instance_weight: 0 ranks by class, 1 by exact item; only for spaces with an instance block
            (default: ``space.default_instance_weight``, chosen on validation).
        min_relevance: drop results, of the k, whose relevance is lower.
        keywords: whether items that hold all words of a query of text alone come first, if they
            are at most 10.
        text_weight: of a query of text and something else, the weight of the text, from 0 to 1
            (default: ``space.default_text_weight``, chosen on validation).
        without: words to avoid: items that hold all of them are left out; with commas between them,
            items that hold all words of one of the parts.
        less_like: id, or ids, of items to be unlike. They are no results; half of the score that
            their mean gives an item is subtracted from its score.
        less_like_vector: (d,), a vector to be unlike, as ``Index.embed`` returns it for a photo.
        diversity: from 0 (by score) to 1: prefers results that are unlike those before them, among
            the 200 best.
        max_similarity: from 0 to 1: of results that are at least so similar, the best is listed,
            with the others in its ``similar``, among the 200 best. 0.95 is for near-duplicates.
        group_by: a field: of the items with equal values, such as the photos of one product, the
            best is listed, with the others in its ``similar``; ``total`` counts the groups.
        sort: a field that orders the 200 best results, "-price" for descending order. Without
            ``min_relevance``, those of a relevance of at least 0.5, if the space is calibrated.

    Raises:
        SettingError: If a value is out of range, or text, image, vector and id are all missing.
    """

    text: str | None = None
    image: "str | Path | NDArray[np.uint8] | None" = None
    vector: "ArrayLike | None" = None
    id: str | None = None
    _: KW_ONLY
    k: int = 10
    offset: int = 0
    modality: str | None = None
    query_modality: str | None = None
    where: str | None = None
    instance_weight: float | None = None
    min_relevance: float | None = None
    keywords: bool = True
    text_weight: float | None = None
    without: str | None = None
    less_like: str | Sequence[str] | None = None
    less_like_vector: "ArrayLike | None" = None
    diversity: float = 0.0
    max_similarity: float | None = None
    group_by: str | None = None
    sort: str | None = None

    @property
    def unlike_ids(self) -> tuple[str, ...]:
        """The ids of ``less_like``, each once."""
        given = (self.less_like,) if isinstance(self.less_like, str) else self.less_like or ()
        return tuple(dict.fromkeys(given))

    def __post_init__(self) -> None:
        """Check the values."""
        checks = (
            ("k", type(self.k) is int and self.k >= 1, "a whole number from 1"),
            ("offset", type(self.offset) is int and self.offset >= 0, "a whole number from 0"),
            ("id", isinstance(self.id, str | None), "the id of an item"),
            ("modality", isinstance(self.modality, str | None), "a name"),
            ("query_modality", isinstance(self.query_modality, str | None), "a name"),
            ("where", isinstance(self.where, str | None), "a condition, such as 'price < 50'"),
            ("instance_weight", _is_fraction(self.instance_weight), "from 0 to 1"),
            ("min_relevance", _is_fraction(self.min_relevance), "from 0 to 1"),
            ("keywords", isinstance(self.keywords, bool), "True or False"),
            ("text_weight", _is_fraction(self.text_weight), "from 0 to 1"),
            ("less_like", _is_ids(self.less_like), "the id of an item, or several"),
            ("diversity", _is_number(self.diversity), "from 0 to 1"),
            ("max_similarity", _is_fraction(self.max_similarity), "from 0 to 1"),
            ("group_by", isinstance(self.group_by, str | None), "the name of a field"),
            ("sort", isinstance(self.sort, str | None), "the name of a field"),
        )
        if not all(valid for _, valid, _ in checks):
            check_settings(self, checks)
        if self.text is None and self.image is None and self.vector is None and self.id is None:
            raise SettingError(
                "the query is empty",
                expected="a text, an image, a vector or an id",
                found="none of them",
                advice='search for words: index.search("a red kite")',
            )
        if self.query_modality is not None and self.id is None:
            raise SettingError(
                "`query_modality` needs `id`",
                expected="the id of an item, one of whose modalities is the query",
                found=f"query_modality={self.query_modality!r} without id",
                advice="leave query_modality out",
            )
        for text in (self.text, self.without):
            if text is not None:
                _check_text(text)
        if isinstance(self.image, str) and "://" in self.image:
            raise SettingError(
                "`image` must be a file, got a URL",
                expected="the path of an image file, or an array",
                found=self.image[:200],
                advice="download the image first",
            )


def _cells(result: SearchResult) -> tuple[str, str, str, str, str]:
    text = " ".join(result.texts[0].split()) if result.texts else ""
    return (
        f"{result.score:.3f}",
        "" if result.relevance is None else f"{result.relevance:.2f}",
        result.id,
        ", ".join(result.labels),
        text if len(text) <= 60 else f"{text[:59]}…",
    )


def _is_ids(value: object) -> bool:
    """Return whether a value is None, an id, or a list of ids."""
    if value is None or isinstance(value, str):
        return True
    return isinstance(value, Sequence) and all(isinstance(one, str) for one in value)


def _is_fraction(value: object) -> bool:
    """Return whether a value is None or a number from 0 to 1."""
    if value is None:
        return True
    try:
        return not isinstance(value, str) and 0 <= float(value) <= 1  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _is_number(value: object) -> bool:
    """Return whether a value is a number from 0 to 1."""
    return value is not None and _is_fraction(value)


def _check_text(text: object) -> None:
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
        found = (
            f"{len(text):,} characters: {text[:30]!r}…"
            if isinstance(text, str) and text.strip()
            else repr(text)[:40]
        )
        raise SettingError(
            "the text of a query cannot be used",
            expected=f"words, at most {LONGEST_TEXT:,} characters",
            found=found,
            advice="search for a sentence or two",
        )


def split_words(typed: str) -> tuple[str, str]:
    """Divide words that were typed into those to search for, and those to avoid.

    Args:
        typed: words; those to avoid have a hyphen before them.

    Returns:
        The words to search for, and the parts to avoid, with commas between them.

    Example:
        >>> split_words('watch -leather for men -"real gold"')
        ('watch for men', 'leather, real gold')
        >>> split_words("Analog Watch - PLO-166")
        ('Analog Watch - PLO-166', '')
    """
    parts = [(phrase or word).strip() for _, phrase, word in _AVOIDED.findall(typed)]
    if not parts:
        return typed, ""
    return " ".join(_AVOIDED.sub(r"\1", typed).split()), ", ".join(filter(None, parts))

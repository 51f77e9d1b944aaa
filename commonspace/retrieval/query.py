"""What is asked and what is found, and the checks of a query at the door. Knows no index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError, SettingError
from commonspace.retrieval.embedder import Embedder

__all__ = ["Found", "Query", "checked_vectors", "vectors_of"]

LONGEST_TEXT = 100_000
"""Characters of a text query: more is a file given by mistake."""


@dataclass(frozen=True, eq=False)
class Query:
    """What to look for: words, a picture, a vector, or several of them at once.

    Where several are given, the query is the mean of their vectors, each scaled to unit length:
    the score of an item is then the mean of its scores with each.

    Args:
        text: words.
        image: an image file, or an (h, w, 3) uint8 array.
        vector: (d,), a vector of the common space, as ``embed`` gives it.
    """

    text: str | None = None
    image: str | Path | NDArray[np.uint8] | None = None
    vector: ArrayLike | None = None


@dataclass(frozen=True)
class Found:
    """An item that was found."""

    id: str
    """The user's own."""
    modality: str
    """By which of its modalities it was found."""
    score: float
    """The inner product of the query's vector with the item's."""
    relevance: float | None
    """How probable it is that query and item share a class; None without a calibrated space."""
    labels: tuple[str, ...]
    split: str
    fields: Mapping[str, Any]
    """The item's own fields, without those that it lacks."""
    texts: tuple[str, ...]
    """Its texts, where the index was made of raw texts."""
    photo: str | None
    """The path of its picture, where the index was made of image files."""
    has_picture: bool
    """Whether it has a picture: a file, or pixels that the index keeps."""


def vectors_of(queries: Sequence[Query], embedder: Embedder) -> NDArray[np.float32]:
    """Return (q, d), the vectors of queries: all texts are embedded in one pass, and all pictures.

    Raises:
        SettingError: nothing is asked; a text is empty or too long; the space cannot read it.
        DataError: a picture or a vector cannot be used.
    """
    parts: list[list[NDArray[np.float32]]] = [[] for _ in queries]
    strange = [query for query in queries if not isinstance(query, Query)]
    if strange:
        raise SettingError(
            "a query has the wrong form",
            expected="Query objects, or an array of vectors",
            found=repr(strange[0])[:60],
            advice='wrap it: Query(text="a red kite")',
        )
    asking = [row for row, query in enumerate(queries) if query.text is not None]
    if asking:
        texts = [_checked_text(queries[row].text) for row in asking]
        for row, vector in zip(asking, embedder.texts(texts), strict=True):
            parts[row].append(vector)
    showing = [row for row, query in enumerate(queries) if query.image is not None]
    if showing:
        images = [_opened(queries[row].image) for row in showing]
        for row, vector in zip(showing, embedder.images(images), strict=True):
            parts[row].append(vector)
    for row, query in enumerate(queries):
        if query.vector is not None:
            parts[row].append(checked_vectors([query.vector], embedder)[0])
    rows = [_together(part) for part in parts]
    size = embedder.space.dimension
    return np.ascontiguousarray(np.reshape(rows, (len(rows), size)), dtype=np.float32)


def checked_vectors(
    vectors: ArrayLike | Sequence[ArrayLike], embedder: Embedder
) -> NDArray[np.float32]:
    """Return (q, d) float32 for vectors that somebody else made.

    Raises:
        DataError: they are not finite numbers, all zero, or not of the space's length.
    """
    dimension = embedder.space.dimension
    try:
        given = np.asarray(vectors)
        found = f"{given.dtype} of shape {given.shape}"
        fits = given.ndim == 2 and given.shape[1] == dimension and given.dtype.kind in "fiu"
    except ValueError:
        fits, found = False, "lists of several lengths"
    if not fits:
        raise DataError(
            "a query vector has the wrong form",
            expected=f"{dimension} real numbers, as {embedder.space!r} gives them",
            found=found,
            advice="embed the query with the index's own space: index.space.embed(...)",
        )
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(given, dtype=np.float32)
    if not np.isfinite(rows).all():
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise DataError(
            "a query vector is not finite",
            expected="finite float32 numbers",
            found=f"{rows[row][~np.isfinite(rows[row])][0]} in row {row}",
            advice="repair or drop it",
        )
    for row in rows[~rows.any(axis=1)]:
        _check_length(row)
    return rows


def _together(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return (d,): the one part, or the mean of several, each of unit length."""
    if not parts:
        raise SettingError(
            "nothing is asked",
            expected="a text, an image or a vector",
            found="none of them",
            advice='search for words: index.search(text="a red kite")',
        )
    for part in parts:
        _check_length(part)
    if len(parts) == 1:
        return parts[0]
    mean: NDArray[np.float32] = np.mean([part / np.linalg.norm(part) for part in parts], axis=0)
    _check_length(mean)
    return mean


def _opened(image: str | Path | NDArray[np.uint8] | None) -> Path | NDArray[np.uint8] | None:
    return Path(image) if isinstance(image, str) else image


def _check_length(vector: NDArray[np.float32]) -> None:
    if not np.any(vector):
        raise DataError(
            "the query is a vector of zeros",
            expected="a vector with a direction",
            found="zeros alone: every item would be as good as every other",
            advice="ask with more, or with something that the space knows",
        )


def _checked_text(text: str | None) -> str:
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
            advice="give a sentence or two",
        )
    return text

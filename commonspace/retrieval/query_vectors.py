"""Query vectors: text, image, vector and item of each query as one vector of the space."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError, SettingError
from commonspace.retrieval.embedder import Embedder, check_vectors
from commonspace.retrieval.items import Query
from commonspace.retrieval.likeness import ItemLikeness
from commonspace.retrieval.store import Store
from commonspace.space import CommonSpace

__all__ = [
    "UNLIKE",
    "QueryItem",
    "QueryVectors",
    "mean_vector",
    "query_vectors",
    "ranking_vectors",
    "weight_of_text",
]

LEAST_LIKELY = 0.1
"""Least probability of being like the training data by which the weight of a text is multiplied."""

UNLIKE = 0.5
"""Share of the score for what a query is to be unlike that is subtracted from its score."""


class QueryItem(NamedTuple):
    """An item that a query names, which is no result."""

    number: int
    modalities: tuple[str, ...]
    """Modalities that it has vectors of."""


class QueryVectors(NamedTuple):
    """The vectors of q queries."""

    values: NDArray[np.float32]
    """(q, d)."""
    unlike: NDArray[np.float32]
    """(q, d), of what the results are to be unlike, at unit length; 0 without any."""
    inside: NDArray[np.float64]
    """(q,), probability that a query is like the training data of the space: the highest of its
    parts. 1 for items and vectors, and where the space does not detect it."""
    items: list[list[QueryItem]]
    """The items that each query names."""

    @property
    def own(self) -> NDArray[np.int64]:
        """(q, n), the numbers of the items that each query names; -1 where there are fewer."""
        most = max(map(len, self.items), default=0)
        numbers = [[item.number for item in row] for row in self.items]
        rows = [row + [-1] * (most - len(row)) for row in numbers]
        return np.array(rows, dtype=np.int64).reshape(len(rows), most)

    def take(self, rows: list[int]) -> "QueryVectors":
        """Return the vectors of some of the queries."""
        items = [self.items[row] for row in rows]
        return QueryVectors(self.values[rows], self.unlike[rows], self.inside[rows], items)


def query_vectors(
    store: Store,
    number: int,
    embedder: Embedder,
    queries: Sequence[Query],
    likeness: ItemLikeness | None = None,
) -> QueryVectors:
    """Return the vectors of queries; all texts are embedded in one pass, and all images.

    Args:
        store: contains the items of id queries.
        number: of the current space.
        embedder: the space with its encoders.
        queries: q queries.
        likeness: compares texts and photos with the items, where the space detects nothing; None:
            nothing does.

    Raises:
        SettingError: If a query has an unknown id, or asks for what the space does not support.
        DataError: If an image or a vector cannot be used.
    """
    for query in queries:
        if not isinstance(query, Query):
            raise SettingError(
                "a query has the wrong type",
                expected="Query objects",
                found=repr(query)[:60],
                advice='wrap it: Query(text="a red kite")',
            )
    parts: list[list[NDArray[np.float32]]] = [[] for _ in queries]
    inside: list[list[float]] = [[] for _ in queries]
    excluded: list[list[QueryItem]] = [[] for _ in queries]
    texts = {row: query.text for row, query in enumerate(queries) if query.text is not None}
    images = {row: query.image for row, query in enumerate(queries) if query.image is not None}
    embedded = []
    if texts:
        embedded.append(("texts", [*texts], embedder.texts([*texts.values()])))
    if images:
        embedded.append(("images", [*images], embedder.images([*images.values()])))
    for kind, numbers, (vectors, probabilities) in embedded:
        if likeness and probabilities is None and _may_detect(embedder, kind):
            modality = embedder.modality_reading(kind)
            probabilities = likeness.probability(number, modality, vectors)
        for place, row in enumerate(numbers):
            parts[row].append(vectors[place])
            inside[row].append(1.0 if probabilities is None else float(probabilities[place]))
    rows = [row for row, query in enumerate(queries) if query.vector is not None]
    if rows:
        given = check_vectors([queries[row].vector for row in rows], embedder.space)
        for row, vector in zip(rows, given, strict=True):
            parts[row].append(vector)
            inside[row].append(1.0)
    for row, query in enumerate(queries):
        if query.id is not None:
            item, own = _item_vectors(store, query.id, query.query_modality, number)
            excluded[row].append(item)
            parts[row].append(mean_vector(own))
            inside[row].append(1.0)
    means = [
        mean_vector(part, weight_of_text(query, embedder.space, likely[0]))
        for query, part, likely in zip(queries, parts, inside, strict=True)
    ]
    size = embedder.space.dimension
    unlike = np.zeros((len(queries), size), dtype=np.float32)
    for row, query in enumerate(queries):
        if query.unlike_ids or query.less_like_vector is not None:
            items, unlike[row] = _unlike(store, number, embedder, query)
            excluded[row] += items
    stacked = np.ascontiguousarray(np.reshape(means, (len(means), size)), dtype=np.float32)
    return QueryVectors(stacked, unlike, np.array([*map(max, inside)], dtype=np.float64), excluded)


def _may_detect(embedder: Embedder, kind: str) -> bool:
    """Return whether queries may be compared with the items; a class posterior is too certain."""
    return not embedder.space.has_instance_block and embedder.reads(kind)


def weight_of_text(query: Query, space: CommonSpace, likely: float = 1.0) -> float | None:
    """Return the weight of the text of a query; None for a query without text.

    The default of the space, chosen on whole texts, is lower for words that are unlike them, such
    as "red" beside a photo: it is multiplied by their probability of being like the training data,
    or by 0.1 if that is less, relative to the weight of the rest.

    Args:
        query: with its own weight or without.
        space: has the default.
        likely: probability that the text is like the training data.
    """
    if query.text is None:
        return None
    if query.text_weight is not None:
        return query.text_weight
    weight = space.default_text_weight
    scaled = weight * max(likely, LEAST_LIKELY)
    return scaled / (scaled + 1 - weight)


def ranking_vectors(
    space: CommonSpace,
    vectors: NDArray[np.float32],
    instance_weight: float | None,
    unlike: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return (q, d) query vectors of a search, whose inner product with an item is its score.

        score(item) = score(query, item) - 0.5 score(unlike, item)

    with query and unlike at unit length where something is to be unlike (Rocchio's negative
    feedback, with the weight that "2 positive - negative" has).

    Args:
        space: of the vectors.
        vectors: (q, d), of the queries.
        instance_weight: None: the default of the space.
        unlike: (q, d), at unit length or 0.
    """
    weight = space.default_instance_weight if instance_weight is None else instance_weight
    if unlike is None or not unlike.any():
        return space.as_queries(vectors, weight)
    rows = unlike.any(axis=1)
    scaled = vectors.copy()
    scaled[rows] /= np.linalg.norm(vectors[rows], axis=1, keepdims=True)
    return space.as_queries(scaled, weight) - UNLIKE * space.as_queries(unlike, weight)


def mean_vector(
    parts: Sequence[NDArray[np.float32]], first_weight: float | None = None
) -> NDArray[np.float32]:
    """Return the (d,) mean of vectors, each scaled to unit length; a single one as it is.

    Args:
        parts: n vectors, (d,) each.
        first_weight: weight of the first one, from 0 to 1, if there are two or more; the others
            share the rest. None, or 0.5: all weigh the same.

    Raises:
        DataError: If one of them, or their mean, is zero.
    """
    for part in parts:
        _check_nonzero(part)
    if len(parts) == 1:
        return parts[0]
    weights = np.ones(len(parts))
    if first_weight is not None and first_weight != 0.5:
        weights[0] = first_weight
        weights[1:] = (1 - first_weight) / (len(parts) - 1)
    units = np.stack([part / np.linalg.norm(part) for part in parts])
    mean = np.average(units, axis=0, weights=weights).astype(np.float32)
    _check_nonzero(mean)
    return mean


def _unlike(
    store: Store, number: int, embedder: Embedder, query: Query
) -> tuple[list[QueryItem], NDArray[np.float32]]:
    """Return the items that a query is to be unlike, and the mean of all, at unit length."""
    items, parts = [], []
    for id in query.unlike_ids:
        item, vectors = _item_vectors(store, id, None, number)
        items.append(item)
        parts.append(mean_vector(vectors))
    if query.less_like_vector is not None:
        parts.append(check_vectors([query.less_like_vector], embedder.space)[0])
    mean = mean_vector(parts)
    return items, mean / np.linalg.norm(mean)


def _item_vectors(
    store: Store, id: str, modality: str | None, number: int
) -> tuple[QueryItem, list[NDArray[np.float32]]]:
    with store.reading():
        item = store.item_numbers([id]).get(id)
        if item is None:
            raise _unknown_item(id)
        vectors = store.item_vectors(number, item)
    if modality is not None and modality not in vectors:
        raise SettingError(
            f"the item {id[:80]!r} has no modality {modality[:80]!r}",
            expected=" or ".join(map(repr, vectors)),
            found=repr(modality)[:80],
            advice="leave query_modality out to use all of them",
        )
    chosen = vectors if modality is None else {modality: vectors[modality]}
    return QueryItem(item, tuple(vectors)), list(chosen.values())


def _unknown_item(id: str) -> SettingError:
    """Return the error of an id that the index does not contain."""
    return SettingError(
        f"the index has no item {id[:80]!r}",
        expected="the id of an item, as a search returns it",
        found=ascii(id)[:80],
        advice="check its spelling",
    )


def _check_nonzero(vector: NDArray[np.float32]) -> None:
    if not np.any(vector):
        raise DataError(
            "the query vector is zero",
            expected="a vector with a direction",
            found="zeros only: all items would have the same score",
            advice="search for something else, or for words that the space was trained on",
        )

"""In-memory search of a data set: the query is compared with every sample."""

import base64
import sys
from collections.abc import Iterable, Mapping
from html import escape
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from commonspace.data import Dataset, Images, Texts
from commonspace.data.dataset import check_dataset
from commonspace.errors import SettingError
from commonspace.retrieval.embedder import Embedder, check_vectors
from commonspace.retrieval.items import Query, SearchResult, SearchResults
from commonspace.retrieval.query_vectors import mean_vector, ranking_vectors, weight_of_text
from commonspace.space import CommonSpace, Embeddings

__all__ = ["DatasetResults", "search_dataset"]

THUMBNAIL = 96
"""Side of a thumbnail, in pixels."""

_Cache = WeakKeyDictionary[Dataset, dict[str, Embeddings]]
_CACHES: WeakKeyDictionary[CommonSpace, _Cache] = WeakKeyDictionary()
"""Embeddings of searched data sets, as long as both model and data set exist."""


class DatasetResults(SearchResults):
    """Search results with the data set that they come from; images are shown as thumbnails.

    Args:
        results: Best first.
        total: Number of samples that were ranked.
        data: The data set.
    """

    def __init__(self, results: Iterable[SearchResult], total: int, data: Dataset) -> None:
        super().__init__(results, total)
        self._data = data

    def show(self) -> None:
        """Display the results: with thumbnails in a notebook, as a text table elsewhere."""
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython is not None else None
        if shell is not None and shell.has_trait("kernel"):
            import_module("IPython.display").display(self)
        else:
            print(self)

    def _repr_html_(self) -> str:
        """Return a table for a notebook, with a thumbnail for each sample that has an image."""
        rows = {id: row for row, id in enumerate(self._data.ids)}
        thumbnails = [_thumbnail(self._data, rows[result.id]) for result in self]
        names = ["score", "relevance", "id", "labels", "text"]
        head = "".join(
            f"<th>{name}</th>" for name in (["image"] if any(thumbnails) else []) + names
        )
        body = ""
        for result, thumbnail in zip(self, thumbnails, strict=True):
            cells = [
                f"{result.score:.3f}",
                "" if result.relevance is None else f"{result.relevance:.2f}",
                result.id,
                ", ".join(result.labels),
                " / ".join(result.texts),
            ]
            image = f"<td>{thumbnail}</td>" if any(thumbnails) else ""
            body += f"<tr>{image}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        title = f"{len(self)} of {self.total} items"
        return (
            f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )


def search_dataset(
    space: CommonSpace,
    data: Dataset,
    query: Query,
    *,
    encoders: Mapping[str, str] | None = None,
) -> DatasetResults:
    """Return the samples of a data set that match a query best.

    Args:
        space: Embeds query and samples.
        data: Samples to search.
        query: Query and options; ``where`` is not supported.
        encoders: For a model of features: modality -> encoder that made them.

    Raises:
        SettingError: If a modality or id is unknown, or an option is not supported.
        DataError: If the query or a sample cannot be embedded.
    """
    check_dataset(data, "search")
    if query.where is not None:
        raise SettingError(
            "`where` is not supported in memory",
            expected="where=None",
            found=repr(query.where),
            advice="select samples with data.take(rows), or create an Index",
        )
    embedder = Embedder(space, encoders or {})
    embeddings = _embed(space, data, embedder)
    names = list(embeddings) if query.modality is None else [query.modality]
    if query.modality is not None and query.modality not in embeddings:
        raise SettingError(
            f"{data.name!r} has no embeddings of {query.modality!r}",
            expected=" or ".join(map(repr, embeddings)),
            found=repr(query.modality),
            advice="leave modality out to search all of them",
        )
    if query.min_relevance is not None and not space.calibrated:
        raise SettingError(
            "`min_relevance` is not supported: this model is not calibrated",
            expected="min_relevance=None, or a calibrated model",
            found=repr(space),
            advice="leave min_relevance out and filter by score",
        )
    own = None if query.id is None else _row(data, query.id)
    vector = _query_vector(query, embedder, embeddings, own)
    scores = _scores(
        ranking_vectors(space, vector, query.instance_weight), embeddings, names, len(data)
    )
    best = scores.max(axis=0)
    candidates = np.flatnonzero(np.isfinite(best))
    candidates = candidates[candidates != own] if own is not None else candidates
    order = candidates[np.argsort(-best[candidates], kind="stable")]
    order = order[query.offset : query.offset + query.k]
    winners = scores[:, order].argmax(axis=0)
    relevance = _relevance(space, vector, embeddings, names, order, winners, best)
    results = [
        _result(data, int(row), names[winner], float(best[row]), probability)
        for row, winner, probability in zip(order, winners, relevance, strict=True)
        if query.min_relevance is None
        or (probability is not None and probability >= query.min_relevance)
    ]
    return DatasetResults(results, len(candidates), data)


def _embed(space: CommonSpace, data: Dataset, embedder: Embedder) -> dict[str, Embeddings]:
    cache = _CACHES.setdefault(space, WeakKeyDictionary())
    if data not in cache:
        shared = [name for name in space.modalities if name in data.columns]
        if not shared:
            space.embed_dataset(data)  # raises the error that names the modalities
        embeddings = {}
        for name in shared:
            rows = np.flatnonzero(data.columns[name].present)
            if len(rows):
                _, column = embedder.prepare(data, name, rows)
                embeddings[name] = Embeddings(embedder.embed(name, column), rows)
        cache[data] = embeddings
    return cache[data]


def _row(data: Dataset, id: str) -> int:
    if id not in data.ids:
        raise SettingError(
            f"{data.name!r} has no sample {id[:80]!r}",
            expected="one of data.ids",
            found=ascii(id)[:80],
            advice="check its spelling",
        )
    return data.ids.index(id)


def _query_vector(
    query: Query, embedder: Embedder, embeddings: Mapping[str, Embeddings], own: int | None
) -> NDArray[np.float32]:
    """Return the (1, d) query vector, the mean of all parts of the query."""
    parts = []
    try:
        if query.text is not None:
            parts.append(embedder.texts([query.text])[0][0])
        if query.image is not None:
            image = Path(query.image) if isinstance(query.image, str) else query.image
            parts.append(embedder.images([image])[0][0])
    except SettingError as exc:
        raise SettingError(
            exc.problem,
            expected=exc.expected,
            found=exc.found,
            advice='pass its encoder, as in encoders={"text": "st:FOLDER"}, or search by id or'
            " vector",
        ) from exc
    if query.vector is not None:
        parts.append(check_vectors([query.vector], embedder.space)[0])
    if own is not None:
        parts.append(mean_vector(_sample_vectors(query, embeddings, own)))
    mean = mean_vector(parts, weight_of_text(query, embedder.space))
    return np.ascontiguousarray(mean[None], dtype=np.float32)


def _sample_vectors(
    query: Query, embeddings: Mapping[str, Embeddings], own: int
) -> list[NDArray[np.float32]]:
    vectors = {
        name: part.vectors[np.searchsorted(part.rows, own)]
        for name, part in embeddings.items()
        if own in part.rows
    }
    if query.query_modality is None:
        return list(vectors.values())
    if query.query_modality not in vectors:
        raise SettingError(
            f"the sample {str(query.id)[:80]!r} has no modality {query.query_modality!r}",
            expected=" or ".join(map(repr, vectors)),
            found=repr(query.query_modality),
            advice="leave query_modality out to use all of them",
        )
    return [vectors[query.query_modality]]


def _scores(
    query: NDArray[np.float32], embeddings: Mapping[str, Embeddings], names: list[str], count: int
) -> NDArray[np.float32]:
    """Return (modalities, samples) scores, -inf for samples without the modality."""
    scores = np.full((len(names), count), -np.inf, dtype=np.float32)
    for number, name in enumerate(names):
        scores[number, embeddings[name].rows] = embeddings[name].vectors @ query[0]
    return scores


def _relevance(
    space: CommonSpace,
    vector: NDArray[np.float32],
    embeddings: Mapping[str, Embeddings],
    names: list[str],
    order: NDArray[np.intp],
    winners: NDArray[np.intp],
    best: NDArray[np.float32],
) -> list[float | None]:
    """Return probabilities, from the scores at instance weight 0; None if not calibrated."""
    if not space.calibrated:
        return [None] * len(order)
    scores = best[order]
    if space.has_instance_block:
        by_class = _scores(space.as_queries(vector, 0.0), embeddings, names, len(best))
        scores = by_class[winners, order]
    return [float(value) for value in space.relevance(scores)]


def _result(
    data: Dataset, row: int, modality: str, score: float, relevance: float | None
) -> SearchResult:
    texts: list[str] = []
    photo = None
    has_picture = False
    for column in data.columns.values():
        if isinstance(column, Texts):
            texts += column.items[row]
        if isinstance(column, Images) and column.items[row] is not None:
            has_picture = True
            photo = str(column.items[row]) if isinstance(column.items[row], Path) else photo
    return SearchResult(
        id=data.ids[row],
        split=str(data.splits[row]),
        labels=tuple(data.class_names[c] for c in np.flatnonzero(data.labels[row])),
        fields={
            name: values[row] for name, values in data.fields.items() if values[row] is not None
        },
        texts=tuple(texts),
        photo=photo,
        has_picture=has_picture,
        modalities=tuple(name for name, column in data.columns.items() if column.present[row]),
        modality=modality,
        score=score,
        relevance=relevance,
    )


def _thumbnail(data: Dataset, row: int) -> str:
    """Return an HTML image of a sample; empty if it has none, or if its file cannot be read."""
    for column in data.columns.values():
        if isinstance(column, Images) and column.items[row] is not None:
            try:
                return _picture(column.items[row])
            except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
                return ""
    return ""


def _picture(item: Any) -> str:  # noqa: ANN401 - a path or an array
    picture = Image.open(item) if isinstance(item, Path) else Image.fromarray(item)
    with picture, BytesIO() as file:
        picture.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))
        small = picture.convert("RGB")
        small.thumbnail((THUMBNAIL, THUMBNAIL))
        small.save(file, "JPEG", quality=85)
        code = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{code}" alt="">'

"""Operations of the service on its index, beside searches: items, contents, changes.

Everything here runs in threads, never on the event loop, and knows no HTTP.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data import Column, Dataset, Images, Texts, label_file_of
from commonspace.errors import SettingError
from commonspace.networks.posterior import MAX_INSTANCE_WEIGHT, PosteriorNetwork
from commonspace.retrieval import Index, Item, Query
from commonspace.serve.errors import RequestError, unknown_item
from commonspace.serve.feedback import FeedbackFile
from commonspace.serve.index_manager import IndexManager
from commonspace.serve.labels import LabelFile, Labels
from commonspace.serve.schemas import (
    AboutResponse,
    BatchResponse,
    EmbedResponse,
    Facet,
    FacetsRequest,
    FacetsResponse,
    FeedbackRequest,
    FieldSummary,
    ItemResponse,
    ItemsResponse,
    NewItem,
    Sample,
    WriteResponse,
)
from commonspace.serve.search import without_photo
from commonspace.space import CommonSpace

__all__ = ["Service", "class_posterior"]

LANGUAGES = ["en", "zh"]
NEIGHBORS = 12
VARIANTS = 24
"""Other items of a group that are listed."""
SAMPLES = 24
"""Classes of which an example is named."""
FACETS = 100
"""Filters whose counts are cached."""
VALUES = 200
"""Values of a field that are counted."""
CLASSES = 10
"""Most probable classes of an item that are reported."""


class Service:
    """The operations on one index.

    Args:
        manager: holds the index.
        name: title; None: the name of the folder.
        writable: whether the index may be changed.
        feedback: where judgments are stored; None: they are refused.
    """

    def __init__(
        self,
        manager: IndexManager,
        name: str | None,
        *,
        writable: bool,
        feedback: FeedbackFile | None = None,
    ) -> None:
        self.manager = manager
        self.name = name or _name_of(manager.path.resolve())
        self.writable = writable
        self.labels = Labels(manager, LabelFile(label_file_of(manager.path)))
        self._feedback = feedback
        self._about: tuple[Any, ...] = ()
        self._facets: dict[tuple[Any, ...], FacetsResponse] = {}
        self._lock = threading.Lock()

    def item(self, id: str) -> ItemResponse:
        """Return an item with its class posterior and its neighbors.

        Raises:
            RequestError: 404, the id is unknown.
        """
        with self.manager.lease() as index:
            item = index.item(id)
            if item is None:
                raise unknown_item(id)
            vectors = index.vectors(id)
            neighbors = (
                index.search(id=id, k=NEIGHBORS, group_by=index.roles.get("group"))
                if vectors and all(np.any(vector) for vector in vectors.values())
                else []
            )
            values = {field.name: getattr(item, field.name) for field in fields(Item)}
            posterior = class_posterior(index.space, vectors)
            return ItemResponse(
                **{**values, "photo": None, "posterior": posterior},
                confirmed=self.labels.is_confirmed(id),
                neighbors=tuple(without_photo(result) for result in neighbors),
                variants=tuple(index.variants(id)[:VARIANTS]),
            )

    def count(self) -> int:
        """Return the number of items."""
        with self.manager.lease() as index:
            return len(index)

    def items(self, where: str | None, limit: int, cursor: str | None) -> ItemsResponse:
        """Return a page of items.

        Raises:
            SettingError: The filter or the cursor is invalid.
        """
        with self.manager.lease() as index:
            page = index.scroll(where, limit=limit, cursor=cursor)
        items = [replace(item, photo=None) for item in page.items]
        return ItemsResponse(items=items, cursor=page.cursor)

    def judge(self, judgment: FeedbackRequest) -> None:
        """Store the judgment of a visitor.

        Raises:
            RequestError: 403, judgments are not stored; 404, the id is unknown.
            OutputError: It cannot be written.
        """
        if self._feedback is None:
            raise RequestError(
                403,
                "judgments of results are not stored",
                code="read_only",
                advice="start the service with --feedback FILE",
            )
        with self.manager.lease() as index:
            for id in (judgment.id, judgment.query_id):
                if id is not None and index.item(id) is None:
                    raise unknown_item(id)
        self._feedback.add(
            text=judgment.text,
            query_id=judgment.query_id,
            id=judgment.id,
            useful=judgment.useful,
        )

    def picture(self, id: str) -> NDArray[np.uint8] | Path:
        """Return the picture of an item: its pixels, or its file.

        Raises:
            RequestError: 404, the id is unknown, or the item has no picture.
        """
        with self.manager.lease() as index:
            if index.item(id) is None:
                raise unknown_item(id)
            picture = index.picture(id)
        if picture is None:
            raise RequestError(404, "the item has no picture", advice="see has_picture of the item")
        return picture

    def about(self) -> AboutResponse:
        """Return the contents of the index; computed once for each of its states."""
        with self.manager.lease() as index:
            key = (id(index), index.generation)
            with self._lock:
                if self._about[:2] == key:
                    return self._about[2]  # type: ignore[no-any-return]
            facts, space = index.summary(), index.space
            response = AboutResponse(
                name=self.name,
                items=len(index),
                groups=index.count_groups(),
                modalities=list(facts.modalities),
                reads=[name for name in ("text", "image") if index.reads(f"{name}s")],
                classes=list(facts.classes),
                samples=_samples(index, facts.classes, facts.modalities),
                fields={
                    name: FieldSummary(
                        kind=field.kind,
                        values=list(field.values),
                        distinct=field.distinct,
                        min=field.low,
                        max=field.high,
                    )
                    for name, field in facts.fields.items()
                },
                roles=index.roles,
                has_instance_block=space.has_instance_block,
                default_instance_weight=_default_weight(space),
                default_text_weight=space.default_text_weight,
                calibrated=space.calibrated,
                writable=self.writable,
                feedback=self._feedback is not None,
                fingerprint=index.fingerprint,
                languages=LANGUAGES,
            )
            with self._lock:
                self._about = (*key, response)
            return response

    def embed(self, text: str | None, image: NDArray[np.uint8] | None) -> EmbedResponse:
        """Return the query vector of a text or an image.

        Raises:
            SettingError: The space does not read it.
            DataError: The image cannot be used.
        """
        with self.manager.lease() as index:
            vector = index.embed(text, image)
            return EmbedResponse(vector=vector.tolist(), fingerprint=index.fingerprint)

    def facets(self, query: FacetsRequest) -> FacetsResponse:
        """Return the numbers of items that match a filter, by field and value.

        Raises:
            SettingError: The filter is invalid.
        """
        with self.manager.lease() as index:
            options = {"without": query.without, "group_by": query.group_by}
            key = (id(index), index.generation, query.where, *options.values())
            with self._lock:
                if key in self._facets:
                    return self._facets[key]
            response = FacetsResponse(
                fields={
                    name: [Facet(value=value, count=count) for value, count in found]
                    for name, counts in index.facets(query.where, **options).items()
                    if (found := counts.most_common(VALUES))
                }
            )
            with self._lock:
                self._facets[key] = response
                while len(self._facets) > FACETS:
                    del self._facets[next(iter(self._facets))]
            return response

    def put(self, item: NewItem, image: NDArray[np.uint8] | None) -> WriteResponse:
        """Add or replace an item.

        Raises:
            SettingError: The space reads none of its modalities.
            DataError: It cannot be embedded or stored.
            StoreError: Another process is writing.
        """
        with self.manager.lease() as index:
            change = index.update(_dataset([item], [image]))
            names = ("added", "replaced", "described")
            kind = next((name for name in names if getattr(change, name)), "unchanged")
            return WriteResponse(id=item.id, change=kind, items=len(index))

    def put_many(self, items: Sequence[NewItem]) -> BatchResponse:
        """Add or replace items without images; all of them or none.

        Raises:
            SettingError: An id is given twice, or the space does not read texts.
            DataError: An item cannot be embedded or stored.
            StoreError: Another process is writing.
        """
        seen: set[str] = set()
        for item in items:
            if item.id in seen:
                raise SettingError(
                    f"the id {item.id[:80]!r} is given twice",
                    expected="each id once",
                    found="twice in one batch",
                    advice="send the last version only",
                )
            seen.add(item.id)
        with self.manager.lease() as index:
            change = index.update(_dataset(items, [None] * len(items)))
            counts = {name: getattr(change, name) for name in ("added", "replaced", "described")}
            unchanged = len(items) - sum(counts.values())
            return BatchResponse(**counts, unchanged=unchanged, items=len(index))

    def remove(self, id: str) -> WriteResponse:
        """Remove an item.

        Raises:
            RequestError: 404, the id is unknown.
            StoreError: Another process is writing.
        """
        with self.manager.lease() as index:
            if index.item(id) is None:
                raise unknown_item(id)
            index.remove([id])
            return WriteResponse(id=id, change="removed", items=len(index))


def class_posterior(
    space: CommonSpace, vectors: Mapping[str, NDArray[np.float32]]
) -> dict[str, dict[str, float]] | None:
    """Return modality -> class -> probability, for the ten most probable classes, best first.

    Vectors of posterior matching start with the class posterior, times sqrt(1 - w) if an instance
    block of weight w follows; see ``PosteriorNetwork``.

    Args:
        space: of the vectors.
        vectors: modality -> (d,).

    Returns:
        None for spaces of other methods.
    """
    network = space.network
    if not isinstance(network, PosteriorNetwork):
        return None
    scale = sqrt(1 - network.config.mixture) if network.has_instance_block else 1.0
    posterior = {}
    for modality, vector in vectors.items():
        shares = np.clip(vector[: network.config.classes] / scale, 0, 1)
        best = np.argsort(-shares, kind="stable")[:CLASSES].tolist()
        posterior[modality] = {space.class_names[place]: float(shares[place]) for place in best}
    return posterior


def _default_weight(space: CommonSpace) -> float | None:
    """Return the instance weight of a search without one."""
    if space.default_instance_weight is not None:
        return space.default_instance_weight
    network = space.network
    if isinstance(network, PosteriorNetwork) and network.has_instance_block:
        return min(1.0, network.config.mixture / MAX_INSTANCE_WEIGHT)
    return None


def _samples(index: Index, classes: Sequence[str], modalities: Sequence[str]) -> list[Sample]:
    """Return an item with a picture for each class, or for 24 of them."""
    if "image" not in modalities or not classes:
        return []
    step = max(1, len(classes) / SAMPLES)
    chosen = [classes[int(place * step)] for place in range(min(len(classes), SAMPLES))]
    vector = np.ones(index.space.dimension, dtype=np.float32)
    queries = [
        Query(
            vector=vector,
            k=1,
            modality="image",
            where='label = "{}"'.format(name.replace('"', '""')),
        )
        for name in chosen
    ]
    found = zip(chosen, index.search_many(queries), strict=True)
    return [
        Sample(label=name, id=results[0].id)
        for name, results in found
        if results and results[0].has_picture
    ]


def _dataset(items: Sequence[NewItem], images: Sequence[NDArray[np.uint8] | None]) -> Dataset:
    columns: dict[str, Column] = {}
    if any(item.text for item in items):
        columns["text"] = Texts([tuple(item.text) for item in items])
    if any(image is not None for image in images):
        columns["image"] = Images(list(images))
    empty = [
        item.id
        for item, image in zip(items, images, strict=True)
        if not item.text and image is None
    ]
    if empty:
        raise SettingError(
            f"the item {empty[0][:80]!r} is empty",
            expected="a text, an image, or both",
            found="neither",
            advice="send text, or an image as multipart/form-data",
        )
    names = tuple(dict.fromkeys(label for item in items for label in item.labels))
    columns_of_fields = dict.fromkeys(name for item in items for name in item.fields)
    return Dataset(
        name="the request",
        ids=tuple(item.id for item in items),
        columns=columns,
        labels=np.array([[name in item.labels for name in names] for item in items], dtype=bool),
        class_names=names,
        splits=np.array(["test"] * len(items)),  # no space was trained on them
        fields={name: [item.fields.get(name) for item in items] for name in columns_of_fields},
    )


def _name_of(folder: Path) -> str:
    """Return the name of an index: that of its folder, or of the one around a folder "index"."""
    return folder.parent.name or folder.name if folder.name == "index" else folder.name

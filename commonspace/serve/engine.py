"""What the service asks of an index: queries in batches, one item, what there is, changes.

Everything here runs in threads, never on the loop. It knows the messages, and no HTTP.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data import Column, Dataset, Images, Texts
from commonspace.errors import SettingError
from commonspace.retrieval import Index, Query, SearchResult
from commonspace.serve.holder import Holder
from commonspace.serve.messages import (
    AboutAnswer,
    FieldAnswer,
    FoundItem,
    ItemAnswer,
    NewItem,
    SearchAnswer,
    SearchRequest,
    Written,
)
from commonspace.serve.pictures import bounded
from commonspace.serve.posterior import posterior_of
from commonspace.serve.refusals import RefusedError

__all__ = ["Asked", "Engine", "no_item"]

LANGUAGES = ["en", "zh"]
NEIGHBOURS = 12


@dataclass(frozen=True, eq=False)
class Asked:
    """A request as the engine takes it."""

    request: SearchRequest
    image: NDArray[np.uint8] | None
    """(h, w, 3) RGB."""
    began: float
    """When, by ``time.perf_counter``."""


class Engine:
    """Answers from an index.

    Args:
        holder: of the index.
        name: what it is called; None: the name of its folder.
        writable: whether it may be changed.
    """

    def __init__(self, holder: Holder, name: str | None, *, writable: bool) -> None:
        """Keep the parts."""
        self.holder = holder
        self.name = name or holder.path.resolve().name
        self.writable = writable
        self._about: tuple[Any, ...] = ()
        self._lock = threading.Lock()

    def search(self, asked: Sequence[Asked]) -> list[SearchAnswer]:
        """Return what each request finds; all words are embedded in one pass.

        Raises:
            SettingError: a request asks for what index or space do not know.
            DataError: a picture cannot be used.
            RefusedError: a request names an item that is not there.
        """
        with self.holder.lease() as index:
            for one in asked:
                if one.request.id is not None and index.item(one.request.id) is None:
                    raise no_item(one.request.id)
            found = index.search_many([_query(one) for one in asked])
            space = index.space
            return [
                SearchAnswer(
                    results=[_shown(item) for item in items],
                    total=items.total,
                    has_instance_block=space.has_instance_block,
                    calibrated=space.calibrated,
                    seconds=time.perf_counter() - one.began,
                )
                for one, items in zip(asked, found, strict=True)
            ]

    def item(self, id: str) -> ItemAnswer:
        """Return all that is known of an item.

        Raises:
            RefusedError: there is none of that id.
        """
        with self.holder.lease() as index:
            item = index.item(id)
            if item is None:
                raise no_item(id)
            vectors = index.vectors(id)
            near = (
                index.search(id=id, k=NEIGHBOURS)
                if vectors and all(np.any(vector) for vector in vectors.values())
                else []
            )
            return ItemAnswer(
                id=item.id,
                split=item.split,
                labels=list(item.labels),
                texts=list(item.texts),
                has_picture=item.has_picture,
                fields=dict(item.fields),
                modalities=list(item.modalities),
                posterior=posterior_of(index.space, vectors),
                neighbours=[_shown(one) for one in near],
            )

    def picture(self, id: str) -> NDArray[np.uint8] | Path:
        """Return the picture of an item: its pixels, or the file that they are in.

        Raises:
            RefusedError: there is no such item, or it has no picture.
        """
        with self.holder.lease() as index:
            if index.item(id) is None:
                raise no_item(id)
            picture = index.picture(id)
        if picture is None:
            raise RefusedError(
                404, "the item has no picture", advice="GET /items/{id} tells has_picture"
            )
        return picture

    def about(self) -> AboutAnswer:
        """Return what there is to search in; looked up once for each state of the index."""
        with self.holder.lease() as index:
            key = (id(index), index.generation)
            with self._lock:
                if self._about[:2] == key:
                    return self._about[2]  # type: ignore[no-any-return]
            facts, space = index.facts(), index.space
            answer = AboutAnswer(
                name=self.name,
                items=len(index),
                modalities=list(facts.modalities),
                classes=list(facts.classes),
                fields={
                    name: FieldAnswer(
                        kind=one.kind,
                        values=list(one.values),
                        distinct=one.distinct,
                        min=one.low,
                        max=one.high,
                    )
                    for name, one in facts.fields.items()
                },
                has_instance_block=space.has_instance_block,
                calibrated=space.calibrated,
                writable=self.writable,
                languages=LANGUAGES,
            )
            with self._lock:
                self._about = (*key, answer)
            return answer

    def put(self, new: NewItem, image: NDArray[np.uint8] | None) -> Written:
        """Put an item in, or another one in its place.

        Raises:
            SettingError: the space knows none of its modalities.
            DataError: it cannot be embedded or kept.
            StoreError: another writer is at work.
        """
        with self.holder.lease() as index:
            change = index.update(_data_of(new, image, index))
            kinds = {
                "added": change.added,
                "replaced": change.replaced,
                "described": change.described,
            }
            what = next((name for name, count in kinds.items() if count), "unchanged")
            return Written(id=new.id, change=what, items=len(index))

    def remove(self, id: str) -> Written:
        """Take an item out.

        Raises:
            RefusedError: there is none of that id.
            StoreError: another writer is at work.
        """
        with self.holder.lease() as index:
            if index.item(id) is None:
                raise no_item(id)
            index.remove([id])
            return Written(id=id, change="removed", items=len(index))


def no_item(id: str) -> RefusedError:
    """Return the answer to an id that is not there."""
    return RefusedError(
        404,
        "the index holds no such item",
        expected="an id as a search gives it, percent-encoded",
        found=ascii(id)[:80],
        advice="search for it: POST /search",
    )


def _query(asked: Asked) -> Query:
    request = asked.request
    return Query(
        request.text,
        asked.image,
        request.vector,
        request.id,
        k=request.k,
        offset=request.offset,
        modality=request.modality,
        query_modality=request.query_modality,
        where=request.where,
        instance_weight=request.instance_weight,
        min_relevance=request.min_relevance,
    )


def _shown(found: SearchResult) -> FoundItem:
    return FoundItem(
        id=found.id,
        modality=found.modality,
        score=found.score,
        relevance=found.relevance,
        labels=list(found.labels),
        split=found.split,
        texts=list(found.texts),
        has_picture=found.has_picture,
        modalities=list(found.modalities),
        fields=dict(found.fields),
    )


def _data_of(new: NewItem, image: NDArray[np.uint8] | None, index: Index) -> Dataset:
    columns: dict[str, Column] = {}
    if new.text:
        columns["text"] = Texts([tuple(new.text)])
    if image is not None:
        columns["image"] = Images([bounded(image)])
    if not columns:
        raise SettingError(
            "the item is empty",
            expected="a text, an image, or both",
            found="neither",
            advice="send text, or an image as multipart/form-data",
        )
    labels = list(dict.fromkeys(new.labels))
    return Dataset(
        name="the request",
        ids=(new.id,),
        columns=columns,
        labels=np.ones((1, len(labels)), dtype=bool),
        class_names=tuple(labels),
        splits=np.array(["test"]),  # no space was fitted on it
        fields={name: [value] for name, value in new.fields.items()},
    )

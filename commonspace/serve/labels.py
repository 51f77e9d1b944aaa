"""Labels that people give on the page: stored in the index and line by line, for the next training.

The lines are what ``commonspace train DATA --corrections FILE`` reads.
"""

import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from commonspace.data import Dataset, Features, read_corrections
from commonspace.errors import OutputError
from commonspace.retrieval import Index
from commonspace.retrieval.items import Item
from commonspace.serve.errors import unknown_item
from commonspace.serve.index_manager import IndexManager
from commonspace.serve.schemas import RequestModel

if TYPE_CHECKING:
    from commonspace.assessment.next_labels import LabelProposal

__all__ = [
    "LabelFile",
    "LabelRequest",
    "LabelResponse",
    "Labels",
    "NextLabelsResponse",
    "ProposedItem",
    "Suggestion",
    "next_labels",
]

LARGEST = 50_000
"""Largest number of items among which the next ones are chosen; of more, a random sample."""
LISTED = 20


class LabelRequest(RequestModel):
    """The classes of an item, as a person gives or confirms them."""

    id: Annotated[str, Field(min_length=1, max_length=1000)]
    labels: list[Annotated[str, Field(min_length=1, max_length=1000)]] = Field(
        max_length=100, description="All classes of the item; an empty list takes them away."
    )


class LabelResponse(BaseModel):
    """A stored label."""

    id: str
    labels: list[str]
    change: str = Field(description="labeled, corrected, confirmed or cleared")
    by_people: int = Field(description="Number of items labeled or confirmed by people.")


class Suggestion(BaseModel):
    """A probable class."""

    label: str
    probability: float


class ProposedItem(BaseModel):
    """An item to label or to check."""

    id: str
    labels: list[str] = Field(description="Its classes now.")
    texts: list[str]
    fields: dict[str, object]
    has_picture: bool
    suggestions: list[Suggestion] = Field(description="Most probable classes, best first.")


class NextLabelsResponse(BaseModel):
    """Items whose labels would help most."""

    items: list[ProposedItem]
    by_people: int = Field(description="Number of items labeled or confirmed by people.")
    unlabeled: int = Field(description="Number of items without a class.")


class LabelFile:
    """The file of the labels that people gave, which only grows.

    Args:
        path: of the file; it is created with the first label.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int], dict[str, tuple[str, ...]]] = ((0, 0), {})

    def read(self) -> dict[str, tuple[str, ...]]:
        """Return id -> the classes that a person gave last; the file is read when it has changed.

        Raises:
            FileFormatError: A line is damaged.
        """
        try:
            facts = self.path.stat()
        except OSError:
            return {}
        state = (facts.st_mtime_ns, facts.st_size)
        if self._known[0] != state:
            self._known = (state, read_corrections(self.path))
        return self._known[1]

    def add(self, id: str, labels: Sequence[str], before: Sequence[str]) -> None:
        """Store the classes of an item.

        Raises:
            OutputError: If the file cannot be written.
        """
        record = {"time": round(time.time()), "id": id, "labels": [*labels], "before": [*before]}
        line = json.dumps(record, ensure_ascii=False) + "\n"
        try:
            with self._lock, self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as exc:
            raise OutputError(
                "the label cannot be stored",
                expected="a file that can be written beside the index",
                found=exc.strerror or str(exc),
                advice=f"check {self.path.name} and its folder",
            ) from exc


class Labels:
    """The labels of one index.

    Args:
        manager: holds the index.
        file: where labels are stored for the next training.
    """

    def __init__(self, manager: IndexManager, file: LabelFile) -> None:
        self._manager = manager
        self._file = file

    def is_confirmed(self, id: str) -> bool:
        """Return whether a person gave or confirmed the classes of an item."""
        return id in self._file.read()

    def give(self, request: LabelRequest) -> LabelResponse:
        """Store the classes of an item, in the index and in the file.

        Raises:
            RequestError: 404, the id is unknown.
            StoreError: Another process is writing.
            OutputError: The file cannot be written.
        """
        labels = list(dict.fromkeys(request.labels))
        with self._manager.lease() as index:
            item = index.item(request.id)
            if item is None:
                raise unknown_item(request.id)
            index.set_labels({request.id: labels})
        self._file.add(request.id, labels, item.labels)
        same = set(labels) == set(item.labels)
        given = "confirmed" if same else "corrected" if item.labels else "labeled"
        return LabelResponse(
            id=request.id,
            labels=labels,
            change=given if labels else "cleared",
            by_people=len(self._file.read()),
        )

    def next(self, count: int = LISTED) -> NextLabelsResponse:
        """Return the items to label next; see ``next_labels``."""
        given = self._file.read()
        with self._manager.lease() as index:
            proposals, unlabeled = next_labels(index, given, count)
            pairs = [(one, index.item(one.id)) for one in proposals]
        return NextLabelsResponse(
            items=[_proposed(one, item) for one, item in pairs if item is not None],
            by_people=len(given),
            unlabeled=unlabeled,
        )


def next_labels(
    index: Index, given: dict[str, tuple[str, ...]], count: int = LISTED, seed: int = 0
) -> tuple[list["LabelProposal"], int]:
    """Return the items of an index to label next, and the number of items without a class.

    The vectors of the space are the features. Items of the test split are left out, as are those
    that a person has labeled.

    Args:
        index: an index with a space.
        given: id -> classes that a person gave.
        count: number of items at most.
        seed: random seed of the draw.
    """
    from commonspace.assessment.next_labels import propose_labels  # not at the start of a service

    content = index.all_vectors()
    first: dict[str, int] = {}
    for row, id in enumerate(content.ids):
        first.setdefault(id, row)
    ids = np.array([*first], dtype=object)
    unlabeled = sum(not content.labels[row] for row in first.values())
    open_ = np.array([content.splits[row] != "test" for row in first.values()], dtype=bool)
    if not open_.any():
        open_[:] = True
    if open_.sum() > LARGEST:
        draw = np.random.default_rng(seed)
        dropped = draw.permutation(np.flatnonzero(open_))[LARGEST:]
        open_[dropped] = False
    ids = ids[open_]
    if not len(ids):
        return [], unlabeled
    place = {id: row for row, id in enumerate(ids)}
    columns = {}
    for number, name in enumerate(content.modalities):
        rows = np.flatnonzero(content.modality == number)
        at = np.array([place.get(content.ids[row], -1) for row in rows], dtype=np.intp)
        columns[name] = _column(content.values[rows[at >= 0]], at[at >= 0], len(ids))
    labels = [content.labels[first[id]] for id in ids]
    names = tuple(sorted({name for each in labels for name in each}))
    table = np.array([[name in each for name in names] for each in labels], dtype=bool)
    data = Dataset(
        name="index",
        ids=tuple(ids),
        columns={name: column for name, column in columns.items() if column.present.any()},
        labels=table.reshape(len(ids), len(names)),
        class_names=names,
        splits=np.array(["train"] * len(ids)),
    )
    skip = np.array([id in given for id in ids], dtype=bool)
    return propose_labels(data, count=count, skip=skip, seed=seed), unlabeled


def _column(values: NDArray[np.float32], rows: NDArray[np.intp], count: int) -> Features:
    whole = np.zeros((count, values.shape[1]), dtype=np.float32)
    whole[rows] = values
    present = np.zeros(count, dtype=bool)
    present[rows] = True
    return Features(whole, present)


def _proposed(proposal: "LabelProposal", item: Item) -> ProposedItem:
    return ProposedItem(
        id=item.id,
        labels=list(item.labels),
        texts=list(item.texts),
        fields=dict(item.fields),
        has_picture=item.has_picture,
        suggestions=[
            Suggestion(label=name, probability=share) for name, share in proposal.suggestions
        ],
    )

"""Verification of an index: checksums, photos, segments, and the recall of approximate search.

Damaged segments and keywords are rebuilt. Recall and mAP are measured against exact search, with
items of the index as queries. No item is changed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commonspace.checksums import read_checked_json
from commonspace.data.photo_folder import PhotoFolder
from commonspace.errors import OutputError, StoreError
from commonspace.retrieval.backends.faiss import knn
from commonspace.retrieval.browse import item_labels
from commonspace.retrieval.folder import MAP, load_space
from commonspace.retrieval.keywords import find_keyword_problem, rebuild_keywords
from commonspace.retrieval.segments import Segment
from commonspace.retrieval.sources import COPIES, PhotoFolders, is_damaged_copy
from commonspace.retrieval.store import Store
from commonspace.retrieval.store_check import find_row_problems
from commonspace.retrieval.vector_index import VectorIndex
from commonspace.retrieval.writing import remove_unused_copies

__all__ = ["Cost", "Verification", "verify"]

DEPTH = 100
RECALL_AT = 10
QUERIES = 500
SEED = 0
LOW_RECALL = 0.9
"""Recall of an approximate index below which there is a note."""

ROUNDING = 1e-6
"""Difference of two computations of the same score, for unit vectors."""

_UNFINISHED = "a migration is unfinished: run migrate with the same run again to complete it"


@dataclass(frozen=True)
class Cost:
    """Quality of searching one modality, compared with exact search.

    The queries are labeled items of the index, by another modality if there is one; an item is
    relevant if it shares a class with the query.
    """

    queries: int
    effort: int
    """hnsw: candidates of a search (efSearch); ivf: lists that are searched (nprobe); else 0."""
    recall: float
    """Fraction of the 10 best results that are found; equal scores count as equal."""
    map_exact: float | None
    """mAP@100 of exact search; None without labels."""
    map_index: float | None
    """mAP@100 of the index; None without labels."""


@dataclass(frozen=True)
class Verification:
    """Contents of an index, and what is wrong with it."""

    items: int
    vectors: dict[str, int]
    """Modality -> number of vectors."""
    kinds: dict[str, str]
    """Modality -> kind of its main segment; "exact" if it has none."""
    problems: tuple[str, ...]
    """Damage of the store or of the space, and missing photos; empty if there is none."""
    repaired: tuple[str, ...]
    """Damaged segments and keywords that were rebuilt, and leftovers that were deleted."""
    missing_photos: tuple[str, ...] = ()
    """Ids of the items whose photo is missing."""
    outside_photos: tuple[str, ...] = ()
    """Ids of the items whose photo is now a link to a file outside of the photo folder."""
    notes: tuple[str, ...] = ()
    """Remarks that are no problems."""
    costs: dict[str, Cost] = field(default_factory=dict)
    """Modality -> quality of its search."""


def verify(vectors: VectorIndex, photos: PhotoFolders) -> Verification:
    """Check an index, under the lock of writers.

    Args:
        vectors: the vector index.
        photos: the photo folders.

    Raises:
        StoreError: If the store cannot be read.
    """
    store = vectors.store
    store.check_tables()
    state = vectors.state()
    repaired = list(vectors.notes)
    pages = store.find_page_problem()
    damage = [*find_row_problems(store), *_space_problems(vectors)]
    for name, number in state.modalities.items():
        segment = state.segments[number]
        difference = _compare(store, segment) or _file_damage(vectors, segment)
        if difference:
            if not store.read_only:
                vectors.rebuild(number)
            repaired.append(f"{name}: {difference}; rebuilt from the store")
    difference = "" if damage else find_keyword_problem(store)
    if difference and store.read_only:
        damage.append(difference)
    elif difference:
        rebuild_keywords(store)
        repaired.append(f"{difference}; rebuilt from the store")
    if pages and (damage or store.read_only):
        damage.append(pages)
    elif pages:
        store.rewrite()
        repaired.append(f"{pages}; all rows are intact and were written again")
    damage += _folder_problems(vectors.folder)
    state = vectors.state()
    costs = {} if damage else _costs(store, state.segments, state.modalities)
    unused = 0 if store.read_only else remove_unused_copies(store, photos)
    if unused:
        repaired.append(f"{unused} copied photos that no item has were deleted")
    missing, outside = _lost_photos(store, photos)
    if outside:
        listed = ", ".join(map(repr, outside[:5])) + (", …" if len(outside) > 5 else "")
        damage.append(
            f"{len(outside)} photos are outside of the photo folder, of {listed}: they are not"
            " shown; replace the links by the files, or allow a larger folder with --photos"
        )
    if missing:
        listed = ", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else "")
        damage.append(
            f"{len(missing)} photos are missing, of {listed}: restore them, or give their new"
            " folder with --photos"
        )
    return Verification(
        items=len(store),
        vectors={name: len(state.segments[number]) for name, number in state.modalities.items()},
        kinds={
            name: main.backend.kind if (main := state.segments[number].main).backend else "exact"
            for name, number in state.modalities.items()
        },
        problems=tuple(damage),
        repaired=tuple(repaired),
        missing_photos=tuple(missing),
        outside_photos=tuple(outside),
        notes=((_UNFINISHED,) if len(store.spaces) > 1 else ()) + tuple(_low_recall(costs)),
        costs=costs,
    )


def _low_recall(costs: Mapping[str, Cost]) -> Iterator[str]:
    for name, cost in costs.items():
        if cost.recall < LOW_RECALL:
            yield (
                f"{name}: {cost.recall:.0%} of the 10 best results are found:"
                " an index of --kind exact, without --compress, finds all of them"
            )


def _folder_problems(folder: Path) -> Iterator[str]:
    """Check the files of the folder that the store does not name: copies of photos, the map."""
    try:
        read_checked_json(folder / MAP)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as exc:
        yield f"{folder / MAP} is damaged ({exc}): make it again with commonspace map"
    for file in sorted((folder / COPIES).glob("*")):
        if is_damaged_copy(folder, file.resolve()):
            yield f"{file} is damaged: update stores the photo again"


def _space_problems(vectors: VectorIndex) -> Iterator[str]:
    store = vectors.store
    try:
        load_space(vectors.folder, store.space, store.describe_space(store.space)[0], "cpu")
    except StoreError as exc:
        yield f"{exc.problem} ({exc.found})"


def _lost_photos(store: Store, photos: PhotoFolders) -> tuple[list[str], list[str]]:
    """Return the ids of the items whose photo is missing, and of those where it is outside."""
    sql = (
        "SELECT id, raw FROM items JOIN entries USING (item) JOIN sources USING (entry)"
        " WHERE format = 'photo' ORDER BY item"
    )
    allowed = [PhotoFolder(path) for path in photos.paths]
    missing, outside = [], []
    for id, raw in store.rows(sql):
        number = str(raw).partition(":")[0]
        known = number.isdecimal() and int(number) < len(allowed)
        if not known or not photos.resolve(str(raw)).is_file():
            missing.append(str(id))
        elif photos.resolve(str(raw)) not in allowed[int(number)]:
            outside.append(str(id))
    return missing, outside


def _compare(store: Store, segment: Segment) -> str:
    """Return how a segment differs from the store; "" if it does not."""
    main, place = segment.main, 0
    if main.backend is None:
        return ""
    stays = np.ones(len(main.entries), bool) if segment.removed is None else ~segment.removed
    values = main.backend.values
    present = np.flatnonzero(stays)
    try:
        for batch in store.vector_batches(segment.space, segment.modality, last=main.last_entry):
            rows = present[place : place + len(batch.entries)]
            place += len(batch.entries)
            same = (
                np.array_equal(main.entries[rows], batch.entries)
                and np.array_equal(main.items[rows], batch.items)
                and (values is None or np.array_equal(values[rows], batch.values))
            )
            if not same:
                return f"{main.file} differs from the store"
    except StoreError:
        return ""  # the store is damaged, not the segment
    return "" if place == len(present) else f"{main.file} has vectors that the store lacks"


def _file_damage(vectors: VectorIndex, segment: Segment) -> str:
    """Return what is wrong with the file of a segment now; "" if nothing is."""
    record = vectors.record(segment.space, segment.modality)
    if record is None:
        return ""
    try:
        vectors.read(record)
    except (StoreError, OutputError) as exc:
        return exc.problem
    return ""


def _costs(
    store: Store, segments: dict[int, Segment], modalities: dict[str, int]
) -> dict[str, Cost]:
    """Measure each modality with queries of another one, or of its own if it is the only one."""
    every = {number: store.vectors(store.space, number) for number in modalities.values()}
    labels = item_labels(store)
    costs = {}
    for name, number in modalities.items():
        source = next((other for other in modalities.values() if other != number), number)
        if not len(every[number].entries) or not len(every[source].entries):
            continue
        draw = np.random.default_rng(SEED)
        count = min(QUERIES, len(every[source].entries))
        rows = np.sort(draw.choice(len(every[source].entries), count, replace=False))
        queries, items = every[source].values[rows], every[source].items[rows]
        depth = min(DEPTH, len(every[number].entries))
        scores, places = knn(queries, every[number].values, depth)
        exact = every[number].items[places]
        segment = segments[number]
        found = segment.search(queries, depth, store=store).items
        best = min(RECALL_AT, depth)
        first = segment.search(queries, best, store=store).scores  # fewer results: less effort
        hits = first >= scores[:, best - 1 : best] - ROUNDING
        backend = segment.main.backend
        costs[name] = Cost(
            count,
            0 if backend is None else backend.effort,
            float(np.mean(hits)),
            _mean_average_precision(items, exact, labels),
            _mean_average_precision(items, found, labels),
        )
    return costs


def _mean_average_precision(
    queries: NDArray[np.int64], found: NDArray[np.int64], labels: dict[int, frozenset[str]]
) -> float | None:
    """Return the mAP of ranked lists, divided by the relevant items in them, as ``evaluate``."""
    none: frozenset[str] = frozenset()
    values = []
    for item, row in zip(queries.tolist(), found.tolist(), strict=True):
        if item not in labels:
            continue
        relevant = np.array([bool(labels[item] & labels.get(one, none)) for one in row])
        ranks = np.flatnonzero(relevant) + 1
        values.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else 0.0)
    return float(np.mean(values)) if values else None

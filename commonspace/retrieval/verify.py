"""Looking an index over: is the store whole, do derived files agree with it, what do they cost.

Derived files that do not agree are made anew. What an approximate index costs is measured on the
user's own labels, against comparing with every vector. It changes no item.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import OutputError, StoreError
from commonspace.retrieval.ann import nearest_among
from commonspace.retrieval.catalogue import labels_of
from commonspace.retrieval.folder import load_copy
from commonspace.retrieval.opened import Opened
from commonspace.retrieval.schema import vectors_table
from commonspace.retrieval.shelf import Shelf
from commonspace.retrieval.shelf_files import read, recorded
from commonspace.retrieval.store import Store

__all__ = ["Cost", "Verification", "verify"]

DEPTH = 100
RECALL_AT = 10
QUERIES = 500
SEED = 0
LOW = 0.9
"""Recall below which an approximate index deserves a word."""

ROUNDING = 1e-6
"""By which the same score may differ between two ways to compute it, for unit vectors."""

_UNFINISHED = "a move to another space was broken off: give migrate the same run again to end it"


@dataclass(frozen=True)
class Cost:
    """What searching one modality by an index costs, beside comparing with every vector.

    The queries are labelled items of the index, by another modality where there is one; an item
    is relevant when it shares a class with the query.
    """

    queries: int
    effort: int
    """Candidates that hnsw keeps (efSearch), or lists that ivf looks into (nprobe), for a query; 0
    where every vector is compared."""
    recall: float
    """The share of the 10 found that are as good as the 10th best: equal scores are equal."""
    map_exact: float | None
    """mAP@100 of comparing with every vector; None without labels."""
    map_index: float | None
    """mAP@100 of the index; None without labels."""


@dataclass(frozen=True)
class Verification:
    """What there is, and what is wrong with it."""

    items: int
    vectors: dict[str, int]
    """Modality -> number of vectors."""
    kinds: dict[str, str]
    """Modality -> kind of index over them; "exact" where they are compared one by one."""
    problems: tuple[str, ...]
    """What is wrong with the store or the copy of the space; empty where all is well."""
    mended: tuple[str, ...]
    """Derived files that did not agree with the store, and what was done."""
    notes: tuple[str, ...] = ()
    """What is not wrong and yet worth knowing."""
    costs: dict[str, Cost] = field(default_factory=dict)
    """Modality -> what searching it costs in quality."""


def verify(opened: Opened) -> Verification:
    """Look an index over, while holding the lock of writers.

    Args:
        opened: the index.

    Raises:
        StoreError: the store cannot even be read.
    """
    store = opened.store
    state = opened.shelves.fresh()
    mended = list(opened.shelves.notes)
    problems = [*_store_problems(store), *_space_problems(opened)]
    for name, number in state.modalities.items():
        shelf = state.shelves[number]
        difference = _difference(store, shelf) or _damage(opened, shelf)
        if difference:
            opened.shelves.remake(number)
            mended.append(f"{name}: {difference}; made anew from the store")
    state = opened.shelves.fresh()
    costs = {} if problems else _costs(store, state.shelves, state.modalities)
    return Verification(
        items=len(store),
        vectors={name: len(state.shelves[number]) for name, number in state.modalities.items()},
        kinds={
            name: base.nearest.kind if (base := state.shelves[number].base).nearest else "exact"
            for name, number in state.modalities.items()
        },
        problems=tuple(problems),
        mended=tuple(mended),
        notes=((_UNFINISHED,) if len(store.spaces) > 1 else ()) + tuple(_missed(costs)),
        costs=costs,
    )


def _missed(costs: Mapping[str, Cost]) -> Iterator[str]:
    for name, cost in costs.items():
        if cost.effort and cost.recall < LOW:
            yield (
                f"{name}: {cost.recall:.0%} of the 10 best are found:"
                " an index of --kind exact finds all of them"
            )


def _store_problems(store: Store) -> Iterator[str]:
    for (said,) in store.rows("PRAGMA integrity_check"):
        if said != "ok":
            yield f"the database is damaged: {said}"
    for table, row, *_ in store.rows("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} belongs to nothing"
    bare = store.rows(
        "SELECT id FROM items WHERE item NOT IN (SELECT item FROM entries) ORDER BY item"
    )
    if bare:
        yield f"{len(bare)} items have no modality, such as {bare[0][0]!r}"
    lost = store.rows("SELECT count(*) FROM entries WHERE entry NOT IN (SELECT entry FROM sources)")
    if lost[0][0]:
        yield f"{lost[0][0]} entries lack what they were embedded from"
    for name, number in store.modalities.items():
        yield from _vector_problems(store, name, number)


def _vector_problems(store: Store, name: str, modality: int) -> Iterator[str]:
    table = vectors_table(store.space, modality)
    if not store.has_vectors(store.space, modality):
        yield f"the vectors of {name!r} are missing"
        return
    missing = store.rows(
        "SELECT count(*) FROM entries WHERE modality = ?"
        f" AND entry NOT IN (SELECT entry FROM {table})",
        (modality,),
    )
    if missing[0][0]:
        yield f"{missing[0][0]} entries of {name!r} have no vector"
    strange = store.rows(
        f"SELECT count(*) FROM {table} AS v LEFT JOIN entries AS e USING (entry)"
        " WHERE e.item IS NOT v.item OR e.modality IS NOT ?",
        (modality,),
    )
    if strange[0][0]:
        yield f"{strange[0][0]} vectors of {name!r} belong to no such entry"
    try:
        for portion in store.portions(store.space, modality):
            finite = np.isfinite(portion.values).all(axis=1)
            if not finite.all():
                yield f"{int((~finite).sum())} vectors of {name!r} are not finite"
    except StoreError as exc:
        yield f"{exc.problem}: {exc.found}"


def _space_problems(opened: Opened) -> Iterator[str]:
    try:
        load_copy(opened.path, opened.store.space, opened.fingerprint, "cpu")
    except StoreError as exc:
        yield f"{exc.problem} ({exc.found})"


def _difference(store: Store, shelf: Shelf) -> str:
    """Return how a shelf differs from the store, "" where it does not."""
    base, place = shelf.base, 0
    if base.nearest is None:
        return ""
    stays = np.ones(len(base.entries), bool) if shelf.gone is None else ~shelf.gone
    values = base.nearest.values
    kept = np.flatnonzero(stays)
    for portion in store.portions(shelf.space, shelf.modality, upto=base.upto):
        rows = kept[place : place + len(portion.entries)]
        place += len(portion.entries)
        same = (
            np.array_equal(base.entries[rows], portion.entries)
            and np.array_equal(base.items[rows], portion.items)
            and (values is None or np.array_equal(values[rows], portion.values))
        )
        if not same:
            return f"{base.file} does not hold what the store holds"
    return "" if place == len(kept) else f"{base.file} holds what the store lacks"


def _damage(opened: Opened, shelf: Shelf) -> str:
    """Return what is wrong with the file of a shelf by now, "" where it is well."""
    record = recorded(opened.store, shelf.space, shelf.modality)
    if record is None:
        return ""
    try:
        read(opened.path, record)
    except (StoreError, OutputError) as exc:
        return exc.problem
    return ""


def _costs(store: Store, shelves: dict[int, Shelf], modalities: dict[str, int]) -> dict[str, Cost]:
    """Measure each modality with queries of another one, of its own where there is no other."""
    every = {number: store.vectors(store.space, number) for number in modalities.values()}
    marks = labels_of(store)
    costs = {}
    for name, number in modalities.items():
        asking = next((other for other in modalities.values() if other != number), number)
        if not len(every[number].entries) or not len(every[asking].entries):
            continue
        draw = np.random.default_rng(SEED)
        count = min(QUERIES, len(every[asking].entries))
        rows = np.sort(draw.choice(len(every[asking].entries), count, replace=False))
        queries, asked = every[asking].values[rows], every[asking].items[rows]
        depth = min(DEPTH, len(every[number].entries))
        scores, places = nearest_among(queries, every[number].values, depth)
        exact = every[number].items[places]
        found = shelves[number].search(queries, depth).items
        best = min(RECALL_AT, depth)
        first = shelves[number].search(queries, best).scores  # a search for few looks less far
        hits = first >= scores[:, best - 1 : best] - ROUNDING
        base = shelves[number].base.nearest
        costs[name] = Cost(
            count,
            0 if base is None else base.effort,
            float(np.mean(hits)),
            _mean_average_precision(asked, exact, marks),
            _mean_average_precision(asked, found, marks),
        )
    return costs


def _mean_average_precision(
    asked: NDArray[np.int64], found: NDArray[np.int64], marks: dict[int, frozenset[str]]
) -> float | None:
    """Return mAP over what was found, divided by the relevant ones found (as in ``evaluate``)."""
    none: frozenset[str] = frozenset()
    values = []
    for item, row in zip(asked.tolist(), found.tolist(), strict=True):
        if item not in marks:
            continue
        relevant = np.array([bool(marks[item] & marks.get(one, none)) for one in row])
        ranks = np.flatnonzero(relevant) + 1
        values.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else 0.0)
    return float(np.mean(values)) if values else None

"""Moving an index to another space: everything is embedded anew from what was kept of it.

The vectors of the new space come to lie beside the old ones, which answer until all are there;
then one transaction makes the new space the one that answers. A kill leaves what was made so far,
and the same call goes on from it. It knows no queries.
"""

import json
import shutil
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from commonspace.encoders import Vectors
from commonspace.errors import CommonspaceError, SettingError
from commonspace.retrieval.changes import begin_space, drop_space, put_vectors, set_fact
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.folder import copy_space, space_folder
from commonspace.retrieval.opened import Opened
from commonspace.retrieval.records import FLOAT32, Source
from commonspace.retrieval.schema import vectors_table
from commonspace.retrieval.shelf_files import built, kept, recorded, sweep
from commonspace.retrieval.shelves import SMALLEST
from commonspace.retrieval.sources import column_of
from commonspace.retrieval.store import Store
from commonspace.retrieval.writing import Progress
from commonspace.space import CommonSpace

__all__ = ["migrate"]

PORTION = 512
"""Entries that are embedded and kept at a time."""


def migrate(
    opened: Opened,
    space: CommonSpace,
    encoders: Mapping[str, str] | None,
    progress: Progress | None,
) -> int:
    """Move an index to another space, while holding the lock of writers.

    Args:
        opened: the index.
        space: the space to move to.
        encoders: modality -> encoder of its features; None: those that the index has.
        progress: hears (entries that are embedded, entries in all).

    Returns:
        How many entries this call embedded; 0 where the index is bound to this space already.

    Raises:
        SettingError: the space lacks a modality that items have.
        StoreError: what the space reads was not kept.
        DataError: a picture is gone or cannot be read.
    """
    store, fingerprint = opened.store, space.fingerprint
    if fingerprint == opened.fingerprint:  # what a move away from it, or to it, left goes
        _leave(opened, [other for other in store.spaces if other != store.space])
        return 0
    modalities = {
        name: number
        for name, number in store.modalities.items()
        if store.count_vectors(store.space, number)
    }
    lacking = [name for name in modalities if name not in space.modalities]
    if lacking:
        raise SettingError(
            f"the other space does not know {lacking[0]!r}",
            expected=" and ".join(map(repr, modalities)),
            found=", ".join(map(repr, space.modalities)),
            advice="train it on data with these modalities; nothing was changed",
        )
    embedder = Embedder(space, _encoders(opened, space) if encoders is None else encoders)
    anew = [name for name in modalities if _encoder_changed(opened, space, name)]
    with store.changing() as connection:
        number = begin_space(connection, fingerprint, space.dimension)
    copy_space(opened.path, number, space)
    try:
        count = _embed_all(store, embedder, number, modalities, anew, progress)
    except CommonspaceError:
        if not any(store.count_vectors(number, one) for one in modalities.values()):
            _leave(opened, [number])  # it failed at once: nothing is to be gone on with
        raise
    for modality in modalities.values():
        _make_shelf(opened, number, modality)
    with store.changing() as connection:
        set_fact(connection, "space", number)
        set_fact(connection, "encoders", json.dumps(embedder.encoders))
        for name in anew:  # they were made by the former encoder; what they came from is kept
            connection.execute(
                "UPDATE sources SET features = NULL WHERE form != '' AND entry IN"
                " (SELECT entry FROM entries WHERE modality = ?)",
                (modalities[name],),
            )
    opened.adopt(embedder)
    others = [other for other in store.spaces if other != number]
    _leave(opened, others)  # the one before, and those that a move was broken off to
    return count


def _leave(opened: Opened, spaces: list[int]) -> None:
    """Forget spaces with all that belongs to them."""
    with opened.store.changing() as connection:
        for space in spaces:
            drop_space(connection, space)
    for space in spaces:
        shutil.rmtree(space_folder(opened.path, space), ignore_errors=True)
    sweep(opened.store, opened.path)


def _encoders(opened: Opened, space: CommonSpace) -> dict[str, str]:
    """Return the encoders of the index that the other space has a use for."""
    known = opened.encoders
    return {
        name: known[name]
        for name, input_ in space.inputs.items()
        if name in known and isinstance(input_, Vectors)
    }


def _encoder_changed(opened: Opened, space: CommonSpace, modality: str) -> bool:
    """Tell whether the space was fitted on features of another encoder than those at hand."""
    before, after = (
        one.provenance.get("encoders", {}).get(modality, {}).get("sha256")
        for one in (opened.embedder().space, space)
    )
    return bool(before and after and before != after)


def _embed_all(
    store: Store,
    embedder: Embedder,
    space: int,
    modalities: Mapping[str, int],
    anew: list[str],
    progress: Progress | None,
) -> int:
    total = sum(store.count_vectors(store.space, number) for number in modalities.values())
    done = sum(store.count_vectors(space, number) for number in modalities.values())
    made = 0
    for name, number in modalities.items():
        sql = (
            "SELECT entry, entries.item, form, raw, features, digest"
            " FROM entries JOIN sources USING (entry)"
            f" LEFT JOIN {vectors_table(space, number)} AS there USING (entry)"
            " WHERE modality = ? AND there.vector IS NULL AND entry > ? ORDER BY entry LIMIT ?"
        )
        last = 0
        while rows := store.rows(sql, (number, last, PORTION)):
            last = rows[-1][0]
            vectors = _embedded(embedder, name, rows, features=name not in anew)
            with store.changing() as connection:
                put_vectors(connection, space, number, vectors)
            made += len(rows)
            if progress is not None:
                progress(done + made, total)
    return made


def _embedded(
    embedder: Embedder, modality: str, rows: list[tuple[Any, ...]], *, features: bool
) -> list[tuple[int, int, bytes]]:
    """Return (entry, item, vector) of each row of ``_embed_all``."""
    found = []
    for form, group in groupby(rows, key=lambda row: str(row[2])):
        some = list(group)
        kept = [Source(form, raw, blob, digest) for _, _, _, raw, blob, digest in some]
        ready = embedder.reads_features(modality) and features
        ready = ready and (not form or all(source.features is not None for source in kept))
        column = embedder.readable(modality, column_of(form, kept, features=ready))
        vectors = embedder.embed(modality, column).astype(FLOAT32, copy=False)
        found += [(row[0], row[1], vectors[place].tobytes()) for place, row in enumerate(some)]
    return found


def _make_shelf(opened: Opened, space: int, modality: int) -> None:
    """Make the base of a modality in the new space, where it is large enough to be worth it."""
    store = opened.store
    record = recorded(store, space, modality)
    fresh = record is not None and (record.upto, record.removed) == (
        store.last_entry,
        store.last_removal,
    )
    if not fresh and store.count_vectors(space, modality) > SMALLEST:
        base = built(store, space, modality, opened.shelves.choice)
        kept(store, opened.path, base, space, modality)

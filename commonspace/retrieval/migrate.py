"""Migration of an index to another space: every item is embedded again from its stored source.

The vectors of the new space are written beside the old ones, which are searched until all exist;
then one transaction switches to the new space. After a kill, the same call continues.
"""

import json
import shutil
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from commonspace.callbacks import Callbacks
from commonspace.errors import CommonspaceError, SettingError
from commonspace.retrieval import vector_index
from commonspace.retrieval.changes import (
    add_space,
    drop_features,
    drop_space,
    insert_vectors,
    set_meta,
)
from commonspace.retrieval.database import row_checksum
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.folder import copy_space, space_folder
from commonspace.retrieval.schema import FLOAT32
from commonspace.retrieval.sources import PhotoFolders, Source, to_column
from commonspace.retrieval.store import Store, vectors_table
from commonspace.retrieval.vector_index import VectorIndex
from commonspace.space import CommonSpace

__all__ = ["migrate"]

BATCH = 512
"""Entries that are embedded and written at a time."""


def migrate(
    vectors: VectorIndex,
    embedder: Embedder,
    space: CommonSpace,
    encoders: Mapping[str, str] | None,
    photos: PhotoFolders,
    callbacks: Callbacks,
) -> tuple[Embedder | None, int]:
    """Move an index to another space, under the lock of writers.

    Args:
        vectors: the vector index.
        embedder: the current space with its encoders.
        space: the new space.
        encoders: modality -> encoder of its features; None: those of the current space.
        photos: the photo folders.
        callbacks: receive the progress: entries that are embedded.

    Returns:
        The new space with its encoders, and the number of entries that were embedded; None and 0
        if the index uses this space already.

    Raises:
        SettingError: If the space lacks a modality of the items.
        StoreError: If what the space reads is not stored.
        DataError: If a photo is missing or cannot be read.
    """
    store, fingerprint = vectors.store, space.fingerprint
    if fingerprint == store.describe_space(store.space)[0]:
        _drop(vectors, [other for other in store.spaces if other != store.space])
        return None, 0
    modalities = {
        name: number
        for name, number in store.modalities.items()
        if store.count_vectors(store.space, number)
    }
    lacking = [name for name in modalities if name not in space.modalities]
    if lacking:
        raise SettingError(
            f"the new space has no modality {lacking[0]!r}",
            expected=" and ".join(map(repr, modalities)),
            found=", ".join(map(repr, space.modalities)),
            advice="train it on data with these modalities; nothing was changed",
        )
    if encoders is None:
        encoders = {
            name: spec
            for name, spec in embedder.encoders.items()
            if name in space.inputs and space.inputs[name].kind == "vectors"
        }
    new = Embedder(space, encoders)
    changed = [name for name in modalities if _has_other_encoder(embedder.space, space, name)]
    with store.transaction() as connection:
        number = add_space(connection, fingerprint, space.dimension)
    copy_space(vectors.folder, number, space)
    try:
        count = _embed_all(store, new, number, modalities, changed, photos, callbacks)
    except CommonspaceError:
        if not any(store.count_vectors(number, one) for one in modalities.values()):
            _drop(vectors, [number])  # it failed at once: there is nothing to continue
        raise
    for modality in modalities.values():
        _build_segment(vectors, number, modality)
    with store.transaction() as connection:
        set_meta(connection, "space", number)
        set_meta(connection, "encoders", json.dumps(new.encoders))
        for name in changed:  # the former encoder made these features
            drop_features(connection, modalities[name])
    _drop(vectors, [other for other in store.spaces if other != number])
    return new, count


def _drop(vectors: VectorIndex, spaces: list[int]) -> None:
    """Delete spaces with everything that belongs to them."""
    if spaces:
        with vectors.store.transaction() as connection:
            for space in spaces:
                drop_space(connection, space)
    for space in spaces:
        shutil.rmtree(space_folder(vectors.folder, space), ignore_errors=True)
    vectors.delete_unused()


def _has_other_encoder(before: CommonSpace, after: CommonSpace, modality: str) -> bool:
    """Return whether two spaces were trained on features of different encoders."""
    first, second = (
        space.provenance.get("encoders", {}).get(modality, {}).get("sha256")
        for space in (before, after)
    )
    return bool(first and second and first != second)


def _embed_all(
    store: Store,
    embedder: Embedder,
    space: int,
    modalities: Mapping[str, int],
    changed: list[str],
    photos: PhotoFolders,
    callbacks: Callbacks,
) -> int:
    total = sum(store.count_vectors(store.space, number) for number in modalities.values())
    done = sum(store.count_vectors(space, number) for number in modalities.values())
    count = 0
    with callbacks.task("embedding items", total=total, done=done):
        for name, number in modalities.items():
            sql = (
                "SELECT entry, entries.item, format, raw, features, digest, sources.checksum"
                " FROM entries JOIN sources USING (entry)"
                f" LEFT JOIN {vectors_table(space, number)} AS existing USING (entry)"
                " WHERE modality = ? AND existing.vector IS NULL AND entry > ?"
                " ORDER BY entry LIMIT ?"
            )
            last = 0
            while rows := store.rows(sql, (number, last, BATCH)):
                last = rows[-1][0]
                for entry, _, format, raw, features, _, checksum in rows:
                    if checksum != row_checksum(entry, format, raw, features):
                        raise store.damaged(f"the source of entry {entry}", "another checksum")
                vectors = _embed(embedder, name, rows, photos, features=name not in changed)
                with store.transaction() as connection:
                    insert_vectors(connection, space, number, vectors)
                count += len(rows)
                callbacks.on_advance(len(rows))
    return count


def _embed(
    embedder: Embedder,
    modality: str,
    rows: list[tuple[Any, ...]],
    photos: PhotoFolders,
    *,
    features: bool,
) -> list[tuple[int, int, bytes]]:
    """Return (entry, item, vector) of rows of ``_embed_all``."""
    embedded = []
    for format, group in groupby(rows, key=lambda row: str(row[2])):
        batch = list(group)
        sources = [Source(format, raw, blob, digest) for _, _, _, raw, blob, digest, _ in batch]
        stored = embedder.reads_features(modality) and features
        stored = stored and (not format or all(source.features is not None for source in sources))
        column = to_column(format, sources, photos=None if stored else photos)
        column = embedder.extract(modality, column)
        vectors = embedder.embed(modality, column).astype(FLOAT32, copy=False)
        embedded += [(row[0], row[1], vectors[at].tobytes()) for at, row in enumerate(batch)]
    return embedded


def _build_segment(vectors: VectorIndex, space: int, modality: int) -> None:
    """Build the main segment of a modality in the new space, unless there are few vectors."""
    store = vectors.store
    record = vectors.record(space, modality)
    current = record is not None and (record.last_entry, record.last_removal) == (
        store.last_entry,
        store.last_removal,
    )
    if not current and store.count_vectors(space, modality) > vector_index.MIN_CHANGES:
        vectors.write(vectors.build(space, modality), space, modality)

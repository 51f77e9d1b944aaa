"""Vector index: the segments of all modalities, and the files of their main segments.

    segments/1-0-57-3f2a.faiss      main segment of a modality: an index of FAISS
    segments/1-0-57-3f2a.milvus     or the address and the collection of Milvus that hold it
    segments/1-0-57-3f2a.keys.npy   (2, n): the numbers of entries and of items

The store names the file of each modality, with its SHA-256. A file that is missing or damaged is
rebuilt from the store; a file that the store does not name is left over from a kill and is deleted
when the next one is written.
"""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from threading import RLock
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from commonspace.atomic import replace_file
from commonspace.engines import Engine
from commonspace.errors import OutputError, StoreError
from commonspace.retrieval.backends import VectorBackend
from commonspace.retrieval.backends.faiss import FaissBackend, Kind
from commonspace.retrieval.backends.milvus import PREFIX, MilvusBackend, drop_collections
from commonspace.retrieval.segments import MainSegment, Segment
from commonspace.retrieval.store import Store

__all__ = ["FOLDER", "SegmentRecord", "VectorIndex", "VectorState"]

FOLDER = "segments"

MIN_CHANGES = 2000
"""Up to this number of changes, entries are compared one by one instead of in a main segment."""

MAX_CHANGED = 0.2
"""A main segment is rebuilt when more than this fraction of it was added or removed."""

AUTO: dict[Kind, int] = {"exact": 1_000_000, "hnsw": 20_000_000}
"""Maximum number of vectors for which "auto" uses a kind; above, it uses ivf."""

AUTO_BYTES = 64
"""Bytes of a searched vector for which "auto" compresses those of ivf, if nothing else is said."""

_HEADERS = threading.Lock()
"""NumPy parses the head of a file as Python source, which CPython 3.11 does not support in several
threads at once: "SystemError: AST constructor recursion depth mismatch"."""


class SegmentRecord(NamedTuple):
    """The row of a main segment in the store."""

    file: str
    sha256: str
    keys_sha256: str
    kind: str
    last_entry: int
    last_removal: int
    settings: str


@dataclass(frozen=True)
class VectorState:
    """The segments at one generation."""

    generation: int
    space: int
    segments: dict[int, Segment]
    """By the number of the modality."""
    modalities: dict[str, int]
    """Name -> number."""
    fields: dict[str, int]
    """Name -> position in the list of values of each item."""


class VectorIndex:
    """The searched vectors of an open index.

    Args:
        store: the store.
        folder: of the index.
        write_lock: takes the lock of writers without waiting, or raises a StoreError.
    """

    def __init__(
        self, store: Store, folder: Path, write_lock: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.store = store
        self.folder = folder
        self.engine: Engine | None = None
        self.notes: list[str] = []
        self._write_lock = write_lock
        self._lock = RLock()
        self._state = VectorState(-1, -1, {}, {}, {})

    @property
    def kind(self) -> str:
        """The kind of search: "exact", "hnsw", "ivf", "auto" or "milvus:URI"."""
        return str(self.store.meta("kind") or "exact")

    @property
    def compress(self) -> int | None:
        """Maximum number of bytes of a searched vector; None for float32."""
        return int(self.store.meta("compress") or 0) or None

    def state(self) -> VectorState:
        """Return the segments of the current generation.

        Raises:
            StoreError: If the store is damaged.
        """
        if self._state.generation == self.store.generation:
            return self._state
        with self._lock:
            while True:
                self.store.check_tables()
                space, modalities = self.store.space, sorted(self.store.modalities.values())
                mains = {number: self._main(space, number) for number in modalities}
                with self.store.reading():
                    if self.store.space == space and all(
                        mains[number].file == self._file(space, number)
                        for number in self.store.modalities.values()
                        if number in mains
                    ):
                        self._state = self._follow(space, mains)
                        return self._state

    def compact(self) -> None:
        """Rebuild the main segments that have changed much, under the lock of writers.

        The changed items are stored already, so an error, as of a Milvus server that cannot be
        reached, is only a note; newer entries are compared one by one as before.
        """
        try:
            for number, segment in self.state().segments.items():
                if segment.changes > max(MIN_CHANGES, MAX_CHANGED * len(segment.main.entries)):
                    self.rebuild(number)
            self.state()
        except StoreError as exc:
            self._note_slow(exc)

    def rebuild(self, modality: int) -> None:
        """Build the main segment of a modality from the store, under the lock of writers."""
        space = self.store.space
        try:
            self.write(self.build(space, modality), space, modality)
        except (OutputError, StoreError) as exc:
            self._note_slow(exc)

    def build(self, space: int, modality: int, *, file: str = "") -> MainSegment:
        """Return a main segment of all vectors that the store has of a modality now.

        Args:
            space: number of the space.
            modality: number of the modality.
            file: name of the file that it stands for.
        """
        store = self.store
        entries: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        items = entries.copy()
        with store.reading():
            last_entry, last_removal = store.last_entry, store.last_removal
            kind = _resolve_kind(self.kind, store.count_vectors(space, modality))

            def batches() -> Iterator[NDArray[np.float32]]:
                for batch in store.vector_batches(space, modality, last=last_entry):
                    entries.append(batch.entries)
                    items.append(batch.items)
                    yield batch.values

            dimension = store.describe_space(space)[1]
            compress = self.compress
            if self.kind == "auto" and kind == "ivf" and compress is None:
                compress = AUTO_BYTES
            backend: VectorBackend
            if kind.startswith(PREFIX):
                name = f"{self._collection_prefix()}{space}_{modality}_{secrets.token_hex(4)}"
                uri = kind.removeprefix(PREFIX)
                backend = MilvusBackend.build(batches(), dimension, uri, name, self.engine)
            else:
                backend = FaissBackend.build(
                    batches(), dimension, cast("Kind", kind), compress, self.engine
                )
        return MainSegment(
            backend, np.concatenate(entries), np.concatenate(items), last_entry, last_removal, file
        )

    def write(self, main: MainSegment, space: int, modality: int) -> MainSegment:
        """Write a main segment, and record it in the store, under the lock of writers.

        Returns:
            The main segment with the name of its file.

        Raises:
            OutputError: If the files cannot be written; store and files are as before.
        """
        backend = main.backend
        assert backend is not None
        _make_folder(self.folder / FOLDER)
        suffix = "milvus" if isinstance(backend, MilvusBackend) else "faiss"
        name = f"{space}-{modality}-{self.store.generation}-{secrets.token_hex(4)}.{suffix}"
        path = self.folder / FOLDER / name
        keys = path.with_suffix(".keys.npy")
        settings = {"effort": backend.effort, "lossy": backend.lossy}
        if isinstance(backend, FaissBackend):
            settings["padding"] = backend.padding
        try:
            with replace_file(path) as draft:
                backend.write(draft)
            with replace_file(keys) as draft, draft.open("wb") as file:
                np.save(file, np.stack([main.entries, main.items]))
            row = SegmentRecord(
                name,
                _sha256(path),
                _sha256(keys),
                backend.kind,
                main.last_entry,
                main.last_removal,
                json.dumps(settings),
            )
            with self.store.transaction() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (space, modality, *row),
                )
                if space == self.store.space:  # readers of this modality start from the new one
                    connection.execute(
                        "DELETE FROM removed WHERE modality = ? AND number <= ?",
                        (modality, main.last_removal),
                    )
        except BaseException:
            for leftover in (path, keys):
                leftover.unlink(missing_ok=True)
            raise
        self.delete_unused()
        return MainSegment(
            backend, main.entries, main.items, main.last_entry, main.last_removal, name
        )

    def read(self, record: SegmentRecord) -> MainSegment:
        """Read a main segment from its files.

        Raises:
            StoreError: If a file is missing or damaged.
        """
        path = self.folder / FOLDER / record.file
        keys_path = path.with_suffix(".keys.npy")
        _check_hash(path, record.sha256)
        _check_hash(keys_path, record.keys_sha256)
        settings = json.loads(record.settings)
        backend: VectorBackend
        if record.kind == MilvusBackend.kind:
            backend = MilvusBackend.read(path)
        else:
            effort = settings.pop("effort")
            backend = FaissBackend.read(path, cast("Kind", record.kind), effort, **settings)
        with _HEADERS:
            keys = np.load(keys_path)
        assert keys.shape == (2, len(backend))  # the hashes agree, so both files belong together
        return MainSegment(
            backend, keys[0], keys[1], record.last_entry, record.last_removal, record.file
        )

    def record(self, space: int, modality: int) -> SegmentRecord | None:
        """Return the record of the main segment of a modality; None if it has none."""
        sql = (
            "SELECT file, sha256, keys_sha256, kind, last_entry, last_removal, settings"
            " FROM segments WHERE space = ? AND modality = ?"
        )
        rows = self.store.rows(sql, (space, modality))
        return SegmentRecord(*rows[0]) if rows else None

    def delete_unused(self) -> None:
        """Delete the files that the store does not name, under the lock of writers."""
        named = {Path(row[0]) for row in self.store.rows("SELECT file FROM segments")}
        used = {path.name for path in named} | {
            path.with_suffix(".keys.npy").name for path in named
        }
        for path in (self.folder / FOLDER).glob("*"):
            if path.name not in used:
                path.unlink(missing_ok=True)
        if self.kind.startswith(PREFIX):
            files = [self.folder / FOLDER / path for path in named if path.suffix == ".milvus"]
            described = [json.loads(file.read_text("utf-8")) for file in files if file.exists()]
            collections = {one["collection"] for one in described}
            drop_collections(self.kind.removeprefix(PREFIX), self._collection_prefix(), collections)

    def _follow(self, space: int, mains: dict[int, MainSegment]) -> VectorState:
        known = self._state.segments if self._state.space == space else {}
        segments = {}
        for number, main in mains.items():
            before = known.get(number)
            segments[number] = (
                before.follow(self.store)
                if before is not None and before.main is main
                else Segment.load(main, self.store, space, number)
            )
        names = self.store.modalities, self.store.fields
        return VectorState(self.store.generation, space, segments, *names)

    def _file(self, space: int, modality: int) -> str:
        record = self.record(space, modality)
        return "" if record is None else record.file

    def _main(self, space: int, modality: int) -> MainSegment:
        """Return the main segment that the store names: loaded before, read, or rebuilt."""
        before = self._state.segments.get(modality)
        record = self.record(space, modality)
        file = "" if record is None else record.file
        if before is not None and before.space == space and before.main.file == file:
            return before.main
        if record is None:
            none = np.empty(0, dtype=np.int64)
            return MainSegment(None, none, none, 0, 0, "")
        try:
            return self.read(record)
        except StoreError as exc:
            if self.record(space, modality) != record:  # another process has just rebuilt it
                return self._main(space, modality)
            return self._repair(space, modality, exc)

    def _repair(self, space: int, modality: int, damage: StoreError) -> MainSegment:
        """Rebuild a damaged main segment; write it unless another process is writing."""
        note = f"{damage.problem}: rebuilt from the store"
        file = self._file(space, modality)
        try:
            with self._write_lock():
                main = self.write(self.build(space, modality, file=file), space, modality)
        except (OutputError, StoreError):
            if self.kind.startswith(PREFIX):  # its vectors may not fit into memory
                raise
            main = self.build(space, modality, file=file)
            note += ", in memory only"
        self.notes.append(note)
        return main

    def _note_slow(self, exc: OutputError | StoreError) -> None:
        self.notes.append(f"{exc.problem} ({exc.found}): search is slower until it is repaired")

    def _collection_prefix(self) -> str:
        return f"commonspace_{self.store.meta('store')}_"


def _resolve_kind(kind: str, count: int) -> str:
    """Return the kind of backend for so many vectors.

    Example:
        >>> _resolve_kind("auto", 1000), _resolve_kind("auto", 2_000_000)
        ('exact', 'hnsw')
    """
    if not count:
        return "exact"
    if kind == "auto":
        return next((one for one, most in AUTO.items() if count <= most), "ivf")
    return kind


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exc:
        raise OutputError(
            f"{folder} cannot be created",
            expected="a folder that can be written to",
            found=exc.strerror or str(exc),
            advice="check its permissions; the stored items are complete",
        ) from exc


def _check_hash(path: Path, expected: str) -> None:
    try:
        actual = _sha256(path)
    except OSError as exc:
        raise StoreError(
            f"{path} cannot be read",
            expected="a file that the store names",
            found=exc.strerror or str(exc),
            advice="commonspace verify INDEX rebuilds it from the store",
        ) from exc
    if actual != expected:
        raise StoreError(
            f"{path} is damaged",
            expected=f"SHA-256 {expected[:12]}…, as in the store",
            found=f"{actual[:12]}…",
            advice="commonspace verify INDEX rebuilds it from the store",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()

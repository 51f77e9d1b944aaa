"""The derived files of an index: made from the store, checked by their hash, made anew when amiss.

    shelves/1-0-57-3f2a.faiss      the index of FAISS over one modality
    shelves/1-0-57-3f2a.milvus     or where Milvus has it: the URI and the name of a collection
    shelves/1-0-57-3f2a.keys.npy   (2, n): the numbers of entries and of items

The store says which file belongs to a modality and what its hash is; a file that the store does
not name is left over from a kill, and goes with the next one that is made. It knows no items.
"""

import json
import secrets
import threading
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from commonspace.atomic import replace_file
from commonspace.errors import OutputError, StoreError
from commonspace.retrieval.ann import Kind, Nearest, nearest_of
from commonspace.retrieval.milvus import PREFIX, MilvusNearest, sweep_collections
from commonspace.retrieval.shelf import Base, Engine
from commonspace.retrieval.store import Store

__all__ = ["FOLDER", "Record", "built", "chosen_kind", "kept", "read", "recorded", "sweep"]

FOLDER = "shelves"

AUTO: dict[Kind, int] = {"exact": 1_000_000, "hnsw": 20_000_000}
"""Up to how many vectors "auto" takes a kind; beyond that it takes ivf."""

_HEADERS = threading.Lock()
"""NumPy parses the head of a file as Python, and CPython 3.11 does that in one thread at a time:
else it may raise "SystemError: AST constructor recursion depth mismatch"."""


class Record(NamedTuple):
    """What the store says about the file of a modality."""

    file: str
    sha256: str
    keys_sha256: str
    kind: str
    upto: int
    removed: int
    settings: str


def recorded(store: Store, space: int, modality: int) -> Record | None:
    """Return what the store says about the file of a modality, None where it has none."""
    sql = (
        "SELECT file, sha256, keys_sha256, kind, upto, removed, settings"
        " FROM shelves WHERE space = ? AND modality = ?"
    )
    found = store.rows(sql, (space, modality))
    return Record(*found[0]) if found else None


def chosen_kind(choice: str, count: int) -> str:
    """Return the kind of index for so many vectors.

    Example:
        >>> chosen_kind("auto", 1000), chosen_kind("auto", 2_000_000), chosen_kind("ivf", 1000)
        ('exact', 'hnsw', 'ivf')
    """
    if not count:
        return "exact"
    if choice == "auto":
        return next((kind for kind, most in AUTO.items() if count <= most), "ivf")
    return choice


def built(store: Store, space: int, modality: int, choice: str, *, file: str = "") -> Base:
    """Make a base of all that the store has of a modality now.

    Args:
        store: the truth.
        space: the space of the vectors.
        modality: its number.
        choice: a kind of index, "auto", or "milvus:URI".
        file: the file that the base stands for.
    """
    with store.reading():
        upto, removed = store.last_entry, store.last_removal
        kind = chosen_kind(choice, store.count_vectors(space, modality))
        entries: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        items = entries.copy()

        def values() -> Iterator[NDArray[np.float32]]:
            for portion in store.portions(space, modality, upto=upto):
                entries.append(portion.entries)
                items.append(portion.items)
                yield portion.values

        dimension = store.space_facts(space)[1]
        nearest: Engine
        if kind.startswith(PREFIX):
            name = f"{_beginning(store)}{space}_{modality}_{secrets.token_hex(4)}"
            uri = kind.removeprefix(PREFIX)
            nearest = MilvusNearest.create(uri, name, values(), dimension)
        else:
            nearest = nearest_of(values(), dimension, cast("Kind", kind))
    return Base(nearest, np.concatenate(entries), np.concatenate(items), upto, removed, file)


def read(folder: Path, record: Record) -> Base:
    """Read the base of a modality from its files.

    Raises:
        StoreError: a file is missing, cut short or damaged.
    """
    path = folder / FOLDER / record.file
    keys_path = path.with_suffix(".keys.npy")
    for file, expected in ((path, record.sha256), (keys_path, record.keys_sha256)):
        _check_hash(file, expected)
    nearest: Engine
    if record.kind == MilvusNearest.kind:
        nearest = MilvusNearest.read(path)
    else:
        effort = int(json.loads(record.settings)["effort"])
        nearest = Nearest.read(path, cast("Kind", record.kind), effort)
    with _HEADERS:
        keys = np.load(keys_path)
    assert keys.shape == (2, len(nearest))  # the hashes agree: this very package wrote both
    return Base(nearest, keys[0], keys[1], record.upto, record.removed, record.file)


def kept(store: Store, folder: Path, base: Base, space: int, modality: int) -> Base:
    """Write a base into files and tell the store, while holding the lock of writers.

    Args:
        store: the truth.
        folder: of the index.
        base: made by ``built``.
        space: the space of its vectors.
        modality: its number.

    Returns:
        The base with the name of its file.

    Raises:
        OutputError: the files cannot be written; the store and its files are as before.
    """
    assert base.nearest is not None
    place = folder / FOLDER
    _make(place)
    suffix = "milvus" if base.nearest.kind == MilvusNearest.kind else "faiss"
    name = f"{space}-{modality}-{store.generation}-{secrets.token_hex(4)}.{suffix}"
    path = place / name
    try:
        with replace_file(path) as draft:
            base.nearest.write(draft)
        with replace_file(path.with_suffix(".keys.npy")) as draft, draft.open("wb") as file:
            np.save(file, np.stack([base.entries, base.items]))
        row = (
            space,
            modality,
            name,
            _sha256(path),
            _sha256(path.with_suffix(".keys.npy")),
            base.nearest.kind,
            base.upto,
            base.removed,
            json.dumps({"effort": base.nearest.effort}),
        )
        with store.changing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO shelves VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row
            )
            if space == store.space:  # whoever follows this modality begins with the new base
                connection.execute(
                    "DELETE FROM removed WHERE modality = ? AND number <= ?",
                    (modality, base.removed),
                )
    except BaseException:
        for file_ in (path, path.with_suffix(".keys.npy")):
            file_.unlink(missing_ok=True)
        raise
    sweep(store, folder)
    return Base(base.nearest, base.entries, base.items, base.upto, base.removed, name)


def sweep(store: Store, folder: Path) -> None:
    """Take away the files that the store does not name, while holding the lock of writers."""
    named = {Path(row[0]) for row in store.rows("SELECT file FROM shelves")}
    wanted = {path.name for path in named} | {path.with_suffix(".keys.npy").name for path in named}
    for path in (folder / FOLDER).glob("*"):
        if path.name not in wanted:
            path.unlink(missing_ok=True)
    choice = str(store.fact("kind") or "")
    if choice.startswith(PREFIX):
        files = [folder / FOLDER / path for path in named if path.suffix == ".milvus"]
        said = [json.loads(file.read_text("utf-8")) for file in files if file.exists()]
        wanted = {one["collection"] for one in said}
        sweep_collections(choice.removeprefix(PREFIX), _beginning(store), wanted)


def _beginning(store: Store) -> str:
    """Return how the names of this index's collections begin."""
    return f"commonspace_{store.fact('store')}_"


def _make(place: Path) -> None:
    try:
        place.mkdir(exist_ok=True)
    except OSError as exc:
        raise OutputError(
            f"{place} cannot be made",
            expected="a folder that can be written to",
            found=exc.strerror or str(exc),
            advice="check its permissions; the store is whole",
        ) from exc


def _check_hash(path: Path, expected: str) -> None:
    try:
        found = _sha256(path)
    except OSError as exc:
        raise StoreError(
            f"{path} cannot be read",
            expected="a file that the store names",
            found=exc.strerror or str(exc),
            advice="commonspace verify INDEX makes it anew from the store",
        ) from exc
    if found != expected:
        raise StoreError(
            f"{path} is damaged",
            expected=f"SHA-256 {expected[:12]}…, as the store says",
            found=f"{found[:12]}…",
            advice="commonspace verify INDEX makes it anew from the store",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()

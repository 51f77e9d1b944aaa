"""Folder of an index: creation, and the copy of the space."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from commonspace.atomic import sync, umask, write_error
from commonspace.errors import OutputError, SettingError, SpaceError, StoreError
from commonspace.json_text import parse_json
from commonspace.retrieval.backends.milvus import PREFIX, check_reachable, resolve_uri
from commonspace.retrieval.changes import set_field_types, set_meta
from commonspace.retrieval.lock import write_lock
from commonspace.retrieval.store import Store
from commonspace.space import CommonSpace, load
from commonspace.space_files import CONFIG, read_space_files

__all__ = [
    "LOCK",
    "MAP",
    "STORE",
    "check_space",
    "copy_space",
    "load_space",
    "new_index",
    "open_store",
    "other_space",
    "resolve_kind",
    "space_encoders",
    "space_folder",
]

STORE = "store.sqlite"
LOCK = "lock"
MAP = "map.json"
"""The map of an index, see ``commonspace.serve.projection``."""
KINDS = ("exact", "auto", "hnsw", "ivf")


def space_folder(folder: Path, space: int) -> Path:
    """Return the folder of the copy of a space.

    Example:
        >>> str(space_folder(Path("shop"), 1))
        'shop/spaces/1'
    """
    return folder / "spaces" / str(space)


def check_space(space: object) -> None:
    """Check the type of a space.

    Raises:
        SettingError: If it is not a CommonSpace.
    """
    if not isinstance(space, CommonSpace):
        raise SettingError(
            "the space has the wrong type",
            expected="a CommonSpace",
            found=f"{type(space).__name__}: {space!r:.60}",
            advice='load it first: commonspace.load("runs/photos")',
        )


def open_store(folder: Path) -> Store:
    """Open the store of an index.

    Raises:
        StoreError: If there is none, or it is damaged.
    """
    if not (folder / STORE).exists():
        raise StoreError(
            f"{folder} is not an index",
            expected=f"a folder with {STORE}, as commonspace index writes it",
            found=_describe_path(folder),
            advice="check the path, or create one: commonspace index RUN DATA --out INDEX",
        )
    return Store.open(folder / STORE)


def resolve_kind(kind: str, compress: int | None) -> str:
    """Return a kind of index, with the absolute path of a file that it names.

    Raises:
        SettingError: If it is unknown, or does not support compression.
        StoreError: If it is Milvus, and cannot be reached.
    """
    if compress is not None and (type(compress) is not int or compress < 4):
        raise SettingError(
            "`compress` must be a whole number of bytes >= 4",
            expected="a number such as 64, or None for float32",
            found=repr(compress),
            advice="leave it out to search uncompressed vectors",
        )
    if isinstance(kind, str) and kind.startswith(PREFIX):
        if compress is not None:
            raise SettingError(
                "`compress` is not supported by Milvus",
                expected="a kind of index of FAISS: exact, auto, hnsw or ivf",
                found=f"{kind} with compress={compress}",
                advice="leave compress out, or choose another index of Milvus on its server",
            )
        whole = resolve_uri(kind)
        check_reachable(whole.removeprefix(PREFIX))
        return whole
    if kind not in KINDS:
        raise SettingError(
            "the kind of index is unknown",
            expected=" or ".join(map(repr, KINDS)) + f", or {PREFIX}URI",
            found=repr(kind),
            advice="leave it out for exact search",
        )
    return kind


@contextmanager
def new_index(
    path: Path, space: CommonSpace, meta: Mapping[str, str | int], field_types: Mapping[str, str]
) -> Iterator[Store]:
    """Create the folder of an empty index, and hold its lock in the block.

    It is created under another name and renamed, so that a kill leaves nothing under ``path``.

    Args:
        path: a new or empty folder.
        space: the space of its vectors; it is copied.
        meta: values of the table meta.
        field_types: declared types of fields.

    Raises:
        OutputError: If the folder is not empty, or cannot be written.
    """
    _check_free(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _delete_leftovers(path)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new"))
    except OSError as exc:
        raise write_error(path, exc) from exc
    try:
        draft.chmod(0o777 & ~umask())  # mkdtemp makes it private; an index is an ordinary folder
        with write_lock(draft / LOCK, str(path), wait=0):
            space.save(space_folder(draft, 1))
            store = Store.create(
                draft / STORE, fingerprint=space.fingerprint, dimension=space.dimension
            )
            with store.transaction() as connection:
                for key, value in meta.items():
                    set_meta(connection, key, value)
                set_field_types(connection, field_types)
            store.close()  # its files move; the lock moves with them
            try:
                draft.rename(path)
                sync(path.parent)
            except OSError as exc:
                raise write_error(path, exc) from exc
            yield Store.open(path / STORE)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def copy_space(folder: Path, number: int, space: CommonSpace) -> None:
    """Copy another space into the folder, unless a complete copy exists.

    Raises:
        OutputError: If it cannot be written.
    """
    target = space_folder(folder, number)
    with suppress(StoreError):
        load_space(folder, number, space.fingerprint, "cpu")
        return
    shutil.rmtree(target, ignore_errors=True)
    space.save(target)


def load_space(folder: Path, number: int, fingerprint: str, device: str) -> CommonSpace:
    """Load the copy of a space.

    Raises:
        StoreError: If it is missing, damaged, or not the space of the vectors.
    """
    place = space_folder(folder, number)
    try:
        space = load(place, device=device, check_weights=False)  # the fingerprint has them
        if space.fingerprint != fingerprint:
            read_space_files(place)  # damaged, or else another space
    except SpaceError as exc:
        raise StoreError(
            f"the space of the index cannot be loaded: {exc.problem}",
            expected=exc.expected,
            found=exc.found,
            advice="load its run with `networks` and pass it: Index.open(path, space=space)"
            if "user-defined" in exc.problem
            else f"copy the run that the index was created with to {place}",
        ) from exc
    if space.fingerprint != fingerprint:
        raise other_space(str(place), fingerprint, space.fingerprint)
    return space


def space_encoders(folder: Path, number: int) -> dict[str, str]:
    """Return modality -> name of each encoder that the copy of a space contains, or was trained on.

    Only its config is read; {} if that is damaged.
    """
    try:
        config = parse_json((space_folder(folder, number) / CONFIG).read_text("utf-8"))
        encoders = config["provenance"]["encoders"]
        return {name: str(facts["name"]) for name, facts in encoders.items() if facts.get("name")}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def other_space(what: str, expected: str, found: str) -> StoreError:
    """Return the error of a space that is not the one of the vectors."""
    return StoreError(
        f"{what} is another space than that of the vectors of the index",
        expected=f"fingerprint {expected[:12]}…",
        found=f"{found[:12]}…",
        advice="open the index with its own space, or move it to the other one:"
        " commonspace migrate INDEX --to RUN",
    )


def _check_free(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        index = (path / STORE).exists() if path.is_dir() else False
        raise OutputError(
            f"{path} already exists",
            expected="a new or empty folder",
            found="an index" if index else "something else",
            advice="add to it with add or update, or choose another folder"
            if index
            else "choose another folder; nothing was changed",
        )


def _delete_leftovers(path: Path) -> None:
    """Delete what kills left of earlier attempts to create the same folder."""
    for leftover in path.parent.glob(f".{path.name}.*.new"):
        with suppress(StoreError, OutputError), write_lock(leftover / LOCK, str(leftover), wait=0):
            shutil.rmtree(leftover, ignore_errors=True)


def _describe_path(path: Path) -> str:
    if not path.exists():
        return "no such folder"
    return "a folder without it" if path.is_dir() else "a file"

"""The folder of an index: made whole under another name and then renamed, with a copy of the space.

A kill while it is made leaves nothing under the name that was asked for. It knows no items.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from commonspace.atomic import sync, umask, write_error
from commonspace.errors import OutputError, SettingError, SpaceError, StoreError
from commonspace.retrieval.changes import set_fact
from commonspace.retrieval.lock import writing
from commonspace.retrieval.milvus import PREFIX, check_reachable, resolved
from commonspace.retrieval.store import Store

if TYPE_CHECKING:
    from commonspace.space import CommonSpace

__all__ = [
    "LOCK",
    "STORE",
    "checked_choice",
    "copy_space",
    "load_copy",
    "new_index",
    "other_space",
    "space_folder",
]

STORE = "store.sqlite"
LOCK = "lock"
CHOICES = ("exact", "auto", "hnsw", "ivf")


def space_folder(folder: Path, space: int) -> Path:
    """Return where the copy of a space lies.

    Example:
        >>> str(space_folder(Path("shop"), 1))
        'shop/spaces/1'
    """
    return folder / "spaces" / str(space)


def checked_choice(choice: str) -> str:
    """Return a kind of index, with the whole path of a file that it names.

    Raises:
        SettingError: it is none.
        StoreError: it is Milvus, which cannot be reached.
    """
    if choice.startswith(PREFIX):
        whole = resolved(choice)
        check_reachable(whole.removeprefix(PREFIX))
        return whole
    if choice not in CHOICES:
        raise SettingError(
            "there is no such kind of index",
            expected=" or ".join(map(repr, CHOICES)) + f", or {PREFIX}URI",
            found=repr(choice),
            advice="leave it out to search exactly",
        )
    return choice


@contextmanager
def new_index(
    path: Path, space: "CommonSpace", *, choice: str, encoders: Mapping[str, str]
) -> Iterator[Store]:
    """Make the folder of an empty index, and hold its lock for the block.

    Args:
        path: where to; nothing, or an empty folder.
        space: what its vectors belong to; it is copied.
        choice: the kind of index.
        encoders: modality -> text form of the encoder of its features.

    Raises:
        OutputError: the place is taken, or cannot be written.
    """
    _check_free(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new"))
    except OSError as exc:
        raise write_error(path, exc) from exc
    try:
        draft.chmod(0o777 & ~umask())  # mkdtemp makes it private; an index is an ordinary folder
        with writing(draft / LOCK, str(path), wait=0):
            space.save(space_folder(draft, 1))
            store = Store.create(
                draft / STORE, fingerprint=space.fingerprint, dimension=space.dimension
            )
            with store.changing() as connection:
                set_fact(connection, "kind", choice)
                set_fact(connection, "encoders", json.dumps(dict(encoders)))
            store.close()  # its files move; the lock moves along
            try:
                draft.rename(path)
                sync(path.parent)
            except OSError as exc:
                raise write_error(path, exc) from exc
            yield Store.open(path / STORE)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def copy_space(folder: Path, number: int, space: "CommonSpace") -> None:
    """Put the copy of another space into the folder, unless it is there whole.

    Raises:
        OutputError: it cannot be written.
    """
    target = space_folder(folder, number)
    with suppress(StoreError):
        load_copy(folder, number, space.fingerprint, "cpu")
        return
    shutil.rmtree(target, ignore_errors=True)
    space.save(target)


def load_copy(folder: Path, number: int, fingerprint: str, device: str) -> "CommonSpace":
    """Load the copy of a space.

    Raises:
        StoreError: it is missing, damaged, or another space than the vectors belong to.
    """
    from commonspace.space import load

    place = space_folder(folder, number)
    try:
        space = load(place, device=device)
    except SpaceError as exc:
        raise StoreError(
            f"the space of the index cannot be loaded: {exc.problem}",
            expected=exc.expected,
            found=exc.found,
            advice="load its run with `networks` and pass it: Index.open(path, space=space)"
            if "user-defined" in exc.problem
            else f"put a copy of the run that the index was made with into {place}",
        ) from exc
    if space.fingerprint != fingerprint:
        raise other_space(str(place), fingerprint, space.fingerprint)
    return space


def other_space(what: str, expected: str, found: str) -> StoreError:
    """Return the error that says that a space is not the one that an index is bound to."""
    return StoreError(
        f"{what} is another space than the vectors of the index belong to",
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
            expected="a place that is still free",
            found="an index" if index else "something else",
            advice="put more into it with add or update, or choose another place"
            if index
            else "choose another place; nothing was changed",
        )


def _sweep(path: Path) -> None:
    """Take away what kills left of earlier attempts to make this very folder."""
    for left in path.parent.glob(f".{path.name}.*.new"):
        with suppress(StoreError, OutputError), writing(left / LOCK, str(left), wait=0):
            shutil.rmtree(left, ignore_errors=True)

"""The folder of a training run: its files, the data it belongs to, and its lifecycle.

run.json                 the data set, its splits, and the command that made the folder
events/                  TensorBoard events, by option
checkpoint.safetensors   during training: what --resume continues from
history.jsonl            the figures of each epoch, one line of JSON each
config.json, model.safetensors    the common space
SHA256SUMS               checksums of these files, once the training has ended
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal

from commonspace.atomic import make_folder, replace_file
from commonspace.checksums import CHECKSUMS, is_changed, write_checksums
from commonspace.errors import OutputError, SpaceError
from commonspace.json_text import parse_json

if TYPE_CHECKING:
    from commonspace.data import Dataset

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "RunRecord",
    "continued_run",
    "data_of",
    "new_run",
    "open_data",
    "write_run_checksums",
]

RECORD = "run.json"
CONFIG = "config.json"
"""File of a finished training."""
CHECKPOINT = "checkpoint.safetensors"
"""File of a training that can be continued."""
FROM_RUN = "data_from_run"
BUILT_IN = ("scenes",)
FILES = (RECORD, CHECKPOINT, "history.jsonl", "model.safetensors", CONFIG)


@dataclass(frozen=True)
class RunRecord:
    """The content of ``run.json``, by which ``evaluate RUN`` finds the data.

    The file stores the path of the data as an absolute path and relative to the run, so that the
    run can be used from any folder, and moved together with its data.

    Args:
        data: the data set, as on the command line.
        split_seed: the seed with which it was opened.
        partial: whether it was opened with --skip-invalid.
        made_by: the command that made the folder.
    """

    data: str
    split_seed: int = 0
    partial: bool = False
    made_by: Literal["train", "demo"] = "train"

    def write(self, folder: Path) -> None:
        """Write the record into the folder of the run.

        Raises:
            OutputError: If the file exists already, or cannot be written.
        """
        record = asdict(self)
        before, path, after = _split_path(self.data)
        if path:
            absolute = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links
            relative = os.path.relpath(absolute, os.path.abspath(folder))  # noqa: PTH100
            record["data"] = f"{before}{absolute}{after}"
            record[FROM_RUN] = f"{before}{relative}{after}"
        with replace_file(folder / RECORD) as draft:
            draft.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> "RunRecord | None":
        """Return the record of a run; None for a space that was saved from Python.

        Its ``data`` is the stored absolute path if it exists, else the path relative to the run.

        Raises:
            SpaceError: If the record is damaged.
        """
        path = folder / RECORD
        try:
            if is_changed(path):
                raise ValueError(f"not the content that {CHECKSUMS} lists")
            record = parse_json(path.read_text("utf-8"))
            if not isinstance(record, dict):
                raise ValueError(f"a JSON {type(record).__name__}")
            for name, kind in (("data", str), ("split_seed", int), ("partial", bool)):
                if name in record and not isinstance(record[name], kind):
                    raise ValueError(f"{name}: {record[name]!r}")
            relative = record.pop(FROM_RUN, None)
            known = cls(**record)
            if isinstance(relative, str) and not _split_path(known.data)[1]:
                before, moved, after = _split_path(relative, folder)
                known = replace(known, data=f"{before}{moved}{after}") if moved else known
            return known
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError) as exc:
            raise SpaceError(
                f"{path} cannot be read",
                expected="JSON with data, split_seed, partial and made_by",
                found=str(exc),
                advice="remove it, and name the data with --data; if it was changed on purpose,"
                f" delete its line in {CHECKSUMS}",
            ) from exc


def write_run_checksums(folder: Path) -> None:
    """Write the checksums of the files of a run, which are complete.

    Raises:
        OutputError: If they cannot be written.
    """
    files = [name for name in FILES if name != CHECKPOINT and (folder / name).exists()]
    events = [path for path in (folder / "events").rglob("*") if path.is_file()]
    write_checksums(folder, [*files, *(path.relative_to(folder).as_posix() for path in events)])


def data_of(folder: Path, data: str | None, split_seed: int | None, *, partial: bool) -> "Dataset":
    """Open the data set of a run, or another one.

    Args:
        folder: the run.
        data: another data set; None: the one that the run was trained on.
        split_seed: another seed of its splits; None: that of the run, 0 without a record.
        partial: whether to skip invalid items, as is also done if the training did.

    Raises:
        SpaceError: If neither the argument nor the run names the data.
        DataError: If the data cannot be opened.
    """
    record = RunRecord.read(folder)
    if data is None and record is None:
        raise SpaceError(
            f"{folder} has no record of its training data",
            expected=f"a {RECORD}, as train writes it",
            found="none",
            advice="name the data with --data",
        )
    known = record or RunRecord(data="")
    if data is None and known.data not in BUILT_IN and _is_gone(known.data):
        raise SpaceError(
            f"the training data of {folder} is not at its place",
            expected="the data where it was, or moved together with the run",
            found=f"no {known.data}",
            advice="name its new place: --data DATA",
        )
    return open_data(
        known.data if data is None else data,
        known.split_seed if split_seed is None else split_seed,
        partial=partial or (data is None and known.partial),
    )


def open_data(data: str, split_seed: int, *, partial: bool, need_splits: bool = True) -> "Dataset":
    """Open a data set; with ``partial`` without the images that cannot be opened.

    Args:
        data: as on the command line.
        split_seed: seed of splits that are drawn.
        partial: whether to skip invalid items.
        need_splits: whether classes of one sample and empty splits are errors.

    Raises:
        DataError: If the data cannot be opened.
    """
    from commonspace.data import drop_unreadable_images
    from commonspace.datasets import load_dataset

    dataset = load_dataset(data, seed=split_seed, partial=partial, need_splits=need_splits)
    return drop_unreadable_images(dataset) if partial else dataset


def _is_gone(data: str) -> bool:
    """Return whether a stored data argument names a path at which there is nothing."""
    return "://" not in data and not data.startswith("hf:") and not _split_path(data)[1]


@contextmanager
def new_run(folder: Path, record: RunRecord) -> Iterator[bool]:
    """Create the folder of a run, before anything is loaded or trained.

    If the block ends without a checkpoint or a space, the folder is removed again.

    Yields:
        False: there is no checkpoint to continue from.

    Raises:
        OutputError: If the folder exists and is not empty, or cannot be created.
    """
    was_there = folder.exists()
    if (folder / RECORD).exists() and not (folder / CONFIG).exists():
        with _lock(folder):
            raise OutputError(
                f"{folder} contains a training that has not ended",
                expected="a new folder",
                found=CHECKPOINT if (folder / CHECKPOINT).exists() else RECORD,
                advice="continue it with --resume, or choose another folder; nothing was changed",
            )
    make_folder(folder)
    with _lock(folder), _record_run(folder, record, keep_folder=was_there):
        yield False


@contextmanager
def continued_run(folder: Path, record: RunRecord) -> Iterator[bool]:
    """Continue in the folder of an interrupted training.

    Yields:
        Whether there is a checkpoint to continue from. A training that was killed in its first
        epoch left none, and starts again.

    Raises:
        SpaceError: If the training is finished, or there is none.
        OutputError: If another process is running it.
    """
    if (folder / CONFIG).exists():
        raise SpaceError(
            f"the training in {folder} is finished",
            expected="an interrupted training",
            found=f"a common space in {CONFIG}",
            advice=f"evaluate it: commonspace evaluate {quote(str(folder))}; or train into another"
            " --out",
        )
    if not any((folder / name).exists() for name in (CHECKPOINT, RECORD)):
        raise SpaceError(
            f"there is nothing to resume in {folder}",
            expected=f"a {CHECKPOINT}, which a training writes after its first epoch",
            found="no such folder" if not folder.exists() else "none",
            advice="check the folder given with --out, or start without --resume",
        )
    with _lock(folder):
        for name in FILES:  # drafts that a kill during writing left behind
            for draft in folder.glob(f".{name}.*"):
                draft.unlink()
        if (folder / CHECKPOINT).exists():
            yield True
            return
        _clear(folder)
        with _record_run(folder, record, keep_folder=True):
            yield False


@contextmanager
def _record_run(folder: Path, record: RunRecord, *, keep_folder: bool) -> Iterator[None]:
    """Write the record; remove it if the block fails without a checkpoint or a space."""
    try:
        record.write(folder)
        yield
    except BaseException:
        if not any((folder / name).exists() for name in (CHECKPOINT, CONFIG)):
            _clear(folder)
            with suppress(OSError):  # other files were put there meanwhile: they stay
                if not keep_folder:
                    folder.rmdir()
        raise


def _clear(folder: Path) -> None:
    shutil.rmtree(folder / "events", ignore_errors=True)
    (folder / RECORD).unlink(missing_ok=True)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Lock the folder against other trainings until the block, or this process, ends.

    Raises:
        OutputError: If another training holds the lock.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network drives have no locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise OutputError(
                    f"another training is running in {folder}",
                    expected="a folder without a running training",
                    found="a process that has locked it",
                    advice="wait for its end, or choose another folder; nothing was changed",
                ) from exc
        yield
    finally:
        os.close(handle)


def _split_path(data: str, folder: Path | None = None) -> tuple[str, str, str]:
    """Divide a data argument "layout:path?keys" around its path, "" if there is no such path.

    Args:
        data: as on the command line.
        folder: what a relative path starts from; None: the current folder.
    """
    if data in BUILT_IN:
        return data, "", ""
    start = folder or Path()
    for text, after in ((data, ""), (data.partition("?")[0], data[len(data.partition("?")[0]) :])):
        layout, colon, rest = text.partition(":")
        for before, path in (("", text), (layout + colon, rest)):
            place = start / Path(path).expanduser()
            if path and place.exists():
                return before, str(place), after
    return data, "", ""

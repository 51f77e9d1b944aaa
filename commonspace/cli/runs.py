"""The folder of a training: what is in it, which data it belongs to, and how it comes to be.

    run.json                 which data, how it was divided, which command made the folder
    events/                  the figures of each epoch for TensorBoard
    checkpoint.safetensors   while training: what --resume goes on from
    history.jsonl            afterwards: the figures of each epoch, a line each
    config.json, model.safetensors    the common space

It knows the names of files and no method.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from commonspace.atomic import make_folder, replace_file
from commonspace.errors import OutputError, SpaceError

if TYPE_CHECKING:
    from commonspace.data import Dataset

__all__ = ["RunRecord", "continued_run", "data_of", "new_run", "open_data"]

RECORD, CONFIG, CHECKPOINT = "run.json", "config.json", "checkpoint.safetensors"
FILES = (RECORD, CHECKPOINT, "history.jsonl", "model.safetensors", CONFIG)


@dataclass(frozen=True)
class RunRecord:
    """What ``run.json`` says, so that ``evaluate RUN`` finds the data again.

    Args:
        data: the data set, as it was given on the command line.
        split_seed: the seed with which it was opened.
        partial: whether it was opened with --partial.
        made_by: the command that made the folder.
    """

    data: str
    split_seed: int = 0
    partial: bool = False
    made_by: Literal["train", "demo"] = "train"

    def write(self, folder: Path) -> None:
        """Write the record into the folder of the run.

        Raises:
            OutputError: there is one already, or it cannot be written.
        """
        with replace_file(folder / RECORD) as draft:
            draft.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> "RunRecord | None":
        """Return the record of a run; None for a space that was saved from Python.

        Raises:
            SpaceError: the record is damaged.
        """
        path = folder / RECORD
        try:
            record = json.loads(path.read_text("utf-8"))
            if not isinstance(record, dict):
                raise ValueError(f"a JSON {type(record).__name__}")
            for name, kind in (("data", str), ("split_seed", int), ("partial", bool)):
                if name in record and not isinstance(record[name], kind):
                    raise ValueError(f"{name}: {record[name]!r}")
            return cls(**record)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError) as exc:
            raise SpaceError(
                f"{path} cannot be read",
                expected="JSON with data, split_seed, partial and made_by",
                found=str(exc),
                advice="remove it, and name the data with --data",
            ) from exc


def data_of(folder: Path, data: str | None, split_seed: int | None, *, partial: bool) -> "Dataset":
    """Open the data set of a run, or another one in its place.

    Args:
        folder: the run.
        data: another data set; None opens the one that the run was trained on.
        split_seed: another seed for its splits; None takes that of the run, 0 without one.
        partial: whether to load what can be loaded, which is also done where the run did so.

    Raises:
        SpaceError: no data is named, and the run does not name any.
        DataError: the data cannot be opened.
    """
    record = RunRecord.read(folder)
    if data is None and record is None:
        raise SpaceError(
            f"{folder} does not say which data it was trained on",
            expected=f"a {RECORD}, as train writes it",
            found="none",
            advice="name the data with --data",
        )
    known = record or RunRecord(data="")
    return open_data(
        known.data if data is None else data,
        known.split_seed if split_seed is None else split_seed,
        partial=partial or (data is None and known.partial),
    )


def open_data(data: str, split_seed: int, *, partial: bool, need_splits: bool = True) -> "Dataset":
    """Open a data set; with ``partial`` also without the images that cannot be opened.

    Args:
        data: as it was given on the command line.
        split_seed: for splits that are drawn.
        partial: whether to load what can be loaded.
        need_splits: whether classes of one sample and empty splits are errors.

    Raises:
        DataError: the data cannot be opened.
    """
    from commonspace.data import drop_unreadable_images
    from commonspace.datasets import load_dataset

    dataset = load_dataset(data, seed=split_seed, partial=partial, need_splits=need_splits)
    return drop_unreadable_images(dataset) if partial else dataset


@contextmanager
def new_run(folder: Path, record: RunRecord) -> Iterator[bool]:
    """Make the folder of a run, before anything is loaded or trained.

    If the block ends before there is a checkpoint or a space, the folder is taken away again.

    Yields:
        False: there is no checkpoint to go on from.

    Raises:
        OutputError: something is there already, or the folder cannot be made.
    """
    was_there = folder.exists()
    if (folder / RECORD).exists() and not (folder / CONFIG).exists():
        with _alone_in(folder):
            raise OutputError(
                f"{folder} holds a training that has not ended",
                expected="a place that is still free",
                found=CHECKPOINT if (folder / CHECKPOINT).exists() else RECORD,
                advice="go on with --resume, or choose another place; nothing was changed",
            )
    make_folder(folder)
    with _alone_in(folder), _begun(folder, record, keep_folder=was_there):
        yield False


@contextmanager
def continued_run(folder: Path, record: RunRecord) -> Iterator[bool]:
    """Take over the folder of a training that was interrupted.

    Yields:
        Whether there is a checkpoint to go on from. A training that was killed in its first epoch
        left none, and begins anew.

    Raises:
        SpaceError: the training is finished, or there is none.
        OutputError: another process is at work on it.
    """
    if (folder / CONFIG).exists():
        raise SpaceError(
            f"the training in {folder} is finished",
            expected="one that was interrupted",
            found=f"a common space in {CONFIG}",
            advice=f"measure it: commonspace evaluate {folder}; or train another with another"
            " --out",
        )
    if not any((folder / name).exists() for name in (CHECKPOINT, RECORD)):
        raise SpaceError(
            f"there is nothing to resume in {folder}",
            expected=f"a {CHECKPOINT}, which a training writes after its first epoch",
            found="no such folder" if not folder.exists() else "none",
            advice="check the folder given with --out, or start without --resume",
        )
    with _alone_in(folder):
        for name in FILES:  # what a kill in the middle of writing left beside them
            for draft in folder.glob(f".{name}.*"):
                draft.unlink()
        if (folder / CHECKPOINT).exists():
            yield True
            return
        _clear(folder)
        with _begun(folder, record, keep_folder=True):
            yield False


@contextmanager
def _begun(folder: Path, record: RunRecord, *, keep_folder: bool) -> Iterator[None]:
    """Write the record; take it away again where the block ends without anything to keep."""
    try:
        record.write(folder)
        yield
    except BaseException:
        if not any((folder / name).exists() for name in (CHECKPOINT, CONFIG)):
            _clear(folder)
            with suppress(OSError):  # something else was put there meanwhile: it stays
                if not keep_folder:
                    folder.rmdir()
        raise


def _clear(folder: Path) -> None:
    shutil.rmtree(folder / "events", ignore_errors=True)
    (folder / RECORD).unlink(missing_ok=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other trainings out of the folder until the block, or this process, ends.

    Raises:
        OutputError: another one is at work there.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network drives know no locks: then there is none
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise OutputError(
                    f"another training is at work in {folder}",
                    expected="a folder for this training alone",
                    found="a process that holds it",
                    advice="wait for its end, or choose another place; nothing was changed",
                ) from exc
        yield
    finally:
        os.close(handle)

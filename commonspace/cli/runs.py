"""The folder of a training: what is in it, which data it belongs to, and how it comes to be.

    run.json                 which data, how it was divided, which command made the folder
    events/                  the figures of each epoch for TensorBoard
    checkpoint.safetensors   while training: what --resume goes on from
    history.jsonl            afterwards: the figures of each epoch, a line each
    config.json, model.safetensors    the common space

It knows the names of files and no method.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from commonspace.atomic import new_folder, replacing
from commonspace.errors import SpaceError

if TYPE_CHECKING:
    from commonspace.data import Dataset

__all__ = ["RunRecord", "continued_run", "data_of", "new_run"]

RECORD, CONFIG, CHECKPOINT = "run.json", "config.json", "checkpoint.safetensors"


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
        with replacing(folder / RECORD) as draft:
            draft.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> "RunRecord | None":
        """Return the record of a run; None for a space that was saved from Python.

        Raises:
            SpaceError: the record is damaged.
        """
        path = folder / RECORD
        try:
            return cls(**json.loads(path.read_text("utf-8")))
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
    from commonspace.data import load_dataset

    record = RunRecord.read(folder)
    if data is None and record is None:
        raise SpaceError(
            f"{folder} does not say which data it was trained on",
            expected=f"a {RECORD}, as train writes it",
            found="none",
            advice="name the data with --data",
        )
    known = record or RunRecord(data="")
    return load_dataset(
        known.data if data is None else data,
        seed=known.split_seed if split_seed is None else split_seed,
        partial=partial or (data is None and known.partial),
    )


@contextmanager
def new_run(folder: Path, record: RunRecord) -> Iterator[None]:
    """Make the folder of a run, before anything is loaded or trained.

    If the block ends before there is a checkpoint or a space, the folder is taken away again.

    Raises:
        OutputError: something is there already, or the folder cannot be made.
    """
    was_there = folder.exists()
    new_folder(folder)
    try:
        record.write(folder)
        yield
    except BaseException:
        if not any((folder / name).exists() for name in (CHECKPOINT, CONFIG)):
            shutil.rmtree(folder / "events", ignore_errors=True)
            (folder / RECORD).unlink(missing_ok=True)
            with suppress(OSError):  # something else was put there meanwhile: it stays
                if not was_there:
                    folder.rmdir()
        raise


@contextmanager
def continued_run(folder: Path) -> Iterator[None]:
    """Check that the folder holds a training that can go on.

    Raises:
        SpaceError: it is finished, or there is no checkpoint.
    """
    if (folder / CONFIG).exists():
        raise SpaceError(
            f"the training in {folder} is finished",
            expected="one that was interrupted",
            found=f"a common space in {CONFIG}",
            advice=f"measure it: commonspace evaluate {folder}; or train another with another"
            " --out",
        )
    if not (folder / CHECKPOINT).exists():
        raise SpaceError(
            f"there is nothing to resume in {folder}",
            expected=f"a {CHECKPOINT}, which a training writes after its first epoch",
            found="no such folder" if not folder.exists() else "none",
            advice="check the folder given with --out, or start without --resume",
        )
    yield

"""Commands that torchrun starts in several processes: the first one writes files and messages."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.distributed import Processes
    from commonspace.methods import Method

__all__ = [
    "be_silent",
    "check_command",
    "check_method",
    "in_first",
    "is_follower",
    "launcher",
    "training_processes",
]


def is_follower() -> bool:
    """Return whether torchrun started this process beside a first one."""
    return _count() > 1 and os.environ.get("RANK", "0") != "0"


def be_silent() -> None:
    """Write no messages: the first process writes them, also those of a process that fails."""
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def training_processes(device: str) -> "Iterator[Processes | None]":
    """Join the processes of torchrun; None, and nothing imported, if there are none.

    Args:
        device: Setting of the method.
    """
    if _count() < 2:
        yield None
        return
    from commonspace.distributed import join_processes

    with join_processes(device) as processes:
        yield processes


@contextmanager
def in_first(processes: "Processes | None", folder: AbstractContextManager[bool]) -> Iterator[bool]:
    """Open the folder of a run in the first process, and yield its answer in all of them."""
    if processes is None:
        with folder as answer:
            yield answer
    elif processes.rank == 0:
        with folder as answer:
            processes.from_first(lambda: answer)
            yield answer
    else:
        yield processes.from_first(lambda: False)


def check_method(processes: "Processes | None", name: str, method: "Method") -> None:
    """Check that a method can be trained by several processes.

    Raises:
        SettingError: If it is in closed form.
    """
    if processes is None:
        return
    from commonspace.methods import GradientMethod

    if not isinstance(method, GradientMethod):
        raise SettingError(
            f"{name} is computed in closed form, not trained in batches",
            expected="a method trained by gradient descent, such as dscmr",
            found=f"{name}, in {processes.count} processes",
            advice="start it in one process: commonspace train",
        )


def check_command(name: str | None) -> None:
    """Check that a command can be started by torchrun: only train divides its work.

    Raises:
        SettingError: another command is started in several processes.
    """
    if _count() > 1 and name not in (None, "train"):
        raise SettingError(
            f"torchrun started {name} in {_count()} processes, which would all do the same",
            expected="torchrun with train only",
            found=f"{name}",
            advice=f"start it once: commonspace {name}; evaluate and extract have --engine"
            " processes and --engine ray",
        )


def launcher() -> list[str]:
    """Return the words before the arguments of this command."""
    if _count() < 2:
        return ["commonspace"]
    local = os.environ.get("LOCAL_WORLD_SIZE", str(_count()))
    return ["torchrun", "--nproc-per-node", local, "-m", "commonspace"]


def _count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))

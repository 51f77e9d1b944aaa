"""Items to network input on other processes, a few batches ahead of whoever asks for them.

No process outlives the loop that asks: not after its end, an error, Ctrl-C, or the end of the
asking process by a kill. It knows nothing of networks or files.
"""

import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Indexed

from commonspace.encoders.input import Input
from commonspace.errors import DataError

__all__ = ["Broken", "Prepared", "prepared"]


class Broken(NamedTuple):
    """An item that could not be read: its place, and the parts of the error."""

    row: int
    problem: str
    expected: str
    found: str
    advice: str

    def error(self) -> DataError:
        """Return the error."""
        return DataError(self.problem, expected=self.expected, found=self.found, advice=self.advice)


@dataclass(frozen=True)
class Prepared:
    """A batch of items, ready for the network.

    Args:
        inputs: (m, ...) network input of those items that could be read; None without any.
        rows: their m places among all items.
        broken: the items that could not be read.
    """

    inputs: Tensor | None
    rows: Sequence[int]
    broken: Sequence[Broken] = ()


def prepared(
    input_: Input, items: Sequence[Any], batches: Sequence[Sequence[int]], workers: int
) -> Generator[Prepared, None, None]:
    """Prepare items in batches, in the order of the batches.

    Args:
        input_: turns a list of items into network input of one shape.
        items: all items.
        batches: the places of the items of each batch.
        workers: on how many other processes; 0: here, when asked.

    Raises:
        DataError: a worker was killed, as when memory ran out.
    """
    source = _Batches(input_, items)
    if workers == 0:
        for rows in batches:
            yield source[rows]
        return
    loader = DataLoader(
        source,
        sampler=batches,
        batch_size=None,
        num_workers=min(workers, max(len(batches), 1)),
        worker_init_fn=_leave_interrupts_to_parent,
    )
    loading = iter(loader)
    try:
        while True:
            try:
                batch = next(loading)
            except StopIteration:
                return
            except RuntimeError as exc:
                raise DataError(
                    "a process that was decoding items ended unexpectedly",
                    expected="an answer from each worker",
                    found=str(exc).splitlines()[0],
                    advice="give it more memory, or use fewer workers",
                ) from exc
            yield batch
    finally:
        # Without this a traceback that somebody keeps would keep the workers alive.
        loading._shutdown_workers()  # type: ignore[attr-defined]


class _Batches(Indexed[Prepared]):
    """Batches by the places of their items, for torch's loader."""

    def __init__(self, input_: Input, items: Sequence[Any]) -> None:
        self._input = input_
        self._items = items

    def __getitem__(self, rows: Sequence[int]) -> Prepared:
        try:
            return Prepared(self._input([self._items[row] for row in rows]), rows)
        except DataError:
            return self._one_by_one(rows)

    def _one_by_one(self, rows: Sequence[int]) -> Prepared:
        """Find out which items cannot be read, and prepare the others."""
        made: list[Tensor] = []
        good: list[int] = []
        broken: list[Broken] = []
        for row in rows:
            try:
                made.append(self._input([self._items[row]]))
                good.append(row)
            except DataError as error:
                parts = (error.problem, error.expected, error.found, error.advice)
                broken.append(Broken(row, *parts))
        return Prepared(torch.cat(made) if made else None, good, broken)


def _leave_interrupts_to_parent(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

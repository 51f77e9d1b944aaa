"""Preparation of network input in worker processes, a few batches ahead.

The workers end with the loop over the batches: at its end, after an error, at Ctrl-C, and when the
process of the loop is killed.
"""

import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Indexed

from commonspace.errors import DataError

__all__ = ["Broken", "Prepared", "prepared"]


class Broken(NamedTuple):
    """An item that could not be read: its row, and the parts of the error."""

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
        inputs: (m, ...) network input of the items that could be read; None if there are none.
        rows: their m rows.
        broken: the items that could not be read.
    """

    inputs: Tensor | None
    rows: Sequence[int]
    broken: Sequence[Broken] = ()


def prepared(
    input_: Callable[[Sequence[Any]], Tensor],
    items: Mapping[int, Any] | Sequence[Any],
    batches: Sequence[Sequence[int]],
    workers: int,
) -> Generator[Prepared, None, None]:
    """Prepare items in batches, in the order of the batches.

    Args:
        input_: turns a list of items into network input of one shape.
        items: by row.
        batches: the rows of each batch.
        workers: number of worker processes; 0: in this process.

    Raises:
        DataError: If a worker was killed, for example because memory ran out.
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
                    expected="a result from each worker",
                    found=str(exc).splitlines()[0],
                    advice="give it more memory, or use fewer workers",
                ) from exc
            yield batch
    finally:
        # Without this a traceback that is kept would keep the workers alive.
        loading._shutdown_workers()  # type: ignore[attr-defined]


class _Batches(Indexed[Prepared]):
    """Batches by the rows of their items, for torch's loader."""

    def __init__(
        self,
        input_: Callable[[Sequence[Any]], Tensor],
        items: Mapping[int, Any] | Sequence[Any],
    ) -> None:
        self._input = input_
        self._items = items

    def __getitem__(self, rows: Sequence[int]) -> Prepared:
        try:
            return Prepared(self._input([self._items[row] for row in rows]), rows)
        except DataError:
            return self._one_by_one(rows)

    def _one_by_one(self, rows: Sequence[int]) -> Prepared:
        """Prepare the items that can be read, and list the others."""
        inputs: list[Tensor] = []
        good: list[int] = []
        broken: list[Broken] = []
        for row in rows:
            try:
                inputs.append(self._input([self._items[row]]))
                good.append(row)
            except DataError as error:
                parts = (error.problem, error.expected, error.found, error.advice)
                broken.append(Broken(row, *parts))
        return Prepared(torch.cat(inputs) if inputs else None, good, broken)


def _leave_interrupts_to_parent(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

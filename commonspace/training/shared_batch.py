"""A batch of which several processes hold a share each."""

from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn, TypeVar

from torch import Tensor

from commonspace.distributed import Processes
from commonspace.errors import TrainingError
from commonspace.training.batch import Batch

__all__ = ["SharedBatch", "shared_batches"]

T = TypeVar("T")


class SharedBatch(Batch):
    """A batch with labels and presence of all samples, and the inputs of the own share.

    Args:
        own: The batch, with the inputs of the own share.
        processes: Those that share it.
    """

    def __init__(self, own: Batch, processes: Processes) -> None:
        super().__init__(_Hidden(), own.present, own.labels, own.rows, own.complete)
        object.__setattr__(self, "_own", own.inputs)
        object.__setattr__(self, "_processes", processes)
        self._own: Mapping[str, Tensor]
        self._processes: Processes

    def outputs(
        self, compute: Callable[[Mapping[str, Tensor]], Mapping[str, T]]
    ) -> Mapping[str, T]:
        """Return what a network computes for the samples of all processes."""
        with self._processes.computing_share():
            outputs = compute(self._own)
        return self._processes.gather_outputs(outputs)


def shared_batches(own: Iterator[Batch], processes: Processes) -> Iterator[SharedBatch]:
    """Yield each batch as one that several processes share."""
    return (SharedBatch(batch, processes) for batch in own)


class _Hidden(Mapping[str, Tensor]):
    """The inputs of a batch that no process holds as a whole."""

    def _refuse(self) -> NoReturn:
        raise TrainingError(
            "`batch_loss` of this method reads `batch.inputs`, which several processes share",
            expected="outputs = batch.outputs(network), or a method with `loss` only",
            found="the inputs of one process",
            advice="use batch.outputs, see commonspace.training.Batch, or train in one process",
        )

    def __getitem__(self, name: str) -> Tensor:
        self._refuse()

    def __iter__(self) -> NoReturn:
        self._refuse()

    def __len__(self) -> int:
        self._refuse()

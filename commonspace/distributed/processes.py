"""The processes of one training: shares of a batch, gathered outputs, averaged gradients.

Every process computes the outputs of its own samples, receives those of all others, and computes
the loss of the whole batch. Its gradient reaches the own outputs only, multiplied by the number of
processes P; the mean over the processes is then the gradient of one process with the whole batch:

    mean_r ( dL/dw + P sum_(i of r) dL/du_i du_i/dw ) = dL/dw + sum_i dL/du_i du_i/dw

for every loss L(u_1, ..., u_n, w), also for weights w that act on outputs and on samples.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from commonspace.errors import CommonspaceError, SettingError, TrainingError

__all__ = ["Processes", "join_processes"]

T = TypeVar("T")

WAIT = timedelta(days=2)
"""How long a process waits for the others, such as for the validation by the first one."""

FAILURE = "commonspace/failure"
"""Key of the message of the process that failed first, in the store that torchrun keeps."""


class Processes:
    """This process among those of a training; made by ``join_processes``.

    Args:
        store: Where a process that fails leaves its message.

    Attributes:
        rank: Number of this process, from 0; process 0 writes files and messages.
        count: Number of processes.
        device: Device of tensors that are sent.
        sharing: Whether the network is computing the own share of a batch.
    """

    def __init__(self, store: Store, device: torch.device) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        self.device = device
        self.sharing = False
        self._store = store

    def share(self, n: int) -> slice:
        """Return which of n samples are those of this process; shares differ by at most one."""
        return slice(n * self.rank // self.count, n * (self.rank + 1) // self.count)

    def gather(self, own: Tensor) -> Tensor:
        """Return the rows of all processes in their order, the own ones with their gradient.

        Args:
            own: (k, ...), any number of rows, also none; the other sizes are equal everywhere.

        Returns:
            (n, ...). The gradient of the own rows is multiplied by the number of processes.
        """
        gathered: Tensor = _Gather.apply(own, self.counts(len(own)), self.rank)  # type: ignore[no-untyped-call]
        return gathered

    def gather_outputs(self, outputs: Mapping[str, T]) -> dict[str, T]:
        """Gather tensors, and tuples of tensors, of each modality."""
        return {name: self._gather_any(value) for name, value in outputs.items()}

    def _gather_any(self, value: Any) -> Any:  # noqa: ANN401 - a tensor or a tuple
        if isinstance(value, Tensor):
            return self.gather(value)
        parts = [self._gather_any(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)

    @contextmanager
    def computing_share(self) -> Iterator[None]:
        """Mark the block in which the network computes, or recomputes, the own share."""
        self.sharing = True
        try:
            yield
        finally:
            self.sharing = False

    def counts(self, own: int) -> list[int]:
        """Return the number that each process gives."""
        counts = torch.zeros(self.count, dtype=torch.int64, device=self.device)
        counts[self.rank] = own
        dist.all_reduce(counts)
        return [int(count) for count in counts]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes.

        A weight without a gradient in every process, such as a classifier whose loss term is
        left out, stays without one.

        Args:
            parameters: The same ones, in the same order, in every process.
        """
        learning = [one for one in parameters if one.requires_grad]
        for dtype in dict.fromkeys(one.dtype for one in learning):
            some = [one for one in learning if one.dtype == dtype]
            used = [one.grad is not None for one in some]
            parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in some]
            flat = torch.cat([*(part.flatten() for part in parts), parts[0].new_tensor(used)])
            dist.all_reduce(flat)
            flat /= self.count
            *means, anywhere = torch.split(flat, [*(part.numel() for part in parts), len(some)])
            for one, mean, known in zip(some, means, anywhere.tolist(), strict=True):
                # In memory like the weight, which fused optimizers walk in step.
                shaped = torch.empty_like(one, requires_grad=False).copy_(mean.view_as(one))
                one.grad = shaped if known > 0 else None

    def copy_weights(self, network: nn.Module) -> None:
        """Give every process the weights and buffers of process 0."""
        with torch.no_grad():
            for tensor in network.state_dict().values():
                sent = tensor.detach().to(self.device).contiguous()
                dist.broadcast(sent, src=0)
                tensor.copy_(sent)

    def from_first(self, compute: Callable[[], T]) -> T:
        """Return what process 0 computes; the others wait for it.

        Args:
            compute: Called in process 0 only; its result is pickled, and sent between the
                processes of this training only.
        """
        box = [compute() if self.rank == 0 else None]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]  # type: ignore[return-value]

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let process 0 pass the block before all others, which then find its cache filled."""
        if self.rank:
            dist.barrier()
        yield
        if not self.rank:
            dist.barrier()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Leave the message of an error for process 0, and name the process that was lost.

        Raises:
            TrainingError: If another process ended.
        """
        try:
            yield
        except CommonspaceError as exc:
            self._leave(str(exc))
            raise
        except RuntimeError as exc:  # torch has no narrower class for a lost connection
            if not _is_lost(exc):
                self._leave(str(exc))
                raise
            raise self._lost() from exc

    def _leave(self, message: str) -> None:
        try:
            if not self._store.check([FAILURE]):
                self._store.set(FAILURE, f"process {self.rank}: {message}")
        except RuntimeError:
            pass  # the store went with torchrun

    def _lost(self) -> TrainingError:
        try:
            known = self._store.check([FAILURE])
            found = self._store.get(FAILURE).decode() if known else "it left no message: killed?"
        except RuntimeError:
            found = "no answer from torchrun either"
        return TrainingError(
            "another process of this training has ended",
            expected=f"{self.count} running processes",
            found=found,
            advice="continue from the last checkpoint: the same command with --resume, with any"
            " number of processes",
        )


@contextmanager
def join_processes(device: str = "auto") -> Iterator[Processes | None]:
    """Join the processes that torchrun started; None if there is one process only.

    Args:
        device: As in ``TrainingSettings``. With CUDA each process takes the device of its local
            rank, and NCCL connects them; else gloo does.

    Raises:
        SettingError: If there are more processes than CUDA devices on this machine.
        TrainingError: If another process ended.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield None
        return
    place = torch.device("cpu")
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        place = _cuda_device()
    store, rank, count = next(rendezvous("env://", timeout=WAIT))
    dist.init_process_group(
        "nccl" if place.type == "cuda" else "gloo",
        store=store,
        rank=rank,
        world_size=count,
        timeout=WAIT,
    )
    try:
        processes = Processes(store, place)
        with processes.watched():
            yield processes
    finally:
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    """All rows of all processes; the gradient of the own rows, times their number."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, counts: list[int], rank: int) -> Tensor:  # noqa: ANN401
        ctx.start, ctx.rows, ctx.count = sum(counts[:rank]), counts[rank], len(counts)
        padded = own.new_zeros((max(counts), *own.shape[1:]))
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        own = gradients[0][ctx.start : ctx.start + ctx.rows]
        return own * ctx.count, None, None


def _cuda_device() -> torch.device:
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= there:
        raise SettingError(
            "there are more processes than GPUs on this machine",
            expected=f"--nproc-per-node {there} or fewer",
            found=f"process {local + 1} of this machine",
            advice="start fewer processes, or train on the CPU with --device cpu",
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _is_lost(exc: RuntimeError) -> bool:
    """Return whether an error of torch means that the connection to a process was lost."""
    words = ("connection", "gloo", "nccl", "remote", "peer", "broken pipe", "timed out")
    return any(word in str(exc).lower() for word in words)

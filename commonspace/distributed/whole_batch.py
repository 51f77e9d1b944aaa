"""Dropout and batch normalization of a whole batch of which each process holds a share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from commonspace.distributed.processes import Processes
from commonspace.networks.backbones.noise import RowNoise

__all__ = ["whole_batch_layers"]

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Layers that multiply by a random mask."""


@contextmanager
def whole_batch_layers(network: nn.Module, processes: Processes) -> Iterator[None]:
    """Let the layers of a network treat a share of a batch as such, inside the block.

    Dropout and augmentation draw the numbers of the whole batch in every process and take the own
    rows of them, so that they are those of one process. Batch normalization takes mean and
    variance over all processes. Dropout inside other operations, such as the attention of
    transformers, is drawn in each process for its own rows.

    Args:
        network: Its modules are changed inside the block, and restored after it.
        processes: All of them compute the same layers in the same order.
    """
    changed: list[nn.Module] = []
    for module in network.modules():
        if module.training and isinstance(module, DROPOUTS) and module.p > 0:
            vars(module)["forward"] = _whole_dropout(module, processes)
        elif module.training and isinstance(module, RowNoise):
            vars(module)["forward"] = _whole_noise(module, processes)
        elif module.training and isinstance(module, _BatchNorm):
            vars(module)["forward"] = _whole_normalization(module, processes)
        else:
            continue
        changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del vars(module)["forward"]


def _whole_dropout(layer: nn.Module, processes: Processes) -> Callable[[Tensor], Tensor]:
    alone: Callable[[Tensor], Tensor] = layer.forward

    def forward(values: Tensor) -> Tensor:
        if not processes.sharing:
            return alone(values)
        counts = processes.counts(len(values))
        start = sum(counts[: processes.rank])
        whole = values.new_ones((sum(counts), *values.shape[1:]))
        if values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last):
            # Numbers are drawn in the order in which the outputs lie in memory.
            whole = whole.contiguous(memory_format=torch.channels_last)
        return values * alone(whole)[start : start + len(values)]

    return forward


def _whole_noise(layer: RowNoise, processes: Processes) -> Callable[..., Tensor]:
    alone = layer.forward

    def forward(rows: int, *shape: int, device: torch.device | None = None) -> Tensor:
        if not processes.sharing:
            return alone(rows, *shape, device=device)
        counts = processes.counts(rows)
        start = sum(counts[: processes.rank])
        return alone(sum(counts), *shape, device=device)[start : start + rows]

    return forward


def _whole_normalization(layer: _BatchNorm, processes: Processes) -> Callable[[Tensor], Tensor]:
    alone = layer.forward

    def forward(values: Tensor) -> Tensor:
        if not processes.sharing:
            return alone(values)
        over = [0, *range(2, values.ndim)]
        shape = [1, -1, *[1] * (values.ndim - 2)]
        count = sum(processes.counts(values.numel() // values.shape[1]))
        wide = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
        mean = _sum_of_all(wide.sum(over)) / count
        centered = wide - mean.view(shape)
        variance = _sum_of_all(centered.square().sum(over)) / count
        if layer.running_mean is not None and layer.running_var is not None:
            _update_running(layer, mean.detach(), variance.detach() * count / max(count - 1, 1))
        normal = centered * (variance + layer.eps).rsqrt().view(shape)
        if layer.affine:
            normal = normal * layer.weight.view(shape) + layer.bias.view(shape)
        return normal.to(values.dtype)

    return forward


@torch.no_grad()
def _update_running(layer: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    share = layer.momentum
    if layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
        if share is None:
            share = 1 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), share or 0.0)
    layer.running_var.lerp_(variance.to(layer.running_var.dtype), share or 0.0)


def _sum_of_all(own: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(own)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    """Sum over the processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor]:  # noqa: ANN401
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return (total,)

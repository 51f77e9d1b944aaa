"""The training loop: epochs of seeded batches, choice on validation, checkpoint and resume.

It is given a network, an objective and a way to score the network on the validation part. It never
holds the test part, so nothing here can choose on it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from commonspace.callbacks import Callback
from commonspace.errors import OutputError, TrainingError
from commonspace.machine import choose_precision, reuse_memory
from commonspace.networks.backbones.base import PretrainedBackbone
from commonspace.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from commonspace.training.history import EpochRecord, Observer, Preparation, best_epoch
from commonspace.training.progress import ProgressBar
from commonspace.training.samples import Batch, Samples
from commonspace.training.settings import TrainingSettings

__all__ = ["Objective", "Run", "chosen_epoch", "epoch_seed", "train"]

Objective = Callable[[nn.Module, Batch], dict[str, Tensor]]
"""Returns the scalars of one batch by name: "loss", which is minimised, and its parts."""

CHECKPOINT_SHARE = 0.05
"""Writing checkpoints may take this share of the time; the rest follows from how long one takes."""


@dataclass(frozen=True)
class Run:
    """How a training reports, and what it leaves behind to go on from.

    Args:
        folder: where to keep the checkpoint; None keeps none.
        resume: whether to go on from the checkpoint that is there.
        observers: who is told of each step and epoch.
        extraction: who is told of items that are encoded before the training.
        preparation: who is told of what else is done before the first epoch.
    """

    folder: Path | None = None
    resume: bool = False
    observers: tuple[Observer, ...] = field(default_factory=lambda: (ProgressBar(),))
    extraction: Callback | None = None
    preparation: Preparation | None = None


def train(
    network: nn.Module,
    objective: Objective,
    samples: Samples,
    validate: Callable[[nn.Module], float],
    settings: TrainingSettings,
    run: Run,
    task: str,
) -> tuple[EpochRecord, ...]:
    """Train the network in place and leave it with the weights of its best epoch, or of its last.

    With the same arguments the result is the same to the bit on the same machine, whether the
    training ran through or was resumed.

    Args:
        network: fresh, on the device of the samples.
        objective: what to minimise.
        samples: the training part.
        validate: returns the mAP of the network on the validation part.
        settings: how to train.
        run: who is told, and where the checkpoint is.
        task: names method, settings and data in JSON; a checkpoint of another task is refused.

    Returns:
        The record of each epoch.

    Raises:
        TrainingError: the loss is no longer finite.
        SpaceError: there is no usable checkpoint to resume from.
        OutputError: a checkpoint cannot be written, or would replace that of another training.
    """
    device = samples.labels.device
    optimizer = torch.optim.Adam(
        _groups(network, settings),
        lr=settings.learning_rate,
        betas=settings.betas,
        fused=device.type in ("cpu", "cuda", "mps"),
    )
    history: tuple[EpochRecord, ...] = ()
    best: Mapping[str, Tensor] = {}
    checkpoint = run.folder / CHECKPOINT if run.folder else None
    if checkpoint and not run.resume:
        _claim(checkpoint)
    elif checkpoint:
        state = read_checkpoint(checkpoint, task, device)
        history, best = state.history, state.best
        network.load_state_dict(state.network)
        _load_optimizer(optimizer, state.optimizer)

    earlier = history[-1].seconds if history else 0.0
    begun = saved = time.monotonic()
    saving = 0.0
    steps = -(-len(samples) // settings.batch_size)
    large = any(isinstance(module, PretrainedBackbone) for module in network.modules())
    with (
        reuse_memory() if large else nullcontext(),
        _told(run.observers, settings.epochs, steps, history),
    ):
        while not _finished(history, settings):
            epoch = len(history) + 1
            losses = _run_epoch(network, objective, samples, optimizer, settings, epoch, run)
            network.eval()
            score = validate(network)
            seconds = earlier + time.monotonic() - begun
            history += (EpochRecord(epoch, losses, score, seconds),)
            if chosen_epoch(history, settings).epoch == epoch:
                best = deepcopy(network.state_dict())
            for observer in run.observers:
                observer.epoch_ended(history[-1], network)
            now = time.monotonic()
            if checkpoint and now - saved >= saving / CHECKPOINT_SHARE:
                state = Checkpoint(task, history, network.state_dict(), best, _state(optimizer))
                write_checkpoint(state, checkpoint)
                saved = time.monotonic()
                saving = saved - now
    network.load_state_dict(best)
    network.eval()
    return history


def chosen_epoch(history: tuple[EpochRecord, ...], settings: TrainingSettings) -> EpochRecord:
    """Return the record of the epoch whose weights are taken.

    It is the best on validation; or the last where the rates follow a cycle, at whose end alone
    they are small.
    """
    return best_epoch(history) if settings.schedule == "constant" else history[-1]


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of all that is random in one epoch, so that no generator need be stored."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _run_epoch(
    network: nn.Module,
    objective: Objective,
    samples: Samples,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    epoch: int,
    run: Run,
) -> dict[str, float]:
    network.train()
    device = samples.labels.device
    precision = choose_precision(settings.precision, device)
    autocast = torch.autocast(device.type, precision, enabled=precision != torch.float32)
    totals: dict[str, Tensor] = {}
    with _seeded(epoch_seed(settings.seed, epoch), device):
        order = torch.randperm(len(samples)) if settings.shuffle else torch.arange(len(samples))
        chunks = torch.split(order.to(device), settings.batch_size)
        for step, (rows, batch) in enumerate(zip(chunks, samples.batches(chunks), strict=True)):
            _set_rates(optimizer, settings, epoch - 1 + step / len(chunks))
            with autocast:
                parts = objective(network, batch)
            optimizer.zero_grad()
            parts["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            for name, value in parts.items():
                totals[name] = totals.get(name, torch.zeros_like(value)) + value.detach() * len(
                    rows
                )
            for observer in run.observers:
                observer.stepped()
    losses = {name: float(total) / len(samples) for name, total in totals.items()}
    if not np.isfinite(losses["loss"]):
        raise TrainingError(
            f"the loss is not finite in epoch {epoch}",
            expected="a finite number",
            found=", ".join(f"{name} {value:g}" for name, value in losses.items()),
            advice="lower the learning rate, or scale the features to about unit size",
        )
    return losses


def _claim(checkpoint: Path) -> None:
    """Make the folder of a new checkpoint; one that is there belongs to another training."""
    if checkpoint.exists():
        raise OutputError(
            f"{checkpoint} already exists",
            expected="a folder without the checkpoint of an earlier training",
            found="one, which this training would write over",
            advice="resume that training, or choose another folder; nothing was changed",
        )
    try:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(
            f"{checkpoint.parent} could not be made",
            expected="a folder for the checkpoint",
            found=exc.strerror or str(exc),
            advice="choose another place",
        ) from exc


def _groups(network: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Return what is to be trained; backbones with trained weights have a rate of their own."""
    trained = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, PretrainedBackbone)
        for parameter in module.parameters()
    }
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    fresh = [parameter for parameter in learning if id(parameter) not in trained]
    slow = [parameter for parameter in learning if id(parameter) in trained]
    rate = settings.backbone_learning_rate or settings.learning_rate
    return [{"params": fresh}, *([{"params": slow, "lr": rate}] if slow else [])]


def _set_rates(optimizer: torch.optim.Optimizer, settings: TrainingSettings, done: float) -> None:
    """Set the rates for the next step, from the epochs that have been made, whole and in part."""
    share = settings.share_of_rate(done / settings.epochs)
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * share


def _finished(history: tuple[EpochRecord, ...], settings: TrainingSettings) -> bool:
    if len(history) >= settings.epochs:
        return True
    if not history or settings.patience is None:
        return False
    return len(history) - best_epoch(history).epoch >= settings.patience


@contextmanager
def _told(
    observers: tuple[Observer, ...], epochs: int, steps: int, history: tuple[EpochRecord, ...]
) -> Iterator[None]:
    for observer in observers:
        observer.started(epochs, steps, history)
    try:
        yield
    finally:
        for observer in observers:
            observer.ended()


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators for the block, and leave the caller's as they were."""
    others = [] if device.type == "cpu" else [device.index or 0]
    with torch.random.fork_rng(others, device_type="cuda" if not others else device.type):
        torch.default_generator.manual_seed(seed)
        if others:
            torch.get_device_module(device).manual_seed(seed)
        yield


def _state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{number}.{name}": tensor
        for number, values in optimizer.state_dict()["state"].items()
        for name, tensor in values.items()
    }


def _load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    nested: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.items():
        number, name = key.split(".", 1)
        parameter = parameters[int(number)]
        # A fused optimiser walks parameter and state in step: both must lie in memory alike, and
        # convolutions may lie channels last, which no file keeps.
        if tensor.shape == parameter.shape:
            tensor = torch.empty_like(parameter).copy_(tensor)
        nested.setdefault(int(number), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": nested, "param_groups": groups})

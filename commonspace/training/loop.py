"""Training loop: epochs of seeded batches, selection on validation, checkpoint and resume.

The loop never holds the test split, so nothing can be chosen on it.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from commonspace.allocator import reuse_memory
from commonspace.atomic import ensure_folder
from commonspace.callbacks import Callback, Callbacks, EpochRecord, best_epoch
from commonspace.errors import OutputError, TrainingError
from commonspace.machine import choose_precision
from commonspace.networks.backbones.base import PretrainedBackbone
from commonspace.training.batch import Batch
from commonspace.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from commonspace.training.samples import Samples
from commonspace.training.settings import TrainingSettings

if TYPE_CHECKING:
    from commonspace.distributed import Processes

__all__ = ["BatchLoss", "RunConfig", "chosen_epoch", "epoch_seed", "rate_factor", "train"]

BatchLoss = Callable[[nn.Module, Batch], dict[str, Tensor]]
"""Returns scalars of one batch by name: "loss", which is minimized, and its terms."""

CHECKPOINT_SHARE = 0.05
"""Share of the time that writing checkpoints may take; their interval follows from it."""

WARM_UP = 0.1
"""Share of a cycle in which the learning rate rises."""


@dataclass(frozen=True)
class RunConfig:
    """How a fit reports its progress and where it keeps a checkpoint.

    Args:
        callbacks: Receive the progress, see `commonspace.callbacks`.
        checkpoint: Folder of the checkpoint; None keeps none.
        resume: Continue from the checkpoint in that folder.
        processes: Those that train together, see `commonspace.distributed`; None: this one alone.
        stop: Called with the records of the epochs so far, after each epoch of a training that has
            patience; True ends it, with the best weights so far. A function of the records alone
            ends a resumed training where it would have ended uninterrupted.
    """

    callbacks: tuple[Callback, ...] = ()
    checkpoint: Path | None = None
    resume: bool = False
    processes: "Processes | None" = None
    stop: Callable[[Sequence[EpochRecord]], bool] | None = None


@dataclass(frozen=True)
class _Clock:
    """Time budget of a training.

    Args:
        minutes: Of training and validation, also before a resume; None: no limit.
        start: Time of the start, in seconds of ``time.monotonic``.
        processes: Those that train together; the time of the first one counts.
    """

    minutes: float | None
    start: float
    processes: "Processes | None"

    @property
    def share(self) -> float:
        """The share of the budget that has passed, >= 0; 0 without a budget."""
        if not self.minutes:
            return 0.0
        share = (time.monotonic() - self.start) / (60 * self.minutes)
        return share if self.processes is None else self.processes.from_first(lambda: share)


def train(
    network: nn.Module,
    loss: BatchLoss,
    samples: Samples,
    validate: Callable[[nn.Module], float],
    settings: TrainingSettings,
    run: RunConfig,
    task: str,
    metric: str = "mAP",
) -> tuple[EpochRecord, ...]:
    """Train a network in place; it ends with the weights of the epoch that is kept.

    Equal arguments give equal weights, bit by bit on the same machine, also after a resume.

    Args:
        network: With initial weights, on the device of the samples.
        loss: Computes the loss of a batch.
        samples: The training split.
        validate: Returns the score of the network on the validation split.
        settings: How to train.
        run: Callbacks, and the folder of the checkpoint.
        task: Method, settings and data as JSON; a checkpoint of another task is refused.
        metric: What the score is, see `EpochRecord`.

    Returns:
        The record of each epoch.

    Raises:
        TrainingError: If the loss is not finite, or does not depend on the weights.
        SpaceError: If there is no usable checkpoint to resume from.
        OutputError: If a checkpoint cannot be written, or another training's would be replaced.
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
    processes = run.processes
    writes = processes is None or processes.rank == 0
    checkpoint = Path(run.checkpoint) / CHECKPOINT if run.checkpoint else None
    if checkpoint and not run.resume:
        if writes:
            _claim_folder(checkpoint)
    elif checkpoint:
        read = partial(read_checkpoint, checkpoint, task, device)
        state = read() if processes is None else processes.from_first(read)
        history, best = state.history, state.best
        network.load_state_dict(state.network)
        _load_optimizer(optimizer, state.optimizer)

    earlier = history[-1].seconds if history else 0.0
    if processes is not None:
        processes.copy_weights(network)
    start = saved = time.monotonic()
    clock = _Clock(settings.minutes, start - earlier, processes)
    saving = 0.0
    steps = -(-len(samples) // settings.batch_size)
    callbacks = Callbacks(run.callbacks)
    keeps_last = settings.schedule != "constant"
    large = any(isinstance(module, PretrainedBackbone) for module in network.modules())
    with (
        reuse_memory() if large else nullcontext(),
        callbacks.task("training", settings.epochs * steps, len(history) * steps, history),
    ):
        while not _finished(history, settings, run) and not (history and clock.share >= 1):
            epoch = len(history) + 1
            losses = _train_epoch(
                network, loss, samples, optimizer, settings, epoch, callbacks, clock, processes
            )
            network.eval()
            if processes is None:
                score = validate(network)
            else:  # equal weights and one score, so that all choose the same epoch
                score = processes.from_first(partial(validate, network))
                processes.copy_weights(network)
            seconds = earlier + time.monotonic() - start
            history += (EpochRecord(epoch, losses, score, seconds, keeps_last, metric),)
            if chosen_epoch(history, settings).epoch == epoch:
                averaged = epoch - (settings.epochs - settings.average) if keeps_last else 1
                best = _mean_weights(best, network.state_dict(), max(1, averaged))
            callbacks.on_epoch_end(history[-1], network)
            now = time.monotonic()
            if checkpoint and writes and now - saved >= saving / CHECKPOINT_SHARE:
                state = Checkpoint(task, history, network.state_dict(), best, _state(optimizer))
                write_checkpoint(state, checkpoint)
                saved = time.monotonic()
                saving = saved - now
    if clock.share >= 1:
        callbacks.on_message(
            f"training ended in epoch {len(history)}: its {settings.minutes:.3g} minutes were over"
        )
    network.load_state_dict(best)
    network.eval()
    return history


def chosen_epoch(history: tuple[EpochRecord, ...], settings: TrainingSettings) -> EpochRecord:
    """Return the record of the epoch whose weights are kept.

    It is the best on validation; with a one-cycle schedule, whose rates are small only at the end,
    it is the last.
    """
    return best_epoch(history) if settings.schedule == "constant" else history[-1]


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the random seed of one epoch, so that no state of a generator has to be stored."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def rate_factor(settings: TrainingSettings, done: float) -> float:
    """Return the factor of the learning rates.

    Args:
        settings: With the schedule.
        done: Share of all steps that have been made, from 0 to below 1.

    Example:
        >>> cycle = TrainingSettings(1, 1, 0.1, schedule="one cycle")
        >>> [round(rate_factor(cycle, done), 2) for done in (0, 0.05, 0.1, 0.55, 0.9999)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if settings.schedule == "constant":
        return 1.0
    if done < WARM_UP:
        return done / WARM_UP
    return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


def _train_epoch(
    network: nn.Module,
    loss: BatchLoss,
    samples: Samples,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    epoch: int,
    callbacks: Callbacks,
    clock: _Clock,
    processes: "Processes | None",
) -> dict[str, float]:
    network.train()
    device = samples.labels.device
    precision = choose_precision(settings.precision, device)
    autocast = torch.autocast(device.type, precision, enabled=precision != torch.float32)
    totals: dict[str, Tensor] = {}
    count = 0
    trained = epoch > 1
    with _seeded(epoch_seed(settings.seed, epoch), device), ExitStack() as shared:
        order = torch.randperm(len(samples)) if settings.shuffle else torch.arange(len(samples))
        chunks = torch.split(order.to(device), settings.batch_size)
        batches = samples.batches(chunks, processes=processes)
        if processes is not None:
            from commonspace.distributed import whole_batch_layers
            from commonspace.training.shared_batch import shared_batches

            batches = shared_batches(batches, processes)
            shared.enter_context(whole_batch_layers(network, processes))
        for step, (rows, batch) in enumerate(zip(chunks, batches, strict=True)):
            done = (epoch - 1 + step / len(chunks)) / settings.epochs
            _set_rates(optimizer, settings, max(done, clock.share))
            with autocast:
                terms = loss(network, batch)
            first = step % settings.accumulate
            if first == 0:
                optimizer.zero_grad()
            _check_trainable(terms["loss"])
            added = min(settings.accumulate, len(chunks) - (step - first))
            with nullcontext() if processes is None else processes.computing_share():
                (terms["loss"] / added).backward()  # type: ignore[no-untyped-call]
            if processes is not None and first == added - 1:
                processes.average_gradients(network.parameters())
            if epoch == 1 and not trained:
                trained = _has_gradient(network)
            if first == added - 1:
                optimizer.step()
            count += len(rows)
            for name, value in terms.items():
                totals[name] = totals.get(name, torch.zeros_like(value)) + value.detach() * len(
                    rows
                )
            callbacks.on_advance()
            if clock.share >= 1:
                break
    losses = {name: float(total) / count for name, total in totals.items()}
    if not np.isfinite(losses["loss"]):
        raise TrainingError(
            f"the loss is not finite in epoch {epoch}",
            expected="a finite number",
            found=", ".join(f"{name} {value:g}" for name, value in losses.items()),
            advice="lower the learning rate, or scale the features to about unit size",
        )
    if not trained:
        raise TrainingError(
            "the gradient of the loss is 0 for all weights",
            expected="a loss that depends on the network",
            found=", ".join(f"{name} {value:g}" for name, value in losses.items()),
            advice="give at least one term of the loss a factor above 0",
        )
    return losses


def _check_trainable(loss: Tensor) -> None:
    if not loss.requires_grad:
        raise TrainingError(
            "the loss does not depend on the network",
            expected="a loss computed from the embeddings, without detach or numpy",
            found=f"a constant, {float(loss):g}",
            advice="compute the loss from the embeddings with torch functions",
        )


def _has_gradient(network: nn.Module) -> bool:
    gradients = (parameter.grad for parameter in network.parameters())
    return any(gradient is not None and bool(gradient.any()) for gradient in gradients)


def _claim_folder(checkpoint: Path) -> None:
    """Create the folder of a new checkpoint; refuse one with a checkpoint in it."""
    if checkpoint.exists():
        raise OutputError(
            f"{checkpoint} already exists",
            expected="a folder without the checkpoint of an earlier training",
            found="one, which this training would write over",
            advice="resume that training, or choose another folder; nothing was changed",
        )
    ensure_folder(checkpoint.parent)


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
    """Set the rates for the next step, from the share of the training that has been done."""
    factor = rate_factor(settings, min(done, 1.0))
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def _mean_weights(
    mean: Mapping[str, Tensor], state: Mapping[str, Tensor], count: int
) -> dict[str, Tensor]:
    """Return the mean of ``count`` states, of which ``mean`` is that of all but the last."""
    return {
        name: mean[name].lerp(tensor, 1 / count)
        if count > 1 and tensor.is_floating_point()
        else tensor.clone()
        for name, tensor in state.items()
    }


def _finished(history: tuple[EpochRecord, ...], settings: TrainingSettings, run: RunConfig) -> bool:
    if not history or settings.patience is None:
        return len(history) >= settings.epochs
    if run.stop is not None and run.stop(history):
        return True
    waited = len(history) - best_epoch(history).epoch
    return waited >= settings.patience or len(history) >= settings.epochs


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

"""Fine-tuning of encoders jointly with the network of a method, and whether it pays."""

import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from commonspace.cache_folder import default_cache
from commonspace.callbacks import Callbacks, EpochRecord
from commonspace.data.dataset import Dataset
from commonspace.encoders import Extraction, extract
from commonspace.methods.base.encoder_config import (
    EncoderConfig,
    backbone_rate,
    join_encoders,
    multi_branch,
    train_backbones,
)
from commonspace.methods.base.training_data import TrainingData
from commonspace.methods.base.weight_path import LAST_EPOCHS, choose_position
from commonspace.space import CommonSpace
from commonspace.training.loop import RunConfig
from commonspace.training.settings import TrainingSettings

__all__ = ["TrainableMethod", "fit_frozen_or_tuned", "tune_encoders", "tuning_settings"]

START_SHARE = 0.3
"""Share of a time budget for the training on frozen features before encoders are trained."""


class TrainableMethod(Protocol):
    """Methods of ``GradientMethod`` that fine-tuning calls."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def encoders(self) -> EncoderConfig:
        """Encoders of raw items, and what of them is trained."""

    @property
    def minutes(self) -> float | None:
        """Time budget of the training."""

    def fit(self, train: Dataset, validation: Dataset, run: RunConfig) -> CommonSpace:
        """Fit a common space."""

    def train(
        self, network: nn.Module, data: TrainingData, run: RunConfig, passed: float
    ) -> tuple[EpochRecord, ...]:
        """Minimize the loss of a network, ``passed`` minutes after the start."""

    def scorer(self, data: TrainingData) -> Callable[[nn.Module], float]:
        """Return the function that scores a network on validation."""


def tune_encoders(
    method: TrainableMethod, data: TrainingData, run: RunConfig
) -> tuple[nn.Module, tuple[EpochRecord, ...]]:
    """Fit on features of the frozen encoders, then train encoders and network together.

    Random layers would send the encoders gradients that destroy what they know (Kumar et al.:
    Fine-Tuning Can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR
    2022). At the end validation chooses a point between the weights before and after.

    Args:
        method: Trains the network.
        data: What ``prepare`` of the method returned.
        run: Callbacks and checkpoint.

    Returns:
        The network, and the record of each epoch with trained encoders.
    """
    start = time.monotonic()
    tuned = {name: data.encoders[name] for name in data.tuned}
    settings = Extraction(cache=default_cache(), device=str(data.device))
    callbacks = Callbacks(run.callbacks)
    with run.processes.first_alone() if run.processes else nullcontext():
        features = extract(data.train, tuned, settings, callbacks)
        held_out = extract(data.validation, tuned, settings, callbacks)
    budget = None if method.minutes is None else START_SHARE * method.minutes
    callbacks.on_message("training on the features of the frozen encoders first")
    first = replace(method, encoders=EncoderConfig(), minutes=budget).fit(
        features, held_out, RunConfig(processes=run.processes)
    )
    network = multi_branch(join_encoders(first, tuned).network)
    network.to(data.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train_backbones(network, tuned, method.encoders)
    history = method.train(network, data, run, (time.monotonic() - start) / 60)
    score = method.scorer(data)
    _, loss = choose_position(network, before, before, lambda: -score(network))
    # As a space is loaded: another layout in memory would round its embeddings otherwise.
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network, (*history[:-1], replace(history[-1], validation_score=-loss))


def fit_frozen_or_tuned(
    method: TrainableMethod, train: Dataset, validation: Dataset, run: RunConfig
) -> CommonSpace:
    """Fit with frozen and with fine-tuned encoders, and return the better on validation.

    Args:
        method: Fits both spaces.
        train: The training split.
        validation: The validation split.
        run: Its callbacks receive a line that states the choice; the checkpoint is that of the
            fine-tuned encoders.
    """
    ways = {
        name: replace(method, encoders=replace(method.encoders, fine_tune=name))
        for name in ("none", "all")
    }
    spaces = {
        "none": ways["none"].fit(train, validation, RunConfig()),  # one history of epochs
        "all": ways["all"].fit(train, validation, run),
    }
    scores = {
        name: space.provenance["chosen"]["validation_score"] for name, space in spaces.items()
    }
    best = max(spaces, key=scores.__getitem__)
    metric = spaces[best].provenance["chosen"]["metric"]
    reason = (
        f"validation {metric} {scores['none']:.3f} with frozen, {scores['all']:.3f} with"
        " fine-tuned encoders"
    )
    verdict = "fine-tuned" if best == "all" else "frozen"
    Callbacks(run.callbacks).on_message(f"encoders are {verdict}: {reason}")
    spaces[best].provenance["fine_tune"] = {"chosen": best, "reason": reason}
    return spaces[best]


def tuning_settings(
    settings: TrainingSettings, config: EncoderConfig, backbones: Iterable[nn.Module]
) -> TrainingSettings:
    """Return the settings of a training of encoders: one cycle of the learning rates.

    Args:
        settings: Those of the network alone.
        config: With epochs and learning rate of the encoders.
        backbones: Networks of the encoders that are trained.
    """
    return replace(
        settings,
        epochs=config.tuning_epochs,
        patience=None,
        backbone_learning_rate=backbone_rate(config, backbones),
        schedule="one cycle",
        average=min(LAST_EPOCHS, config.tuning_epochs),
    )

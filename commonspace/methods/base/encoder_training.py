"""Training of encoders through a fitted network of posterior matching, on augmented photos."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from commonspace.callbacks import Callbacks
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.encoders import Encoder, Input, Vectors
from commonspace.encoders.encoder import describe
from commonspace.methods.base.encoder_config import (
    EncoderConfig,
    join_encoders,
    photo_changes,
    train_backbones,
)
from commonspace.methods.base.fine_tuning import tuning_settings
from commonspace.methods.base.gradient import GradientMethod
from commonspace.methods.base.method import describe_split
from commonspace.methods.base.posterior_loss import (
    best_temperature,
    posterior_loss,
    weigh_posteriors,
)
from commonspace.methods.base.training_data import TrainingData
from commonspace.methods.base.weight_path import choose_position
from commonspace.networks.backbones.lora import merge_lora
from commonspace.networks.posterior import PosteriorNetwork
from commonspace.space import CommonSpace
from commonspace.training.batch import Batch
from commonspace.training.loop import RunConfig, train
from commonspace.training.random_rows import random_tensor_rows
from commonspace.training.samples import Samples
from commonspace.training.settings import TrainingSettings
from commonspace.training.validation import ValidationScore

__all__ = ["FeatureFit", "Splits", "TrainedEncoders", "train_encoders"]

BATCH = 32
HEAD_RATE = 5e-4
INSTANCE_GRADIENT = 0.1
"""Factor of the gradient of the instance loss in encoders, not tuned. With 1, in a prototype whose
losses shared layers, the mAP by class on fashion fell from 0.86 to 0.77 and 0.68."""

Splits = tuple[Dataset, Dataset]
"""The training and the validation split."""


@dataclass(frozen=True)
class FeatureFit:
    """Posterior matching fitted on features."""

    space: CommonSpace
    network: PosteriorNetwork
    data: TrainingData
    targets: Tensor
    """(N, c) float32, class probabilities to train on."""
    items: Tensor
    """(N,) int64, equal for samples that are the same item."""


@dataclass(frozen=True)
class TrainedEncoders:
    """What ``train_encoders`` returns."""

    encoders: Mapping[str, Encoder]
    """Modality -> trained encoder, with a record of its own."""
    epochs: int
    """Number of epochs that were made."""
    positions: Mapping[str, float]
    """Modality -> where its weights lie between frozen (0) and trained (1)."""
    settings: TrainingSettings
    """Of the training."""


def train_encoders(
    method: GradientMethod,
    config: EncoderConfig,
    first: FeatureFit,
    starts: Mapping[str, Encoder],
    features: Splits,
    raw: Splits,
    run: RunConfig,
    minutes: float | None,
) -> TrainedEncoders:
    """Train encoders behind the network that was fitted on their features.

    The loss is that of posterior matching; photos are changed at random in each epoch. Starting
    from a fitted network spares the encoder the gradients of random layers (Kumar et al.:
    Fine-Tuning Can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022).

    Args:
        method: Gives seed, device, precision and accumulation.
        config: What is trained, and how.
        first: Posterior matching on the features of ``starts``.
        starts: Modality -> encoder, whose weights are trained.
        features: The splits, with features in all columns.
        raw: The same samples, with raw items.
        run: Callbacks and checkpoint.
        minutes: Budget of the training; None: all epochs.

    Raises:
        SettingError: If an encoder does not support what is to be trained.
        DataError: If an item cannot be read.
        TrainingError: If the loss is not finite.
        SpaceError: If there is no usable checkpoint to resume from.
    """
    device = first.data.device
    network = deepcopy(join_encoders(first.space, starts).network)  # it shares the weights
    assert isinstance(network, PosteriorNetwork)
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    numbers = [network.modalities.index(name) for name in starts]
    network.shares[numbers] = 1.0  # kernel machines do not follow the encoder
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train_backbones(network, starts, config)
    changes = photo_changes(raw[0], starts)
    samples = _samples(features[0], raw[0], starts, device, run, changes)
    validation = _samples(features[1], raw[1], starts, device, run, {})
    score = ValidationScore(validation)

    def validate(network: nn.Module) -> float:
        assert isinstance(network, PosteriorNetwork)
        weigh_posteriors(network, validation)
        network.shares[numbers] = 1.0
        return score(network)

    def loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        assert isinstance(network, PosteriorNetwork)
        assert batch.rows is not None
        return posterior_loss(
            network,
            batch,
            random_tensor_rows(first.targets, batch.rows),
            first.items[batch.rows],
            INSTANCE_GRADIENT,
        )

    settings = _settings(method, config, network, starts, minutes)
    task = {
        "method": {"name": method.name, "options": asdict(method)},
        "training": asdict(replace(settings, minutes=None)),  # what is left of it differs
        "data": describe_split(raw[0]),
        "trained": list(starts),
    }
    history = train(network, loss, samples, validate, settings, run, json.dumps(task))
    merge_lora(network)
    positions = {name: _between(network, before, name, validation) for name in starts}
    network.cpu()
    return TrainedEncoders(
        {
            name: _described(start, network.backbone(name), len(history))
            for name, start in starts.items()
        },
        len(history),
        positions,
        settings,
    )


def _samples(
    features: Dataset,
    raw: Dataset,
    starts: Mapping[str, Encoder],
    device: torch.device,
    run: RunConfig,
    changes: Mapping[str, Callable[..., Tensor]],
) -> Samples:
    """Return raw items where an encoder is trained, and features elsewhere."""
    inputs: dict[str, Input] = {}
    for name, column in features.columns.items():
        assert isinstance(column, Features)
        inputs[name] = starts[name].input if name in starts else Vectors(column.size)
    columns = {name: (raw if name in starts else features).columns[name] for name in inputs}
    mixed = replace(features, columns=columns)
    callbacks = Callbacks(run.callbacks)
    return Samples(
        mixed, inputs, device, callback=callbacks, changes=changes, processes=run.processes
    )


def _settings(
    method: GradientMethod,
    config: EncoderConfig,
    network: PosteriorNetwork,
    starts: Mapping[str, Encoder],
    minutes: float | None,
) -> TrainingSettings:
    settings = TrainingSettings(
        epochs=config.tuning_epochs,
        batch_size=BATCH,
        learning_rate=HEAD_RATE,
        seed=method.seed,
        device=method.device,
        precision=method.precision,
        accumulate=method.accumulate,
        minutes=minutes,
    )
    return tuning_settings(settings, config, map(network.backbone, starts))


@torch.no_grad()
def _between(
    network: PosteriorNetwork, before: Mapping[str, Tensor], name: str, validation: Samples
) -> float:
    """Set the weights of a modality to the point that validation prefers, and return it."""
    number = network.modalities.index(name)
    prefixes = tuple(f"{part}.{number}." for part in ("backbones", "networks", "instances"))
    labels = validation.labels[validation.present[name]]
    known = labels.any(dim=1)

    def loss() -> float:
        logits = [
            network.logits(name, network.rescale(name, part)).float()
            for part in validation.parts(name, 256)
        ]
        return best_temperature(
            torch.cat(logits)[known], labels[known], network.config.multi_label
        )[1]

    moving = [key for key in before if key.startswith(prefixes)]
    return choose_position(network, before, moving, loss)[0]


def _described(start: Encoder, backbone: nn.Module, epochs: int) -> Encoder:
    """Return the encoder with trained weights, and a record of its own."""
    old = start.provenance
    backbone.requires_grad_(False)
    return describe(
        start.input,
        backbone.to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]
        start.backbone_config,
        spec=old["spec"],
        name=f"{old['name']}, trained for {epochs} epochs",
        preprocessing=old["preprocessing"],
        fitted_on=f"train; {old['fitted_on']}",
        more={key: old[key] for key in ("input_form", "multi_caption") if key in old},
    )

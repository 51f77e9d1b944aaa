"""What all methods that train a network by gradient descent have in common.

A method says what to train, on which objective and how; here the parts of the data meet it, the
epoch is chosen on validation, and the space gets the record of how it came about.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from commonspace.data.dataset import Dataset
from commonspace.encoders import Input
from commonspace.machine import choose_device
from commonspace.methods.base.calibrate import calibrated
from commonspace.methods.base.parts import check_parts, facts_of
from commonspace.space import CommonSpace, versions
from commonspace.training import (
    Objective,
    Run,
    Samples,
    TrainingSettings,
    ValidationScore,
    chosen_epoch,
    epoch_seed,
    train,
)

__all__ = ["Recipe", "fit_by_gradient"]

BEST = "validation mAP, the mean over all directions"


@dataclass(frozen=True)
class Recipe:
    """All that a method decides.

    Args:
        name: of the method.
        options: the method's own settings, for the record; fit for JSON.
        network: builds the network with fresh weights from torch's global generator.
        objective: what to minimise.
        inputs: modality name -> what turns its items into network input.
        settings: how to train.
        encoders: modality -> the facts of the encoder whose network is trained along.
        supervised: whether the objective looks at classes; without them there is then nothing to
            learn from.
        settle: sets, from the training part, what of the network is not learnt by descent; called
            after each epoch, before its validation.
    """

    name: str
    options: Mapping[str, Any]
    network: Callable[[], nn.Module]
    objective: Objective
    inputs: Mapping[str, Input]
    settings: TrainingSettings
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    supervised: bool = True
    settle: Callable[[nn.Module, Samples], None] | None = None


def fit_by_gradient(
    recipe: Recipe, train_part: Dataset, validation: Dataset, run: Run
) -> CommonSpace:
    """Train the network of a recipe and return it as a common space.

    Args:
        recipe: what the method decided.
        train_part: the samples to learn from.
        validation: the samples on which the epoch is chosen.
        run: how to report, and where to keep a checkpoint.

    Raises:
        DataError: a part has no labels, or validation differs from training in a modality or in
            the classes.
        TrainingError: the loss is no longer finite.
        SpaceError: there is no usable checkpoint to resume from.
    """
    check_parts(train_part, validation, supervised=recipe.supervised)
    device = choose_device(recipe.settings.device)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(epoch_seed(recipe.settings.seed, 0))
        network = recipe.network().to(device)
    record: dict[str, Any] = {
        "method": {"name": recipe.name, "options": dict(recipe.options)},
        "training": asdict(recipe.settings),
        "data": facts_of(train_part),
        "validation": facts_of(validation),
        "encoders": {**train_part.provenance.get("encoders", {}), **recipe.encoders},
        "versions": versions(),
    }
    samples = Samples(train_part, recipe.inputs, device)
    score = ValidationScore(Samples(validation, recipe.inputs, device))

    def validate(network: nn.Module) -> float:
        if recipe.settle is not None:
            recipe.settle(network, samples)
        return score(network)

    history = train(
        network,
        recipe.objective,
        samples,
        validate,
        recipe.settings,
        run,
        json.dumps(record),
    )
    best = chosen_epoch(history, recipe.settings)
    record["chosen"] = {
        "by": BEST if recipe.settings.schedule == "constant" else "the end of the cycle",
        "epoch": best.epoch,
        "epochs": len(history),
        "validation_map": best.validation_map,
        "seconds": history[-1].seconds,
        "device": device.type,
    }
    space = CommonSpace(network, recipe.inputs, train_part.class_names, record)
    return calibrated(space, validation)

"""What all methods that train a network by gradient descent have in common.

A method says what to train, on which objective and how; here the parts of the data meet it, the
epoch is chosen on validation, and the space gets the record of how it came about.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from typing import Any

import torch
from torch import nn

from commonspace.data.dataset import Dataset
from commonspace.encoders import Input
from commonspace.errors import DataError
from commonspace.machine import choose_device
from commonspace.space import CommonSpace, versions
from commonspace.training import (
    Objective,
    Run,
    Samples,
    TrainingSettings,
    ValidationScore,
    best_epoch,
    epoch_seed,
    train,
)

__all__ = ["Recipe", "fit_by_gradient"]


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
    """

    name: str
    options: Mapping[str, Any]
    network: Callable[[], nn.Module]
    objective: Objective
    inputs: Mapping[str, Input]
    settings: TrainingSettings
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


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
    _check(train_part, validation)
    device = choose_device(recipe.settings.device)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(epoch_seed(recipe.settings.seed, 0))
        network = recipe.network().to(device)
    record: dict[str, Any] = {
        "method": {"name": recipe.name, "options": dict(recipe.options)},
        "training": asdict(recipe.settings),
        "data": _facts(train_part),
        "validation": _facts(validation),
        "encoders": {**train_part.origin.get("encoders", {}), **recipe.encoders},
        "versions": versions(),
    }
    history = train(
        network,
        recipe.objective,
        Samples(train_part, recipe.inputs, device),
        ValidationScore(Samples(validation, recipe.inputs, device)),
        recipe.settings,
        run,
        json.dumps(record),
    )
    best = best_epoch(history)
    record["chosen"] = {
        "by": "validation mAP, the mean over all directions",
        "epoch": best.epoch,
        "epochs": len(history),
        "validation_map": best.validation_map,
        "seconds": history[-1].seconds,
        "device": device.type,
    }
    return CommonSpace(network, recipe.inputs, train_part.class_names, record)


def _facts(part: Dataset) -> dict[str, Any]:
    return {
        "name": part.name,
        "samples": len(part),
        "modalities": {name: repr(column) for name, column in part.columns.items()},
        "classes": len(part.class_names),
        "fingerprint": part.fingerprint,
        "origin": dict(part.origin),
    }


def _check(train_part: Dataset, validation: Dataset) -> None:
    for what, part in (("training", train_part), ("validation", validation)):
        labelled = int(part.labels.any(axis=1).sum())
        if labelled == 0:
            raise DataError(
                f"the {what} part of {part.name!r} has no labels",
                expected="at least one labelled sample",
                found=f"{len(part)} samples without a label",
                advice="give the samples a label column; a supervised method learns from classes",
            )
    for name, column in train_part.columns.items():
        other = validation.columns.get(name)
        if other is None or repr(other) != repr(column):
            raise _strangers(f"{name!r} to be {column!r}", repr(other) if other else "none")
        usable = int((other.present & validation.labels.any(axis=1)).sum())
        if usable == 0:
            raise DataError(
                f"no labelled validation sample of {validation.name!r} has the modality {name!r}",
                expected="at least one, to choose the epoch on",
                found=f"0 of {len(validation)}",
                advice="give validation samples of every modality, or drop the column from both",
            )
    for ours, theirs in zip_longest(train_part.class_names, validation.class_names):
        if ours != theirs:
            raise _strangers(f"the class {ours!r}", f"{theirs!r} in its place")


def _strangers(expected: str, found: str) -> DataError:
    return DataError(
        "the training and the validation part do not belong together",
        expected=f"{expected}, as in training",
        found=found,
        advice='take both from one data set: data.part("train"), data.part("validation")',
    )

"""What the methods that train a plain network of branches have in common.

A method says which network, from the backbones that the data asks for, and on which objective; here
its settings are checked, raw columns are met, and the rest is left to ``gradient.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn

from commonspace.data.dataset import Dataset
from commonspace.encoders import Encoder
from commonspace.errors import DataError
from commonspace.machine import Precision
from commonspace.methods.base.branches import build_backbones
from commonspace.methods.base.encoder_config import EncoderConfig, learn_through, tuned
from commonspace.methods.base.gradient import Recipe, fit_by_gradient
from commonspace.methods.base.settings import check_setting
from commonspace.networks.branches import BranchesConfig, BranchesNetwork
from commonspace.space import CommonSpace
from commonspace.training import Objective, Run, Samples, TrainingSettings

__all__ = ["Backbones", "Descent", "Plan", "check_pairs", "descend"]

Backbones = Mapping[str, Mapping[str, Any]]
"""Modality name -> description of the backbone that reads it."""


@dataclass(frozen=True)
class Descent:
    """The settings that these methods share; each has defaults of its own.

    Args:
        seed: of the initial weights, the batches and whatever else is random.
        epochs: at most.
        patience: epochs without a better validation mAP after which to stop; None: never.
        batch_size: samples in a step.
        learning_rate: of Adam.
        hidden_dim: the size of each hidden layer.
        embedding_dim: the size of the common space.
        device: "auto" or what torch calls it.
        precision: of the matrix products: "auto", "float32" or "bfloat16".
        encoders: the encoders of raw columns, and how much of them is trained.

    Raises:
        SettingError: a value that cannot work.
    """

    name: ClassVar[str]
    """In the record, in messages, and on the command line."""

    seed: int = 0
    epochs: int = 100
    patience: int | None = 20
    batch_size: int = 100
    learning_rate: float = 1e-4
    hidden_dim: int = 1024
    embedding_dim: int = 256
    device: str = "auto"
    precision: Precision = "auto"
    encoders: EncoderConfig = field(default_factory=EncoderConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any data is read."""
        check_setting(self.name, "hidden_dim", self.hidden_dim, self.hidden_dim >= 1, "at least 1")
        check_setting(
            self.name, "embedding_dim", self.embedding_dim, self.embedding_dim >= 1, "at least 1"
        )
        self.training(self.batch_size)  # which refuses values of its own

    def training(self, batch_size: int) -> TrainingSettings:
        """Return how to train.

        Args:
            batch_size: samples in a step.
        """
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            patience=self.patience,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            backbone_learning_rate=self.encoders.backbone_learning_rate,
        )


@dataclass(frozen=True)
class Plan:
    """What a method makes of the data at hand.

    Args:
        network: which branches and heads.
        objective: what to minimise.
        supervised: whether it looks at classes.
        batch_size: samples in a step; None: the method's setting.
        settle: sets what is not learnt by descent, see ``Recipe``.
    """

    network: BranchesConfig
    objective: Objective
    supervised: bool = True
    batch_size: int | None = None
    settle: Callable[[nn.Module, Samples], None] | None = None


def descend(
    method: Descent,
    plan: Callable[[Backbones, Dataset], Plan],
    train: Dataset,
    validation: Dataset,
    run: Run | None,
) -> CommonSpace:
    """Train the network of a method and return it as a common space.

    Args:
        method: its settings.
        plan: what it makes of the backbones and of the training part.
        train: the samples to learn from.
        validation: labelled samples, on which the epoch is chosen.
        run: how to report, and where to keep a checkpoint.

    Raises:
        DataError: the parts cannot be learnt from, or do not belong together.
        TrainingError: the loss is no longer finite.
        MissingExtraError: an encoder needs an optional package.
    """

    def learn(
        train: Dataset, validation: Dataset, run: Run, encoders: Mapping[str, Encoder]
    ) -> CommonSpace:
        branches = build_backbones(train, encoders)
        made = plan({name: branch.backbone for name, branch in branches.items()}, train)
        recipe = Recipe(
            name=method.name,
            options=asdict(method),
            network=lambda: tuned(BranchesNetwork(made.network), encoders, method.encoders),
            objective=made.objective,
            inputs={name: branch.input for name, branch in branches.items()},
            settings=method.training(made.batch_size or method.batch_size),
            encoders={name: encoder.provenance for name, encoder in encoders.items()},
            supervised=made.supervised,
            settle=made.settle,
        )
        return fit_by_gradient(recipe, train, validation, run)

    return learn_through(
        method.encoders,
        learn,
        train,
        validation,
        run or Run(),
        seed=method.seed,
        device=method.device,
    )


def check_pairs(train: Dataset) -> None:
    """Check that each modality has samples that have another one too.

    Args:
        train: the training part.

    Raises:
        DataError: there are fewer than two for some modality.
    """
    present = torch.stack([torch.from_numpy(one.present) for one in train.columns.values()])
    several = present.sum(dim=0) >= 2
    for name, mask in zip(train.columns, present, strict=True):
        count = int((mask & several).sum())
        if count < 2:
            raise DataError(
                f"{train.name!r} has too few complete samples to learn {name!r} from",
                expected="at least two that have another modality beside it",
                found=f"{count} of {len(train)}",
                advice="add pairs, or take a method that needs none, such as sdml or supcon",
            )

"""A user-defined method: class means with noise. Fast, seeded, and with settings to tune."""

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from commonspace.data import Dataset, Features
from commonspace.encoders import Vectors
from commonspace.errors import DataError, TrainingError
from commonspace.methods.base.hyperparameters import Between, OneOf, SearchSpace
from commonspace.networks.linear import AffineMap, LinearNetwork
from commonspace.space import CommonSpace
from commonspace.training import EpochRecord, RunConfig

__all__ = ["Broken", "Picky", "Toy"]


@dataclass(frozen=True)
class Toy:
    """Maps each modality onto the directions of its class means, and blurs them with noise.

    Less noise is better, so that the search has something to find.
    """

    search_space: ClassVar[SearchSpace] = {"noise": Between(0.01, 10.0), "power": OneOf((1, 2))}
    noise: float = 3.0
    power: int = 1
    seed: int = 0
    epochs: int = 2
    diverges_above: float = float("inf")
    sleep: float = 0.0

    def fit(self, train: Dataset, validation: Dataset, run: RunConfig | None = None) -> CommonSpace:
        """Fit in a moment; every epoch adds more noise, and the first is returned."""
        time.sleep(self.sleep)
        if self.noise > self.diverges_above:
            raise TrainingError("too much noise", found=str(self.noise))
        spaces = [self._space(train, epoch) for epoch in range(self.epochs)]
        for epoch, space in enumerate(spaces):
            for callback in run.callbacks if run else ():
                callback.on_epoch_end(EpochRecord(epoch + 1, {}, 0.0, 0.0), space.network)
        return spaces[0]

    def _space(self, train: Dataset, epoch: int) -> CommonSpace:
        draw = np.random.default_rng((self.seed, epoch))
        maps, inputs = {}, {}
        for name, column in train.columns.items():
            assert isinstance(column, Features)
            weights = train.labels / np.maximum(train.labels.sum(axis=0), 1)
            means = column.values.T @ weights
            blur = self.noise * (1 + epoch) * draw.normal(size=means.shape)
            maps[name] = AffineMap(column.values.mean(axis=0), means**self.power + blur)
            inputs[name] = Vectors(column.size)
        return CommonSpace(LinearNetwork.from_maps(maps), inputs, train.class_names, {})


@dataclass(frozen=True)
class Picky:
    """Refuses all data."""

    seed: int = 0

    def fit(self, train: Dataset, validation: Dataset, run: RunConfig | None = None) -> CommonSpace:
        """Refuse."""
        raise DataError("nothing is good enough", expected="better data", found=train.name)


@dataclass(frozen=True)
class Broken:
    """Has a mistake in it."""

    def fit(self, train: Dataset, validation: Dataset, run: RunConfig | None = None) -> CommonSpace:
        """Divide by zero."""
        return CommonSpace(1 / 0, {}, (), {})  # type: ignore[arg-type]

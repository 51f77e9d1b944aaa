"""How to train: order, optimiser, length, place and precision. Nothing is trained here."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from commonspace.errors import check_settings
from commonspace.machine import Precision

__all__ = ["Schedule", "TrainingSettings"]

Schedule = Literal["constant", "one cycle"]

WARM_UP = 0.1
"""The share of a cycle in which the rate rises."""


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of one training run.

    Args:
        epochs: how often every sample is seen, at most.
        batch_size: samples in a step.
        learning_rate: of Adam.
        betas: of Adam.
        shuffle: whether each epoch has a new random order (seeded), or the order of the data.
        patience: after how many epochs without a better validation mAP to stop; None: never.
        seed: of the initial weights, the orders and whatever else is random.
        device: "auto", or what torch calls it: "cpu", "cuda", "cuda:1", "mps".
        precision: of the matrix products; the weights stay float32. "auto" takes bfloat16 where
            the hardware multiplies it natively.
        backbone_learning_rate: of backbones that come with trained weights; None: that of the rest.
        schedule: whether the rates are constant, or rise at first and then fall to 0 along half a
            cosine (Smith and Topin: Super-convergence, 2018), which is quicker where the number
            of epochs is known beforehand.

    Raises:
        SettingError: a value that cannot work.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    shuffle: bool = True
    patience: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    backbone_learning_rate: float | None = None
    schedule: Schedule = "constant"

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any time is spent."""
        checks = (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < float("inf"), "above 0 and finite"),
            ("betas", all(0 <= beta < 1 for beta in self.betas), "from 0 to below 1, both"),
            ("patience", self.patience is None or self.patience >= 1, "at least 1, or None"),
            ("seed", 0 <= self.seed < 2**63, "from 0 to below 2**63"),
            (
                "precision",
                self.precision in get_args(Precision),
                " or ".join(map(repr, get_args(Precision))),
            ),
            (
                "schedule",
                self.schedule in get_args(Schedule),
                " or ".join(map(repr, get_args(Schedule))),
            ),
        )
        check_settings(self, checks)

    def share_of_rate(self, done: float) -> float:
        """Return what the learning rates are multiplied by.

        Args:
            done: the share of all steps that have been made, from 0 to below 1.

        Example:
            >>> cycle = TrainingSettings(1, 1, 0.1, schedule="one cycle")
            >>> [round(cycle.share_of_rate(done), 2) for done in (0, 0.05, 0.1, 0.55, 0.9999)]
            [0.0, 0.5, 1.0, 0.5, 0.0]
        """
        if self.schedule == "constant":
            return 1.0
        if done < WARM_UP:
            return done / WARM_UP
        return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2

"""What each epoch gave, and how others hear of it while it happens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import nn

__all__ = ["EpochRecord", "Observer", "Preparation", "best_epoch"]


@dataclass(frozen=True)
class EpochRecord:
    """The figures of one epoch."""

    epoch: int
    """From 1."""
    losses: Mapping[str, float]
    """The objective ("loss") and its parts, each the mean over the samples of the epoch."""
    validation_map: float
    """The mean of the mAP over all directions on the validation part."""
    seconds: float
    """Training and validation together, since the first epoch began; pauses do not count."""


class Observer(Protocol):
    """Somebody who watches a training: a progress bar, a log, a benchmark."""

    def started(self, epochs: int, steps: int, history: tuple[EpochRecord, ...]) -> None:
        """Hear how many epochs, of how many steps each, there may be, and which are done."""

    def stepped(self) -> None:
        """Hear that one more step is done."""

    def epoch_ended(self, record: EpochRecord, network: nn.Module) -> None:
        """Hear what an epoch gave; the network has its weights of now, in evaluation mode."""

    def ended(self) -> None:
        """Hear that training is over, well or not."""


class Preparation(Protocol):
    """Somebody who watches what is done before the first epoch, one part after the other."""

    def started(self, what: str, steps: int) -> None:
        """Hear what is done now, and in how many steps at most."""

    def advanced(self) -> None:
        """Hear that one more step is done."""

    def ended(self) -> None:
        """Hear that this part is done, or broken off."""


def best_epoch(history: tuple[EpochRecord, ...]) -> EpochRecord:
    """Return the record with the highest validation mAP, the first of several."""
    return max(history, key=lambda record: record.validation_map)

"""The contract that every method keeps: labelled data in, a common space out."""

from typing import Protocol

from commonspace.data.dataset import Dataset
from commonspace.space import CommonSpace
from commonspace.training.loop import Run

__all__ = ["Method"]


class Method(Protocol):
    """A way to learn a common space. Its settings are its own; the data comes with ``fit``."""

    def fit(self, train: Dataset, validation: Dataset, run: Run = ...) -> CommonSpace:
        """Learn a common space.

        Args:
            train: the samples to learn from.
            validation: the samples to choose on: the epoch, or whatever else is chosen.
            run: how to report progress and where to keep what a killed run goes on from.

        Returns:
            A space that embeds every modality of ``train`` and carries the record of its fitting.
        """

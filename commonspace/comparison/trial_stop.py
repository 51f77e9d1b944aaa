"""Early end of a tuning trial that is clearly behind an earlier trial of its experiment.

Its figure stays in its record and may be the best only if it is the highest. The decision follows
from the curves of the trial and of earlier ones, so that a comparison which was interrupted gives
the same records.
"""

from collections.abc import Sequence

from commonspace.callbacks import EpochRecord

__all__ = ["TrialStop", "is_behind"]

EPOCHS = (10, 20, 40)
"""Epochs after which a trial is compared with the earlier ones."""

MARGIN = 0.15
"""Share of the best validation mAP that a trial may be behind, see docs/comparison.md."""


def is_behind(curve: Sequence[float], rivals: Sequence[Sequence[float]]) -> bool:
    """Return whether a trial is stopped after its last epoch so far.

    The best of its epochs is compared with the best that an earlier trial had in as many epochs.

    Args:
        curve: Validation mAP of each epoch of the trial so far.
        rivals: The same of each earlier trial, complete or until it was stopped.

    Example:
        >>> earlier = [[0.1] * 9 + [0.6] * 30, [0.2] * 10]
        >>> is_behind([0.5] * 10, earlier), is_behind([0.52] * 10, earlier)
        (True, False)
        >>> is_behind([0.5] * 11, earlier)
        False
    """
    epoch = len(curve)
    if epoch not in EPOCHS or not rivals:
        return False
    return max(curve) < (1 - MARGIN) * max(max(rival[:epoch]) for rival in rivals)


class TrialStop:
    """Decides after each epoch whether a trial ends, as ``stop`` of a `RunConfig`.

    Args:
        rivals: Validation mAP by epoch of each earlier trial; without any, no trial is stopped.

    Attributes:
        curve: Validation mAP of each epoch so far.
        stopped: Epoch after which the trial was stopped; None if it was not.
    """

    def __init__(self, rivals: Sequence[Sequence[float]] = ()) -> None:
        self._rivals = rivals
        self.curve: list[float] = []
        self.stopped: int | None = None

    def __call__(self, history: Sequence[EpochRecord]) -> bool:
        """Return whether the trial ends after these epochs."""
        self.curve = [record.validation_score for record in history]
        if is_behind(self.curve, self._rivals):
            self.stopped = len(history)
        return self.stopped is not None

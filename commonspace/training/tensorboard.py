"""TensorBoard callback: losses and validation score of each epoch as scalars."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commonspace.callbacks import Callback, EpochRecord
from commonspace.extras import optional

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Writes the losses ("train/...") and the validation score of each epoch to event files.

    Args:
        folder: Folder of the event files.

    Raises:
        MissingExtraError: If tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        optional("tensorboard", "writing TensorBoard events", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._open = SummaryWriter
        self._folder = folder
        self._writer: Any = None

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        """Open an event file for a training; events after the last checkpoint are hidden."""
        if task == "training":
            self._writer = self._open(str(self._folder), purge_step=len(history) + 1)

    def on_epoch_end(self, record: EpochRecord, network: object) -> None:
        """Write the figures of the epoch."""
        if self._writer is None:
            return
        for name, value in record.losses.items():
            self._writer.add_scalar(f"train/{name}", value, record.epoch)
        tag = f"validation/{record.metric.lower().replace(' ', '_')}"
        self._writer.add_scalar(tag, record.validation_score, record.epoch)

    def on_end(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

"""Writes the figures of each epoch where TensorBoard finds them."""

from pathlib import Path

from torch import nn
from torch.utils.tensorboard import SummaryWriter

from commonspace.training.history import EpochRecord

__all__ = ["TensorBoard"]


class TensorBoard:
    """Writes scalars: each loss, the validation mAP, against the epoch.

    Args:
        folder: where the event files go.
    """

    def __init__(self, folder: Path) -> None:
        """Open nothing yet."""
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def started(self, epochs: int, steps: int, history: tuple[EpochRecord, ...]) -> None:
        """Open an event file; what a killed run wrote after its checkpoint is hidden."""
        self._writer = SummaryWriter(str(self._folder), purge_step=len(history) + 1)

    def stepped(self) -> None:
        """Write nothing: figures are those of whole epochs."""

    def epoch_ended(self, record: EpochRecord, network: nn.Module) -> None:
        """Write the figures of the epoch."""
        if self._writer is None:
            return
        for name, value in record.losses.items():
            self._writer.add_scalar(f"train/{name}", value, record.epoch)
        self._writer.add_scalar("validation/map", record.validation_map, record.epoch)

    def ended(self) -> None:
        """Write what is pending and close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

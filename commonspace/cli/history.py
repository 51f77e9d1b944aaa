"""Keeps the figures of each epoch, to be written as one line of JSON each."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from commonspace.atomic import replace_file

if TYPE_CHECKING:
    from torch import nn

    from commonspace.training import EpochRecord

__all__ = ["History"]


class History:
    """An observer that remembers what each epoch gave, also before a resume."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.records: tuple[EpochRecord, ...] = ()

    def started(self, epochs: int, steps: int, history: "tuple[EpochRecord, ...]") -> None:
        """Take over what was done before a resume."""
        self.records = history

    def stepped(self) -> None:
        """Keep nothing of a step."""

    def epoch_ended(self, record: "EpochRecord", network: "nn.Module") -> None:
        """Keep the figures of the epoch."""
        self.records += (record,)

    def ended(self) -> None:
        """Keep what there is."""

    def write(self, path: Path) -> None:
        """Write a line of JSON for each epoch, in place of an older file.

        Raises:
            OutputError: it cannot be written.
        """
        with replace_file(path, overwrite=True) as draft:
            lines = (json.dumps(asdict(record)) + "\n" for record in self.records)
            draft.write_text("".join(lines), "utf-8")

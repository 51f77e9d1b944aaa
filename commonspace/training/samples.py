"""A part of a data set as tensors, ready to be cut into batches.

Raw items are turned into network input once, before the first epoch, and stay where the network
is; pictures that would fill the memory are decoded when their batch comes, on other processes.
Missing modalities cost nothing: a batch holds the rows that are there, and says which.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from commonspace.data.columns import Column, Images
from commonspace.data.dataset import Dataset
from commonspace.encoders.inputs import Input
from commonspace.encoders.loading import prepared

__all__ = ["Batch", "Samples"]

MEMORY = 2**30
"""Bytes that the pictures of one modality may fill before they are decoded batch by batch."""


PART_NUMBERS = 2**23
"""Numbers that a network is given at a time where nothing is learnt."""


@dataclass(frozen=True)
class Batch:
    """Some samples of a part, each modality with those that have it."""

    inputs: Mapping[str, Tensor]
    """Modality name -> (n_m, ...) network input."""
    present: Mapping[str, Tensor]
    """Modality name -> (n,) bool: which samples of the batch have it; they come in order."""
    labels: Tensor
    """(n, c) float32: 1 where a sample carries a class; a row of zeros is unlabelled."""
    rows: Tensor | None = None
    """(n,) int64: which samples of the part they are; None for a batch that is of no part."""


class Samples:
    """A part of a data set, on one device.

    Args:
        data: the part, such as ``dataset.split("train")``.
        inputs: modality name -> what turns its items into network input.
        device: where the tensors should live.
        memory: bytes that the pictures of one modality may fill.

    Raises:
        DataError: a column is of another kind or size than its input reads.
    """

    def __init__(
        self,
        data: Dataset,
        inputs: Mapping[str, Input],
        device: torch.device,
        memory: int = MEMORY,
    ) -> None:
        """Turn every item into network input, save for pictures that are too many."""
        self._late = {
            name: (make, column.items)
            for name, make in inputs.items()
            if isinstance(column := data.columns[name], Images) and _bytes(make, column) > memory
        }
        self.inputs = {
            name: make(data.columns[name]).to(device)
            for name, make in inputs.items()
            if name not in self._late
        }
        self.present = {
            name: torch.from_numpy(data.columns[name].present).to(device) for name in inputs
        }
        self.labels = torch.from_numpy(data.labels).float().to(device)
        self._complete = {name: bool(mask.all()) for name, mask in self.present.items()}
        self._device = device

    def __len__(self) -> int:
        """Return n."""
        return len(self.labels)

    def batch(self, rows: Tensor) -> Batch:
        """Return the samples at ``rows``, (b,) int64 on the same device.

        A modality that none of them has is left out of ``inputs``.

        Raises:
            DataError: a picture cannot be decoded.
        """
        return next(self.batches([rows], workers=0))

    def batches(self, chunks: Sequence[Tensor], workers: int | None = None) -> Iterator[Batch]:
        """Return the samples of each chunk of rows in turn.

        Args:
            chunks: (b,) int64 each, on the same device.
            workers: processes that decode pictures ahead; None: one for each core, at most 4.

        Raises:
            DataError: a picture cannot be decoded.
        """
        late = {name: self._decoded(name, chunks, workers) for name in self._late}
        for rows in chunks:
            present = {name: mask[rows] for name, mask in self.present.items()}
            inputs = {}
            for name in self.present:
                there = rows if self._complete[name] else rows[present[name]]
                if len(there):
                    inputs[name] = next(late[name]) if name in late else self.inputs[name][there]
            yield Batch(inputs, present, self.labels[rows], rows)

    def parts(self, modality: str, size: int) -> Iterator[Tensor]:
        """Return the network input of the samples that have a modality, in order, in parts.

        Args:
            modality: which one.
            size: samples in a part, at most; large pictures come in smaller ones.

        Raises:
            DataError: a picture cannot be decoded.
        """
        rows = self.present[modality].nonzero()[:, 0]
        if modality in self._late:
            make, items = self._late[modality]
            most = PART_NUMBERS // make([items[int(rows[0])]]).numel() if len(rows) else 1
            yield from self._decoded(modality, torch.split(rows, max(1, min(size, most))), None)
        else:
            held = self.inputs[modality][rows]
            most = PART_NUMBERS // max(1, held[:1].numel())
            yield from torch.split(held, max(1, min(size, most)))

    def _decoded(
        self, modality: str, chunks: Sequence[Tensor], workers: int | None
    ) -> Iterator[Tensor]:
        make, items = self._late[modality]
        mask = self.present[modality]
        batches = [there for rows in chunks if (there := rows[mask[rows]].tolist())]
        count = min(os.cpu_count() or 1, 4) if workers is None else workers
        with closing(prepared(make, items, batches, count)) as ready:
            for batch in ready:
                if batch.broken:
                    raise batch.broken[0].error()
                assert batch.inputs is not None
                yield batch.inputs.to(self._device)


def _bytes(make: Input, column: Column) -> int:
    """Return how many bytes the network input of a column takes."""
    first = np.flatnonzero(column.present)[:1]
    return make(column.take(first)).nbytes * len(column)

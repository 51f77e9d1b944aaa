"""A part of a data set as tensors, ready to be cut into batches.

Raw items are turned into network input once, before the first epoch, and stay where the network
is. Missing modalities cost nothing: a batch holds the rows that are there, and says which.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from commonspace.data.dataset import Dataset
from commonspace.encoders.input import Input

__all__ = ["Batch", "Samples"]


@dataclass(frozen=True)
class Batch:
    """Some samples of a part, each modality with those that have it."""

    inputs: Mapping[str, Tensor]
    """Modality name -> (n_m, ...) network input."""
    present: Mapping[str, Tensor]
    """Modality name -> (n,) bool: which samples of the batch have it; they come in order."""
    labels: Tensor
    """(n, c) float32: 1 where a sample carries a class; a row of zeros is unlabelled."""


class Samples:
    """A part of a data set, in memory on one device.

    Args:
        data: the part, such as ``dataset.part("train")``.
        inputs: modality name -> what turns its items into network input.
        device: where the tensors should live.

    Raises:
        DataError: a column is of another kind or size than its input reads.
    """

    def __init__(self, data: Dataset, inputs: Mapping[str, Input], device: torch.device) -> None:
        """Turn every item into network input."""
        self.inputs = {name: make(data.columns[name]).to(device) for name, make in inputs.items()}
        self.present = {
            name: torch.from_numpy(data.columns[name].present).to(device) for name in inputs
        }
        self.labels = torch.from_numpy(data.labels).float().to(device)
        self._complete = {name: bool(mask.all()) for name, mask in self.present.items()}

    def __len__(self) -> int:
        """Return n."""
        return len(self.labels)

    def batch(self, rows: Tensor) -> Batch:
        """Return the samples at ``rows``, (b,) int64 on the same device.

        A modality that none of them has is left out of ``inputs``.
        """
        present = {name: mask[rows] for name, mask in self.present.items()}
        inputs = {}
        for name, tensor in self.inputs.items():
            there = rows if self._complete[name] else rows[present[name]]
            if len(there):
                inputs[name] = tensor[there]
        return Batch(inputs, present, self.labels[rows])

"""A batch: for each modality, the rows of the samples that have it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

__all__ = ["Batch"]

T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """Some samples of a split: for each modality, those that have it."""

    inputs: Mapping[str, Tensor]
    """Modality name -> (n_m, ...) network input, in the order of the samples."""
    present: Mapping[str, Tensor]
    """Modality name -> (n,) bool: the samples of the batch that have it."""
    labels: Tensor
    """(n, c) float32: 1 where a sample has a class; a row of zeros is unlabeled."""
    rows: Tensor | None = None
    """(n,) int64: rows of the samples in the split, if they come from one."""
    complete: bool = False
    """Whether every sample is known to have every modality and a label; then no rows are selected,
    which copies them and, on a GPU, waits for it."""

    def outputs(
        self, compute: Callable[[Mapping[str, Tensor]], Mapping[str, T]]
    ) -> Mapping[str, T]:
        """Return what a network computes for the samples of the batch.

        In a training by several processes each computes the outputs of its own samples and
        receives those of all others, so that a loss of the outputs sees the whole batch.

        Args:
            compute: Takes ``inputs``; returns modality -> a tensor, or a tuple of tensors, with a
                row for each input. It computes each row alone, apart from batch normalization.

        Returns:
            Modality -> the same for all samples of the batch that have it.
        """
        return compute(self.inputs)

    def labeled(self, values: Tensor, modality: str) -> tuple[Tensor, Tensor]:
        """Return the samples of one modality that have a label.

        Args:
            values: (n_m, d), a row for each sample of the batch that has the modality.
            modality: Its name.

        Returns:
            (k, d) values and (k, c) float32 labels.
        """
        if self.complete:
            return values, self.labels
        labels = self.labels[self.present[modality]]
        known = labels.any(dim=1)
        return values[known], labels[known]

    def pairs(self, values: Mapping[str, Tensor], one: str, other: str) -> tuple[Tensor, Tensor]:
        """Return two modalities of the samples that have both.

        Args:
            values: Modality name -> (n_m, d), a row for each sample that has it.
            one: A modality.
            other: Another modality.

        Returns:
            (k, d) and (k, d); row i of both belongs to the same sample.
        """
        if self.complete:
            return values[one], values[other]
        first, second = self.present[one], self.present[other]
        return values[one][second[first]], values[other][first[second]]

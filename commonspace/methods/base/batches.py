"""Which rows of a batch a term of an objective may use: those with labels, those with a pair."""

from collections.abc import Mapping

import torch
from torch import Tensor

from commonspace.training import Batch

__all__ = ["labelled", "nothing", "paired"]


def labelled(representations: Tensor, batch: Batch, modality: str) -> tuple[Tensor, Tensor]:
    """Return the samples of one modality that have a label.

    Args:
        representations: (n_m, d), a row for each sample of the batch that has the modality.
        batch: where they come from.
        modality: which one.

    Returns:
        (k, d) representations and (k, c) float labels.
    """
    labels = batch.labels[batch.present[modality]]
    known = labels.any(dim=1)
    return representations[known], labels[known]


def paired(
    representations: Mapping[str, Tensor], batch: Batch, one: str, other: str
) -> tuple[Tensor, Tensor]:
    """Return two modalities of the samples that have both.

    Args:
        representations: modality name -> (n_m, d), a row for each sample that has it.
        batch: where they come from.
        one: a modality.
        other: another.

    Returns:
        (k, d) and (k, d): row i of both belongs to the same sample.
    """
    first, second = batch.present[one], batch.present[other]
    return representations[one][second[first]], representations[other][first[second]]


def nothing(representations: Mapping[str, Tensor]) -> Tensor:
    """Return 0 with a gradient of zeros: the loss of a batch that a method cannot use.

    Args:
        representations: modality name -> (n_m, d), of all that the batch has.
    """
    return torch.stack([u.sum() * 0 for u in representations.values()]).sum()

"""Raw features compared by their cosine, a baseline without training."""

from typing import ClassVar

import numpy as np

from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.errors import DataError
from commonspace.methods.base.closed_form import ClosedFormMethod
from commonspace.networks.linear import AffineMap, LinearNetwork

__all__ = ["RawFeatures"]


class RawFeatures(ClosedFormMethod):
    """The features themselves, L2-normalized: u = x / ||x||.

    It is meaningful if one model embeds all modalities, and shows what a method adds to its
    features. Report it beside every result: features may have been trained with labels.

    Needs features of one size in all modalities, any number of them. Neither pairs nor labels are
    used. There are no published results.
    """

    name: ClassVar[str] = "raw"

    @property
    def supervised(self) -> bool:
        """Labels are not used."""
        return False

    def prepare(self, train: Dataset) -> dict[str, int]:
        """Return the size of the features of each modality.

        Raises:
            DataError: If the sizes differ.
        """
        sizes = {
            name: column.size
            for name, column in train.columns.items()
            if isinstance(column, Features)
        }
        if len(set(sizes.values())) > 1:
            raise DataError(
                f"the raw features of {train.name!r} cannot be compared",
                expected="one size in all modalities, as from a model that embeds all of them",
                found=", ".join(f"{name!r}: {size}" for name, size in sizes.items()),
                advice="use a method that trains a common space; the baseline is linear-probe",
            )
        return sizes

    def solve(self, problem: dict[str, int]) -> LinearNetwork:
        """Return identity maps."""
        return LinearNetwork.from_maps(
            {name: AffineMap(np.zeros(size), np.eye(size)) for name, size in problem.items()}
        )

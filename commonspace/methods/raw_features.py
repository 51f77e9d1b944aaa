"""The floor of every comparison: features as they come, compared by their cosine.

Nothing is learnt; what a method adds is measured against this. It makes sense where one model
embeds all modalities, and is refused where their vectors have different sizes.
"""

from dataclasses import dataclass

import numpy as np

from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.errors import DataError
from commonspace.methods.base.closed_form import Fitting
from commonspace.networks.linear import AffineMap, LinearNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run

__all__ = ["RawFeatures"]


@dataclass(frozen=True)
class RawFeatures:
    """The features themselves, brought to unit length.

        u = x / ||x||

    Needs: feature vectors of one size in all modalities, any number of them. Neither pairs nor
    labels are used. There is no source and no published figure; the reference recommends it beside
    every result, because features may have been trained with labels.
    """

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Return the space of the features; validation only measures it.

        Args:
            train: samples with two or more columns of features, all of one size.
            validation: labelled samples of the same columns.
            run: who is told.

        Raises:
            DataError: the columns are raw, or their sizes differ.
        """
        fitting = Fitting("raw", train, validation, supervised=False)
        sizes = {
            name: column.size
            for name, column in train.columns.items()
            if isinstance(column, Features)
        }
        if len(set(sizes.values())) > 1:
            raise DataError(
                f"the raw features of {train.name!r} cannot be compared",
                expected="one size in all modalities, as of a model that embeds them alike",
                found=", ".join(f"{name!r}: {size}" for name, size in sizes.items()),
                advice="take a method that learns a common space; the floor is then probe",
            )
        maps = {name: AffineMap(np.zeros(size), np.eye(size)) for name, size in sizes.items()}
        return fitting.choose(self, [self], lambda _: LinearNetwork.from_maps(maps), run)

"""A user-defined method in one file, compared with the methods of the package.

    commonspace compare features.npz --methods examples/class_means.py:ClassMeans,cca --out table

Projects each modality onto the directions of its whitened class means, so that items near the same
means are near each other in the space. Needs labels, but no pairs.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from commonspace.data import Dataset, Features
from commonspace.encoders import Vectors
from commonspace.errors import DataError
from commonspace.methods.base.hyperparameters import Between, SearchSpace
from commonspace.networks.linear import AffineMap, LinearNetwork
from commonspace.space import CommonSpace
from commonspace.training import RunConfig

__all__ = ["ClassMeans"]

RECORD = {"method": {"name": "class means"}}


@dataclass(frozen=True)
class ClassMeans:
    """Whiten x and project it onto the class means M of its modality.

        u = M'(S + r t I)^-1 (x - m)

    S is the covariance of the training part, t its mean eigenvalue, m its mean.

    Args:
        ridge: r, above 0.
    """

    search_space: ClassVar[SearchSpace] = {"ridge": Between(1e-3, 10.0)}

    ridge: float = 0.1

    def fit(self, train: Dataset, validation: Dataset, run: RunConfig | None = None) -> CommonSpace:
        """Return the space of the training part; there is nothing to choose on validation.

        Raises:
            DataError: a modality is raw.
        """
        maps, inputs = {}, {}
        for name, column in train.columns.items():
            if not isinstance(column, Features):
                raise DataError(
                    f"{name!r} is raw",
                    expected="features",
                    found=column.kind,
                    advice="extract them first with commonspace extract",
                )
            known = column.present & train.labels.any(axis=1)
            x = column.values[known].astype(np.float64)
            mean = x.mean(axis=0)
            share = train.labels[known] / np.maximum(train.labels[known].sum(axis=0), 1)
            means = (x - mean).T @ share
            covariance = np.atleast_2d(np.cov(x, rowvar=False))
            scale = np.trace(covariance) / len(covariance)
            whitened = np.linalg.solve(covariance + self.ridge * scale * np.eye(len(mean)), means)
            maps[name] = AffineMap(mean, whitened)
            inputs[name] = Vectors(column.size)
        return CommonSpace(LinearNetwork.from_maps(maps), inputs, train.class_names, RECORD)

"""Linear probe: a ridge regression from each modality to the classes, a baseline."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import SHRINKAGE, ClosedFormMethod, values_to_try
from commonspace.methods.base.views import View, labeled_views, shrink
from commonspace.networks.linear import LinearNetwork
from commonspace.settings import setting

__all__ = ["LinearProbe"]


class LinearProbe(ClosedFormMethod):
    """Least squares from the features of each modality to the classes, compared by the cosine.

        W = ((1 - r) C + r t I)^-1 X'Y / n,    u = W'(x - m)

    with X and Y centered, C = X'X / n and t the mean of its diagonal: how far a sample exceeds the
    share of each class. For one modality this is linear regression to one-hot labels (Hastie,
    Tibshirani, Friedman: The Elements of Statistical Learning, 2nd edition, sections 3.4.1, 4.2).
    Modalities are related only through the classes. It shows what labels alone give.

    Needs labels and any number of modalities; no pairs and no equal sizes. A sample may have
    several labels. There are no published results on the benchmarks of this field.
    """

    name: ClassVar[str] = "linear-probe"

    regularization: float | None = setting(
        None, help="Regularization r; None: chosen on validation.", low=0, high=1
    )

    def prepare(self, train: Dataset) -> dict[str, View]:
        """Return the labeled samples in principal coordinates."""
        return labeled_views(train)

    def candidates(self, problem: dict[str, View]) -> Sequence["LinearProbe"]:
        """Return every regularization."""
        values = values_to_try(self.regularization, SHRINKAGE)
        return [replace(self, regularization=r) for r in values]

    def solve(self, problem: dict[str, View]) -> LinearNetwork:
        """Return the regressions."""
        assert self.regularization is not None
        share = self.regularization
        return LinearNetwork.from_maps(
            {name: view.affine_map(_regression(view, share)) for name, view in problem.items()}
        )


def _regression(view: View, share: float) -> NDArray[np.float64]:
    """Return W in principal coordinates, where the covariance is diagonal."""
    cross: NDArray[np.float64] = view.values.T @ view.labels / len(view.values)
    # Centering Y changes nothing: the columns of Z are centered already.
    return cross / shrink(view.variances, share)[:, None]

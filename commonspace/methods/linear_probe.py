"""The floor of what labels alone give: a ridge regression from each modality to the classes.

The modalities meet only in the names of the classes; nothing couples them.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import SHRINKAGE, Fitting, to_try
from commonspace.methods.base.settings import check_setting
from commonspace.methods.base.views import View, labelled_views, shrunk
from commonspace.networks.linear import LinearNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run

__all__ = ["LinearProbe"]


@dataclass(frozen=True)
class LinearProbe:
    """Least squares from the features of each modality to the classes, compared by the cosine.

        W = ((1 - r) C + r t I)^-1 X'Y / n,    u = W'(x - m)

    with X and Y centred, C = X'X / n and t the mean of its diagonal: how far a sample is above the
    share of each class. For one modality this is linear regression to one-hot labels (Hastie,
    Tibshirani, Friedman: The Elements of Statistical Learning, 2nd edition, sections 3.4.1, 4.2).

    Needs: labels; any number of modalities; no pairs, and no equal sizes. A sample may have several
    labels. There are no published figures on the benchmarks of the reference.

    Args:
        regularisation: r in [0, 1]; None: chosen on validation from ``SHRINKAGE``.

    Raises:
        SettingError: a value that cannot work.
    """

    regularisation: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        r = self.regularisation
        check_setting("probe", "regularisation", r, 0 <= (r or 0) <= 1, "from 0 to 1")

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Learn the regressions; the regularisation is chosen on validation.

        Args:
            train: labelled samples with two or more columns of features.
            validation: labelled samples of the same columns.
            run: who is told of the trials.

        Raises:
            DataError: the columns are raw, or a modality has too few labelled samples.
        """
        fitting = Fitting("probe", train, validation)
        views = labelled_views(train)

        def build(candidate: "LinearProbe") -> LinearNetwork:
            assert candidate.regularisation is not None
            share = candidate.regularisation
            return LinearNetwork.from_maps(
                {name: view.mapped(_regression(view, share)) for name, view in views.items()}
            )

        candidates = [
            replace(self, regularisation=r) for r in to_try(self.regularisation, SHRINKAGE)
        ]
        return fitting.choose(self, candidates, build, run)


def _regression(view: View, share: float) -> NDArray[np.float64]:
    """Return W in principal coordinates, where the covariance is a diagonal."""
    cross: NDArray[np.float64] = view.values.T @ view.labels / len(view.values)
    # Centring Y changes nothing: the columns of Z are centred already.
    return cross / shrunk(view.variances, share)[:, None]

"""Canonical correlation analysis of two or more modalities, as one generalised eigenproblem."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import SHRINKAGE, Fitting, dimensions, to_try
from commonspace.methods.base.settings import check_setting
from commonspace.methods.base.views import View, paired_views, shrunk, stacked
from commonspace.networks.linear import LinearNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run

__all__ = ["MCCA", "multiset_directions"]


@dataclass(frozen=True)
class MCCA:
    """Multiset canonical correlation analysis: directions whose projections agree in sum.

        max sum over l != m of a_l'C_lm a_m    subject to    sum over m of a_m'D_m a_m = 1

    with D_m = (1 - r) C_m + r t_m I, t_m the mean of the diagonal of C_m. It is the eigenproblem
    C a = rho D a, with D the blocks D_m and C the same with C_lm beside them; of two modalities it
    has the directions of CCA, with rho = 1 + the canonical correlation. Projections are compared by
    the cosine. Source: Kettenring: Canonical analysis of several sets of variables, Biometrika 58,
    1971; the eigenproblem in Nielsen: Multiset canonical correlations analysis, IEEE Transactions
    on Image Processing 11, 2002.

    Needs: complete samples, two or more modalities; no labels, and no equal sizes. Samples that
    lack a modality are left out.

    Published mAP, image->text / text->image: Wikipedia .341 / .307, Pascal .664 / .689,
    NUS-WIDE-10k .448 / .462, XMediaNet .620 / .616 (Zhen et al., CVPR 2019).

    Args:
        regularisation: r in [0, 1]; None: chosen on validation from ``SHRINKAGE``.
        dimension: of the common space; None: chosen on validation, from powers of two and all.

    Raises:
        SettingError: a value that cannot work.
    """

    regularisation: float | None = None
    dimension: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        r, d = self.regularisation, self.dimension
        check_setting("mcca", "regularisation", r, 0 <= (r or 0) <= 1, "from 0 to 1")
        check_setting("mcca", "dimension", d, d is None or d >= 1, "at least 1")

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Find the directions on the complete samples; what is None is chosen on validation.

        Args:
            train: samples with two or more columns of features.
            validation: labelled samples of the same columns.
            run: who is told of the trials.

        Raises:
            DataError: the columns are raw, or too few samples are complete.
            SettingError: the dimension is larger than the data allows.
        """
        fitting = Fitting("mcca", train, validation, supervised=False)
        views = paired_views(train)
        solve = cache(lambda r: multiset_directions(views, r)[0])

        def build(candidate: "MCCA") -> LinearNetwork:
            some = solve(candidate.regularisation)[:, : candidate.dimension]
            parts = stacked(views, some)
            return LinearNetwork.from_maps(
                {name: views[name].mapped(parts[name]) for name in views}
            )

        candidates = [
            replace(self, regularisation=r, dimension=d)
            for r, d in product(
                to_try(self.regularisation, SHRINKAGE),
                dimensions(self.dimension, min(view.rank for view in views.values())),
            )
        ]
        return fitting.choose(self, candidates, build, run)


def multiset_directions(
    views: Mapping[str, View], share: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve the eigenproblem, as one of whitened coordinates.

    Args:
        views: modality name -> view, row i of each being the same sample.
        share: r, the regularisation.

    Returns:
        (sum of ranks, k) float64 directions, k the smallest rank, and (k,) their rho in decreasing
        order.
    """
    Z = np.hstack([view.values for view in views.values()])
    white = np.concatenate([1 / np.sqrt(shrunk(view.variances, share)) for view in views.values()])
    K = white[:, None] * (Z.T @ Z / len(Z)) * white
    # The blocks of one modality are diagonals, which the constraint makes 1.
    np.fill_diagonal(K, 1.0)
    k = min(view.rank for view in views.values())
    rho, A = scipy.linalg.eigh(K, subset_by_index=(len(K) - k, len(K) - 1))
    return white[:, None] * A[:, ::-1], rho[::-1]

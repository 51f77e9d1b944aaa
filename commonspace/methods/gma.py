"""Generalised multiview analysis, with linear discriminant analysis in each modality: GMLDA."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Literal, get_args

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.errors import DataError
from commonspace.methods.base.closed_form import Fitting, dimensions, to_try
from commonspace.methods.base.settings import check_setting
from commonspace.methods.base.views import View, cholesky, paired_views, shrunk, stacked
from commonspace.networks.linear import LinearNetwork
from commonspace.space import CommonSpace
from commonspace.training import Run

__all__ = ["GMA", "Alignment", "ClassScatters", "class_scatters", "multiview_directions"]

Alignment = Literal["samples", "means"]

ALPHA = (1.0, 10.0, 100.0)
REGULARISATION = (0.01, 0.1, 0.5, 0.9)


@dataclass(frozen=True)
class GMA:
    """Generalised multiview analysis: separate the classes within, align the modalities between.

        max sum_m v_m'A_m v_m + 2 alpha sum_(l<m) v_l'Z_l'Z_m v_m
        subject to sum_m gamma_m v_m'B_m v_m = 1

    With discriminant analysis in each modality (GMLDA) A_m is the scatter between classes, and B_m
    that within them, which is shrunk here by r as the covariance of regularised CCA; Z_m holds what
    is to be aligned, the paired samples or the means of the classes. It is the eigenproblem
    A v = rho B v over all modalities at once. Projections are compared by the cosine.

    Source: Sharma, Kumar, Daume III, Jacobs: Generalized Multiview Analysis: A Discriminative
    Latent Space, CVPR 2012, equation 7. gamma_m is tr(B_1) / tr(B_m), as in the authors' code.
    Each modality is first centred and brought to unit variance in all, so that alpha means the
    same everywhere. GMMFA, with marginal Fisher analysis inside, is not offered.

    Needs: labels and complete samples, two or more modalities; no equal sizes. A sample of several
    classes counts in each. Samples that lack a modality or a label are left out. The reference
    lists no figures of it.

    Args:
        alpha: the weight of the alignment; None: chosen on validation from ``ALPHA``.
        regularisation: r in [0, 1]; None: chosen on validation from ``REGULARISATION``.
        dimension: of the common space; None: chosen on validation, from powers of two and all.
        alignment: "samples" or "means".

    Raises:
        SettingError: a value that cannot work.
    """

    alpha: float | None = None
    regularisation: float | None = None
    dimension: int | None = None
    alignment: Alignment = "samples"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        a, r, d = self.alpha, self.regularisation, self.dimension
        check_setting("gma", "alpha", a, a is None or 0 < a < np.inf, "above 0")
        check_setting("gma", "regularisation", r, 0 <= (r or 0) <= 1, "from 0 to 1")
        check_setting("gma", "dimension", d, d is None or d >= 1, "at least 1")
        names = get_args(Alignment)
        check_setting("gma", "alignment", self.alignment, self.alignment in names, str(names))

    def fit(self, train: Dataset, validation: Dataset, run: Run | None = None) -> CommonSpace:
        """Find the directions on the complete samples; what is None is chosen on validation.

        Args:
            train: labelled samples with two or more columns of features.
            validation: labelled samples of the same columns.
            run: who is told of the trials.

        Raises:
            DataError: the columns are raw, or too few samples are complete and labelled.
            SettingError: the dimension is larger than the data allows, or the scatter within
                classes is singular and not regularised.
        """
        fitting = Fitting("gma", train, validation)
        views = paired_views(train, labelled=True)
        solve = cache(lambda a, r: multiview_directions(views, a, r, self.alignment))

        def build(candidate: "GMA") -> LinearNetwork:
            some = solve(candidate.alpha, candidate.regularisation)[:, : candidate.dimension]
            parts = stacked(views, some)
            return LinearNetwork.from_maps(
                {name: views[name].mapped(parts[name]) for name in views}
            )

        candidates = [
            replace(self, alpha=a, regularisation=r, dimension=d)
            for a, r, d in product(
                to_try(self.alpha, ALPHA),
                to_try(self.regularisation, REGULARISATION),
                dimensions(self.dimension, min(view.rank for view in views.values())),
            )
        ]
        return fitting.choose(self, candidates, build, run)


def multiview_directions(
    views: Mapping[str, View], alpha: float, share: float, alignment: Alignment
) -> NDArray[np.float64]:
    """Solve the eigenproblem, as one of coordinates in which the constraint is the identity.

    Args:
        views: modality name -> view, row i of each being the same labelled sample.
        alpha: the weight of the alignment.
        share: r, the regularisation.
        alignment: what is aligned.

    Returns:
        (sum of ranks, k) float64, k the smallest rank; the largest eigenvalue first.

    Raises:
        SettingError: the scatter within classes is singular.
    """
    scatters = [class_scatters(view) for view in views.values()]
    first = np.trace(scatters[0].within)
    whites = [
        _whitening(shrunk(one.within, share) * (first / np.trace(one.within))) for one in scatters
    ]
    aligned = [
        _rows(view.values if alignment == "samples" else one.means) @ white
        for view, one, white in zip(views.values(), scatters, whites, strict=True)
    ]
    A = alpha * np.hstack(aligned).T @ np.hstack(aligned)
    start = 0
    for one, white in zip(scatters, whites, strict=True):
        block = slice(start, start + len(white))
        A[block, block] = white.T @ one.between @ white
        start += len(white)
    k = min(view.rank for view in views.values())
    _, V = scipy.linalg.eigh(A, subset_by_index=(len(A) - k, len(A) - 1))
    found = stacked(views, V[:, ::-1])
    return np.vstack([white @ part for white, part in zip(whites, found.values(), strict=True)])


@dataclass(frozen=True)
class ClassScatters:
    """How one modality spreads within and between classes, on average over the marks of classes.

    Args:
        within: (r, r) float64, of samples around the mean of their class.
        between: (r, r) float64, of the means of classes, weighted by their sizes.
        means: (c, r) float64, the means of the classes that have samples.
    """

    within: NDArray[np.float64]
    between: NDArray[np.float64]
    means: NDArray[np.float64]


def class_scatters(view: View) -> ClassScatters:
    """Return the scatters of one modality.

    Raises:
        DataError: there is nothing within the classes, as where each has one sample.
    """
    counts = view.labels.sum(axis=0)
    marks = view.labels[:, counts > 0].astype(np.float64)
    share = counts[counts > 0] / counts.sum()
    means = marks.T @ view.values / counts[counts > 0][:, None]
    weighted = view.values * np.sqrt(marks.sum(axis=1) / counts.sum())[:, None]
    rooted = np.sqrt(share)[:, None] * means
    within = weighted.T @ weighted - rooted.T @ rooted
    centred = np.sqrt(share)[:, None] * (means - share @ means)
    if np.trace(within) <= 1e-12 * np.trace(weighted.T @ weighted):
        raise DataError(
            "the samples of a class do not differ in a modality",
            expected="classes of two or more different samples",
            found=f"{len(share)} classes over {len(view.values)} samples without scatter within",
            advice="add samples, or take a method that needs no scatter within classes, such as sm",
        )
    return ClassScatters(within, centred.T @ centred, means)


def _whitening(B: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return W, (r, r), with W'BW = I."""
    factor = cholesky(B)
    inverse: NDArray[np.float64] = scipy.linalg.solve_triangular(factor, np.eye(len(B)), lower=True)
    return inverse.T


def _rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows so that products of columns are means over rows."""
    scaled: NDArray[np.float64] = values / np.sqrt(len(values))
    return scaled

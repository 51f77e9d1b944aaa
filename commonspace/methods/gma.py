"""Generalized multiview analysis with linear discriminant analysis in each modality: GMLDA."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import ClassVar, Literal, get_args

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.errors import DataError
from commonspace.methods.base.closed_form import (
    ClosedFormMethod,
    dimensions_to_try,
    values_to_try,
)
from commonspace.methods.base.views import View, cholesky, paired_views, shrink, split_directions
from commonspace.networks.linear import LinearNetwork
from commonspace.settings import setting

__all__ = ["GMA", "Alignment", "ClassScatters", "class_scatters", "multiview_directions"]

Alignment = Literal["samples", "means"]

ALPHA = (1.0, 10.0, 100.0)
REGULARIZATION = (0.01, 0.1, 0.5, 0.9)


class GMA(ClosedFormMethod):
    """Generalized multiview analysis: separate the classes within, align the modalities between.

        max sum_m v_m'A_m v_m + 2 alpha sum_(l<m) v_l'Z_l'Z_m v_m
        subject to sum_m gamma_m v_m'B_m v_m = 1

    With discriminant analysis in each modality (GMLDA) A_m is the scatter between classes, and B_m
    that within them, shrunk by r as the covariance of regularized CCA; Z_m holds what is aligned,
    the paired samples or the means of the classes. It is the eigenproblem A v = rho B v over all
    modalities at once. Projections are compared by the cosine.

    Source: Sharma, Kumar, Daume III, Jacobs: Generalized Multiview Analysis: A Discriminative
    Latent Space, CVPR 2012, equation 7. gamma_m is tr(B_1) / tr(B_m), as in the authors' code.
    Each modality is first centered and scaled to unit total variance, so that alpha means the
    same everywhere. GMMFA, with marginal Fisher analysis inside, is not implemented.

    Needs labels and complete samples, two or more modalities; no equal sizes. A sample of several
    classes counts in each. Samples that lack a modality or a label are left out. There are no
    published results to compare with.
    """

    name: ClassVar[str] = "gma"

    alpha: float | None = setting(
        None, help="Weight of the alignment; None: chosen on validation.", above=0
    )
    regularization: float | None = setting(
        None, help="Regularization r; None: chosen on validation.", low=0, high=1
    )
    dimension: int | None = setting(
        None, help="Size of the embeddings; None: chosen on validation.", low=1
    )
    alignment: Alignment = setting(
        "samples",
        help="What is aligned: paired samples or class means.",
        choices=get_args(Alignment),
    )

    def prepare(self, train: Dataset) -> "_Problem":
        """Return the complete labeled samples in principal coordinates, and the solver."""
        views = paired_views(train, labeled=True)
        return views, cache(lambda a, r: multiview_directions(views, a, r, self.alignment))

    def candidates(self, problem: "_Problem") -> Sequence["GMA"]:
        """Return every combination of alpha, regularization and dimension."""
        limit = min(view.rank for view in problem[0].values())
        return [
            replace(self, alpha=a, regularization=r, dimension=d)
            for a, r, d in product(
                values_to_try(self.alpha, ALPHA),
                values_to_try(self.regularization, REGULARIZATION),
                dimensions_to_try(self.dimension, limit),
            )
        ]

    def solve(self, problem: "_Problem") -> LinearNetwork:
        """Return the first directions."""
        assert self.alpha is not None
        assert self.regularization is not None
        views, directions = problem
        some = directions(self.alpha, self.regularization)[:, : self.dimension]
        parts = split_directions(views, some)
        return LinearNetwork.from_maps(
            {name: views[name].affine_map(parts[name]) for name in views}
        )


_Problem = tuple[dict[str, View], Callable[[float, float], NDArray[np.float64]]]


def multiview_directions(
    views: Mapping[str, View], alpha: float, share: float, alignment: Alignment
) -> NDArray[np.float64]:
    """Solve the eigenproblem in coordinates in which the constraint is the identity.

    Args:
        views: Modality -> view; row i of each is the same labeled sample.
        alpha: Weight of the alignment.
        share: r, the regularization.
        alignment: What is aligned.

    Returns:
        (sum of ranks, k) float64, k the smallest rank; the largest eigenvalue first.

    Raises:
        SettingError: If the scatter within classes is singular.
    """
    scatters = [class_scatters(view) for view in views.values()]
    first = np.trace(scatters[0].within)
    whites = [
        _whitening(shrink(one.within, share) * (first / np.trace(one.within))) for one in scatters
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
    parts = split_directions(views, V[:, ::-1])
    return np.vstack([white @ part for white, part in zip(whites, parts.values(), strict=True)])


@dataclass(frozen=True)
class ClassScatters:
    """Scatter of one modality within and between classes, averaged over all (sample, class) pairs.

    Args:
        within: (r, r) float64, scatter of samples around the mean of their class.
        between: (r, r) float64, scatter of the class means, weighted by class size.
        means: (c, r) float64, means of the classes that have samples.
    """

    within: NDArray[np.float64]
    between: NDArray[np.float64]
    means: NDArray[np.float64]


def class_scatters(view: View) -> ClassScatters:
    """Return the scatters of one modality.

    Raises:
        DataError: If there is no scatter within classes, such as with one sample each.
    """
    counts = view.labels.sum(axis=0)
    marks = view.labels[:, counts > 0].astype(np.float64)
    share = counts[counts > 0] / counts.sum()
    means = marks.T @ view.values / counts[counts > 0][:, None]
    weighted = view.values * np.sqrt(marks.sum(axis=1) / counts.sum())[:, None]
    rooted = np.sqrt(share)[:, None] * means
    within = weighted.T @ weighted - rooted.T @ rooted
    centered = np.sqrt(share)[:, None] * (means - share @ means)
    if np.trace(within) <= 1e-12 * np.trace(weighted.T @ weighted):
        raise DataError(
            "the samples of a class do not differ in a modality",
            expected="classes of two or more different samples",
            found=f"{len(share)} classes over {len(view.values)} samples without scatter within",
            advice="add samples, or use a method that needs no scatter within classes, such as sm",
        )
    return ClassScatters(within, centered.T @ centered, means)


def _whitening(B: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return W, (r, r), with W'BW = I."""
    factor = cholesky(B)
    inverse: NDArray[np.float64] = scipy.linalg.solve_triangular(factor, np.eye(len(B)), lower=True)
    return inverse.T


def _rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows so that products of columns are means over rows."""
    scaled: NDArray[np.float64] = values / np.sqrt(len(values))
    return scaled

"""Kernel canonical correlation analysis of two modalities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import ClassVar

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from commonspace.data.dataset import Dataset
from commonspace.methods.base.closed_form import (
    SHRINKAGE,
    ClosedFormMethod,
    dimensions_to_try,
    values_to_try,
)
from commonspace.methods.base.kernel_ridge import squared_distances
from commonspace.methods.base.views import (
    Standardized,
    View,
    paired_views,
    standardize_features,
)
from commonspace.methods.cca import canonical_directions
from commonspace.networks.kernel import KernelConfig, KernelNetwork, set_buffers
from commonspace.settings import setting

__all__ = ["KernelCCA", "kernel_view"]

WIDTHS = (0.1, 0.3, 1.0)
SMALLEST = 1e-6
"""Share of the largest eigenvalue of the kernel below which a direction is left out."""


class KernelCCA(ClosedFormMethod):
    """Kernel canonical correlation analysis: regularized CCA in the space of a Gaussian kernel.

        max a'C_12 b    subject to    a'D_1 a = b'D_2 b = 1,    D_m = (1 - r) C_m + r t_m I

    as in ``CCA``, for S^-1/2 V'k(x) in place of x, with k_j(x) = exp(-g ||x - l_j||^2 / size) and
    V S V' the kernel among the landmarks l. Source: Bach, Jordan: Kernel Independent Component
    Analysis, JMLR 3, 2002; Hardoon, Szedmak, Shawe-Taylor: Canonical Correlation Analysis: An
    Overview with Application to Learning Methods, Neural Computation 16, 2004. Without
    regularization it fits noise, so that r has no default of 0.

    Landmarks, at even steps through the training pairs, approximate the kernel (Williams, Seeger,
    NIPS 2000); with as many as pairs it is exact. Features are standardized, and one width holds
    for both modalities.

    Needs pairs and two modalities; no labels and no equal sizes. Samples that lack a modality are
    left out. No results on the deep features of this field are published.
    """

    name: ClassVar[str] = "kcca"

    width: float | None = setting(
        None, help="Width g of the kernel; None: chosen on validation.", above=0
    )
    regularization: float | None = setting(
        None, help="Regularization r; None: chosen on validation.", low=0, high=1
    )
    dimension: int | None = setting(
        None, help="Size of the embeddings; None: chosen on validation.", low=1
    )
    landmarks: int = setting(500, help="Maximum number of landmarks.", low=2)

    @property
    def supervised(self) -> bool:
        """Labels are not used."""
        return False

    @property
    def exact_modalities(self) -> int:
        """It is defined for two modalities."""
        return 2

    def prepare(self, train: Dataset) -> "_Problem":
        """Return the standardized pairs, the landmarks and the solver."""
        paired_views(train)  # raises if there are no pairs, or a modality does not vary
        present = [column.present for column in train.columns.values()]
        rows = np.flatnonzero(np.logical_and(*present))
        chosen = np.unique(np.linspace(0, len(rows) - 1, self.landmarks).astype(int))
        features = {name: standardize_features(train, name, rows) for name in train.modalities}
        landmarks = {name: part.values[chosen] for name, part in features.items()}

        @cache
        def views(width: float) -> dict[str, View]:
            return {
                name: kernel_view(part.values, landmarks[name], width)
                for name, part in features.items()
            }

        @cache
        def directions(width: float, share: float) -> tuple[NDArray[np.float64], ...]:
            first, second = views(width).values()
            return canonical_directions(first, second, share)[:2]

        return _Problem(features, landmarks, views, directions)

    def candidates(self, problem: "_Problem") -> Sequence["KernelCCA"]:
        """Return every width and regularization with every dimension."""
        return [
            replace(self, width=g, regularization=r, dimension=d)
            for g in values_to_try(self.width, WIDTHS)
            for r, d in product(
                values_to_try(self.regularization, SHRINKAGE),
                dimensions_to_try(
                    self.dimension, min(view.rank for view in problem.views(g).values())
                ),
            )
        ]

    def solve(self, problem: "_Problem") -> KernelNetwork:
        """Return the first canonical directions."""
        assert self.width is not None
        assert self.regularization is not None
        assert self.dimension is not None
        sizes = {name: part.values.shape[1] for name, part in problem.features.items()}
        counts = {name: len(part) for name, part in problem.landmarks.items()}
        network = KernelNetwork(KernelConfig(sizes, counts, self.dimension))
        views = problem.views(self.width)
        parts = problem.directions(self.width, self.regularization)
        for (name, view), part in zip(views.items(), parts, strict=True):
            features = problem.features[name]
            matrix = view.basis @ part[:, : self.dimension]
            set_buffers(network.scale(name), shift=features.mean, weight=features.weight)
            set_buffers(
                network.kernel(name),
                landmarks=problem.landmarks[name],
                width=self.width,
                coefficients=matrix,
                bias=-view.mean @ matrix,
            )
        return network


@dataclass(frozen=True)
class _Problem:
    """Standardized pairs, landmarks, and the solution for each width and regularization."""

    features: dict[str, Standardized]
    landmarks: dict[str, NDArray[np.float64]]
    views: Callable[[float], dict[str, View]]
    directions: Callable[[float, float], tuple[NDArray[np.float64], ...]]


def kernel_view(values: NDArray[np.float64], landmarks: NDArray[np.float64], width: float) -> View:
    """Return the principal coordinates of samples in the space of the kernel.

    Args:
        values: (n, size) standardized features.
        landmarks: (l, size), likewise.
        width: g > 0.

    Returns:
        A view whose mean and basis apply to k(x), the (l,) kernels to the landmarks.
    """
    kernels = np.exp(-width * squared_distances(values, landmarks))
    mean = kernels.mean(axis=0)
    S, V = scipy.linalg.eigh(np.exp(-width * squared_distances(landmarks, landmarks)))
    kept = SMALLEST * S[-1] < S
    whiten = V[:, kept] / np.sqrt(S[kept])
    U, spread, Vt = scipy.linalg.svd((kernels - mean) @ whiten, full_matrices=False)
    varied = spread > SMALLEST * spread[0]
    scale = np.linalg.norm(spread[varied]) / np.sqrt(len(values))
    return View(
        mean,
        whiten @ Vt[varied].T / scale,
        U[:, varied] * (spread[varied] / scale),
        np.zeros((len(values), 0), dtype=bool),
    )

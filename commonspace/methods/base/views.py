"""Features -> principal coordinates, in which every eigenproblem of the closed forms is regular.

Collinear features, such as topic weights that add up to 1, leave directions without variance. They
are dropped here, once, so that no method behind need divide by zero. This module knows nothing of
what a method does with the coordinates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.errors import DataError, SettingError
from commonspace.networks.linear import AffineMap

__all__ = [
    "Standardised",
    "View",
    "cholesky",
    "features_at",
    "labelled_rows",
    "labelled_views",
    "paired_views",
    "shrunk",
    "stacked",
    "standardised",
]

ROUNDING = 32 * float(np.finfo(np.float32).eps)
"""Below this share of the norm of the features a singular value is rounding, not data.

Rounding to float32 moves the singular values of X by up to eps/2 ||X||_F (Weyl's inequality);
32 eps allows for features that were computed in float32, and not only stored in it.
"""


@dataclass(frozen=True)
class View:
    """One modality of n training samples in its principal coordinates.

    Z = (X - m) B has orthogonal columns, as many as X has rank, and unit variance in all: the
    variances of its columns add up to 1.

    Args:
        mean: (size,) float64, m.
        basis: (size, r) float64, B.
        values: (n, r) float64, Z.
        labels: (n, c) bool, the classes of the samples.
    """

    mean: NDArray[np.float64]
    basis: NDArray[np.float64]
    values: NDArray[np.float64]
    labels: NDArray[np.bool_]

    @property
    def rank(self) -> int:
        """r, the number of coordinates."""
        return len(self.basis.T)

    @property
    def variances(self) -> NDArray[np.float64]:
        """(r,) float64, the variance of each coordinate, which is also their covariance."""
        spread: NDArray[np.float64] = np.square(self.values).mean(axis=0)
        return spread

    def mapped(
        self, directions: NDArray[np.float64], bias: NDArray[np.float64] | None = None
    ) -> AffineMap:
        """Return the map from features to W'Z + b.

        Args:
            directions: (r, d) float64, W in principal coordinates.
            bias: (d,) float64, b.
        """
        return AffineMap(self.mean, self.basis @ directions, bias)


@dataclass(frozen=True)
class Standardised:
    """One modality of n training samples, each feature with mean 0 and variance 1.

    Args:
        mean: (size,) float64.
        weight: (size,) float64, one over the standard deviation; 0 for a feature that is constant.
        values: (n, size) float64.
    """

    mean: NDArray[np.float64]
    weight: NDArray[np.float64]
    values: NDArray[np.float64]

    def mapped(
        self, directions: NDArray[np.float64], bias: NDArray[np.float64] | None = None
    ) -> AffineMap:
        """Return the map from features to W'z + b.

        Args:
            directions: (size, d) float64, W for standardised features.
            bias: (d,) float64, b.
        """
        return AffineMap(self.mean, self.weight[:, None] * directions, bias)


def paired_views(train: Dataset, *, labelled: bool = False) -> dict[str, View]:
    """Return all modalities over the complete samples: those that have every one of them.

    Args:
        train: the training part; its columns are features.
        labelled: whether to leave out samples without a label.

    Returns:
        Modality name -> view; row i of each belongs to the same sample.

    Raises:
        DataError: fewer than two samples are complete, or a modality does not vary.
    """
    there = np.column_stack([column.present for column in train.columns.values()]).all(axis=1)
    if labelled:
        there &= train.labels.any(axis=1)
    rows = np.flatnonzero(there)
    if len(rows) < 2:
        raise DataError(
            f"{train.name!r} has too few complete samples",
            expected="at least two that have every modality" + (" and a label" if labelled else ""),
            found=f"{len(rows)} of {len(train)}",
            advice="add pairs, or take a method that needs none, such as sm",
        )
    return {name: _view(train, name, rows) for name in train.modalities}


def labelled_views(train: Dataset) -> dict[str, View]:
    """Return each modality over the labelled samples that have it, paired or not.

    Raises:
        DataError: a modality has fewer than two labelled samples, or does not vary.
    """
    return {name: _view(train, name, labelled_rows(train, name)) for name in train.modalities}


def labelled_rows(train: Dataset, modality: str) -> NDArray[np.intp]:
    """Return the rows of the labelled samples that have a modality.

    Raises:
        DataError: there are fewer than two.
    """
    rows = np.flatnonzero(train.columns[modality].present & train.labels.any(axis=1))
    if len(rows) < 2:
        raise DataError(
            f"{train.name!r} has too few labelled samples with the modality {modality!r}",
            expected="at least two",
            found=f"{len(rows)} of {len(train)}",
            advice="label more samples, or drop the column",
        )
    return rows


def features_at(train: Dataset, modality: str, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the features of some samples, (n, size) float64."""
    column = train.columns[modality]
    assert isinstance(column, Features)
    return column.values[rows].astype(np.float64)


def standardised(train: Dataset, modality: str, rows: NDArray[np.intp]) -> Standardised:
    """Return the features of some samples, each with mean 0 and variance 1 over them.

    Raises:
        DataError: no feature varies.
    """
    X = features_at(train, modality, rows)
    mean = X.mean(axis=0)
    spread = np.sqrt(np.square(X - mean).mean(axis=0))
    varies = spread > ROUNDING * np.sqrt(np.square(X).mean(axis=0))
    if not varies.any():
        raise _constant(modality, len(rows))
    weight = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
    return Standardised(mean, weight, (X - mean) * weight)


def shrunk(covariance: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return (1 - r) C + r t I with t the mean of C's diagonal: C shrunk towards a multiple of I.

    Args:
        covariance: (d, d) float64, C; or (d,), its diagonal where it has nothing else.
        share: r in [0, 1]; 0 leaves C as it is, 1 makes all directions alike.

    Example:
        >>> shrunk(np.array([3.0, 1.0]), 0.5)
        array([2.5, 1.5])
    """
    diagonal = covariance if covariance.ndim == 1 else covariance.diagonal()
    ridge = share * diagonal.mean()
    result: NDArray[np.float64] = (1 - share) * covariance
    result += ridge if covariance.ndim == 1 else ridge * np.eye(len(covariance))
    return result


def cholesky(scatter: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lower factor L of a scatter within classes, LL' = S.

    Args:
        scatter: (d, d) float64, S.

    Raises:
        SettingError: it is singular.
    """
    try:
        factor: NDArray[np.float64] = scipy.linalg.cholesky(scatter, lower=True)
    except scipy.linalg.LinAlgError as exc:
        raise SettingError(
            "the scatter within classes is singular",
            expected="more samples than features, or a regularisation above 0",
            found=f"{len(scatter)} directions, some without scatter, and no regularisation",
            advice="leave the option regularisation out to have it chosen on validation",
        ) from exc
    return factor


def stacked(
    views: Mapping[str, View], directions: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Divide directions over all coordinates, (sum of ranks, d), into those of each modality."""
    ends = np.cumsum([view.rank for view in views.values()])[:-1]
    return dict(zip(views, np.split(directions, ends), strict=True))


def _view(train: Dataset, modality: str, rows: NDArray[np.intp]) -> View:
    X = features_at(train, modality, rows)
    mean = X.mean(axis=0)
    norm = np.linalg.norm(X)
    U, S, Vt = scipy.linalg.svd(X - mean, full_matrices=False)
    kept = ROUNDING * norm < S
    if not kept.any():
        raise _constant(modality, len(rows))
    scale = np.linalg.norm(S[kept]) / np.sqrt(len(rows))
    return View(mean, Vt[kept].T / scale, U[:, kept] * (S[kept] / scale), train.labels[rows])


def _constant(modality: str, count: int) -> DataError:
    return DataError(
        f"the modality {modality!r} does not vary over the training samples",
        expected="features that tell samples apart",
        found=f"{count} equal rows",
        advice="check how they were extracted, or drop the column",
    )

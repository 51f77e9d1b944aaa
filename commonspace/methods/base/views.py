"""Principal coordinates of features, in which every eigenproblem of the closed forms is regular.

Collinear features, such as topic weights that sum to 1, leave directions without variance. They
are dropped here, so that no method divides by zero.
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
    "Standardized",
    "View",
    "cholesky",
    "features_at",
    "labeled_rows",
    "labeled_views",
    "paired_views",
    "shrink",
    "split_directions",
    "standardize_features",
]

ROUNDING = 32 * float(np.finfo(np.float32).eps)
"""Share of the norm of the features below which a singular value is rounding, not data.

Rounding to float32 moves the singular values of X by up to eps/2 ||X||_F (Weyl's inequality);
32 eps allows for features that were computed in float32, and not only stored in it.
"""


@dataclass(frozen=True)
class View:
    """One modality of n training samples in its principal coordinates.

    Z = (X - m) B has orthogonal columns, as many as the rank of X, whose variances sum to 1.

    Args:
        mean: (size,) float64, m.
        basis: (size, r) float64, B.
        values: (n, r) float64, Z.
        labels: (n, c) bool, classes of the samples.
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
        """(r,) float64, variance of each coordinate; their covariance is diagonal."""
        spread: NDArray[np.float64] = np.square(self.values).mean(axis=0)
        return spread

    def affine_map(
        self, directions: NDArray[np.float64], bias: NDArray[np.float64] | None = None
    ) -> AffineMap:
        """Return the map from features to W'Z + b.

        Args:
            directions: (r, d) float64, W in principal coordinates.
            bias: (d,) float64, b.
        """
        return AffineMap(self.mean, self.basis @ directions, bias)


@dataclass(frozen=True)
class Standardized:
    """One modality of n training samples, each feature with mean 0 and variance 1.

    Args:
        mean: (size,) float64.
        weight: (size,) float64, one over the standard deviation; 0 for a constant feature.
        values: (n, size) float64.
    """

    mean: NDArray[np.float64]
    weight: NDArray[np.float64]
    values: NDArray[np.float64]

    def affine_map(
        self, directions: NDArray[np.float64], bias: NDArray[np.float64] | None = None
    ) -> AffineMap:
        """Return the map from features to W'z + b.

        Args:
            directions: (size, d) float64, W for standardised features.
            bias: (d,) float64, b.
        """
        return AffineMap(self.mean, self.weight[:, None] * directions, bias)


def paired_views(train: Dataset, *, labeled: bool = False) -> dict[str, View]:
    """Return all modalities over the complete samples, those that have every modality.

    Args:
        train: The training split; its columns are features.
        labeled: Whether to leave out unlabeled samples.

    Returns:
        Modality -> view; row i of each belongs to the same sample.

    Raises:
        DataError: If fewer than two samples are complete, or a modality does not vary.
    """
    complete = np.column_stack([column.present for column in train.columns.values()]).all(axis=1)
    if labeled:
        complete &= train.labels.any(axis=1)
    rows = np.flatnonzero(complete)
    if len(rows) < 2:
        raise DataError(
            f"{train.name!r} has too few complete samples",
            expected="at least two that have every modality" + (" and a label" if labeled else ""),
            found=f"{len(rows)} of {len(train)}",
            advice="add pairs, or use a method that needs none, such as sm",
        )
    return {name: _view(train, name, rows) for name in train.modalities}


def labeled_views(train: Dataset) -> dict[str, View]:
    """Return each modality over the labeled samples that have it, paired or not.

    Raises:
        DataError: If a modality has fewer than two labeled samples, or does not vary.
    """
    return {name: _view(train, name, labeled_rows(train, name)) for name in train.modalities}


def labeled_rows(train: Dataset, modality: str) -> NDArray[np.intp]:
    """Return the rows of the labeled samples that have a modality.

    Raises:
        DataError: If there are fewer than two.
    """
    rows = np.flatnonzero(train.columns[modality].present & train.labels.any(axis=1))
    if len(rows) < 2:
        raise DataError(
            f"{train.name!r} has too few labeled samples with the modality {modality!r}",
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


def standardize_features(train: Dataset, modality: str, rows: NDArray[np.intp]) -> Standardized:
    """Return the features of some samples, each with mean 0 and variance 1 over them.

    Raises:
        DataError: If no feature varies.
    """
    X = features_at(train, modality, rows)
    mean = X.mean(axis=0)
    spread = np.sqrt(np.square(X - mean).mean(axis=0))
    varies = spread > ROUNDING * np.sqrt(np.square(X).mean(axis=0))
    if not varies.any():
        raise _constant(modality, len(rows))
    weight = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
    return Standardized(mean, weight, (X - mean) * weight)


def shrink(covariance: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return (1 - r) C + r t I, with t the mean of the diagonal of C.

    Args:
        covariance: (d, d) float64, C; or (d,), its diagonal if it is diagonal.
        share: r in [0, 1]; 0 leaves C unchanged, 1 makes all directions equal.

    Example:
        >>> shrink(np.array([3.0, 1.0]), 0.5)
        array([2.5, 1.5])
    """
    diagonal = covariance if covariance.ndim == 1 else covariance.diagonal()
    ridge = share * diagonal.mean()
    result: NDArray[np.float64] = (1 - share) * covariance
    result += ridge if covariance.ndim == 1 else ridge * np.eye(len(covariance))
    return result


def cholesky(scatter: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lower Cholesky factor L of a scatter within classes, LL' = S.

    Args:
        scatter: (d, d) float64, S.

    Raises:
        SettingError: If S is singular.
    """
    try:
        factor: NDArray[np.float64] = scipy.linalg.cholesky(scatter, lower=True)
    except scipy.linalg.LinAlgError as exc:
        raise SettingError(
            "the scatter within classes is singular",
            expected="more samples than features, or regularization > 0",
            found=f"{len(scatter)} directions, some without scatter, and no regularization",
            advice="omit `regularization` to choose it on validation",
        ) from exc
    return factor


def split_directions(
    views: Mapping[str, View], directions: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Split directions over all coordinates, (sum of ranks, d), into those of each modality."""
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
        expected="features that differ between samples",
        found=f"{count} equal rows",
        advice="check how they were extracted, or drop the column",
    )

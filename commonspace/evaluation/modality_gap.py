"""Modality gap: the distance between the centroids of two modalities in the common space."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.evaluation.arrays import Vectors, check_embeddings

__all__ = ["modality_gap"]


def modality_gap(first: ArrayLike, second: ArrayLike) -> float:
    r"""Return the distance between the centroids of two modalities on the unit sphere.

    .. math:: \left\| \frac{1}{n} \sum_i \frac{x_i}{\|x_i\|}
              - \frac{1}{m} \sum_j \frac{y_j}{\|y_j\|} \right\|

    (Liang et al.: Mind the Gap, NeurIPS 2022, section 4.2). 0 means that the centroids coincide, 2
    that each modality lies in one point, on opposite sides of the sphere.

    Args:
        first: (n, d) embeddings of one modality; they are L2-normalized here.
        second: (m, d) embeddings of the other.

    Raises:
        DataError: the embeddings are of a wrong form or not finite, or one of them is zero and
            has no direction.

    Example:
        >>> modality_gap([[2.0, 0.0]], [[-3.0, 0.0], [-1.0, 0.0]])
        2.0
    """
    x, y = check_embeddings(first, second, sides=("first", "second"))
    return float(np.linalg.norm(_centroid(x, "first") - _centroid(y, "second")))


def _centroid(vectors: Vectors, side: str) -> NDArray[np.float64]:
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    if not largest.all():
        raise DataError(
            f"one of the {side} embeddings has no direction",
            expected="no row of zeros",
            found=f"row {int(np.flatnonzero(largest == 0)[0])} is zero",
            advice="leave out the samples that lack the modality",
        )
    # Divided by the largest value first, squares can neither overflow nor vanish.
    scaled = vectors.astype(np.float64) / largest
    unit = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(unit.mean(axis=0))

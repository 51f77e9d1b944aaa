"""Conversion and validation of the arrays that callers pass: NumPy arrays, lists or tensors."""

import operator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError, SettingError

__all__ = ["Vectors", "as_array", "check_depth", "check_embeddings"]

Vectors: TypeAlias = NDArray[np.floating[Any]]
"""Validated embeddings: (n, d), float32 or float64, finite, not empty."""


def as_array(values: ArrayLike) -> NDArray[Any]:
    """Return ``values`` as an array; a tensor is detached and brought to the CPU first.

    Args:
        values: an array, nested lists, or a tensor on any device, of any shape and dtype.

    Returns:
        The same values; bfloat16, which NumPy lacks, becomes float32.

    Raises:
        DataError: rows of different lengths.

    Example:
        >>> as_array([[1, 2], [3, 4]]).shape
        (2, 2)
    """
    tensor: Any = values
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if "bfloat16" in str(tensor.dtype):
            tensor = tensor.float()
    try:
        return np.asarray(tensor)
    except ValueError as exc:
        raise DataError(
            "the rows have different lengths",
            expected="an array, with as many values in each row",
            found=str(exc).split(" The detected")[0],
            advice="check how the rows were put together",
        ) from exc


def check_embeddings(
    query: ArrayLike, gallery: ArrayLike, sides: tuple[str, str] = ("query", "gallery")
) -> tuple[Vectors, Vectors]:
    """Check query and gallery embeddings.

    Args:
        query: (n, d) real numbers.
        gallery: (m, d) real numbers.
        sides: their names in messages.

    Returns:
        Both, as float32 if they are float32 or float16, otherwise as float64.

    Raises:
        DataError: not two-dimensional, empty, not real numbers, NaN or infinite, or of
            different sizes.
    """
    vectors = _vectors(query, sides[0]), _vectors(gallery, sides[1])
    sizes = [side.shape[1] for side in vectors]
    if sizes[0] != sizes[1]:
        raise DataError(
            f"{sides[0]} and {sides[1]} embeddings have different sizes",
            expected=f"{sides[1]} vectors of {sizes[0]} values, as in {sides[0]}",
            found=f"{sizes[1]}",
            advice="embed both with the same model",
        )
    return vectors


def check_depth(k: int | None, gallery: int) -> int:
    """Return the number of ranks that count: ``k``, or all for None, 0 and k beyond the gallery.

    Args:
        k: the number of first ranks, 0 or None for the whole ranking.
        gallery: m, the number of gallery items.

    Raises:
        SettingError: ``k`` is negative or not a whole number.

    Example:
        >>> check_depth(50, 693), check_depth(0, 693), check_depth(1000, 693)
        (50, 693, 693)
    """
    if k is None:
        return gallery
    try:
        depth = -1 if isinstance(k, bool | np.bool_) else operator.index(k)
    except TypeError:
        depth = -1
    if depth < 0:
        raise SettingError(
            f"`k` must be a whole number >= 0, got {k!r}",
            expected="a whole number from 1, or 0 or None for the whole ranking",
            found=repr(k),
            advice="leave k out to use the whole ranking",
        )
    return min(depth, gallery) if depth else gallery


def _vectors(values: ArrayLike, side: str) -> Vectors:
    raw = as_array(values)
    if raw.ndim != 2 or 0 in raw.shape or raw.dtype.kind not in "fiub":
        raise DataError(
            f"the {side} embeddings have the wrong form",
            expected="real numbers of shape (items, size), at least one of each",
            found=f"{raw.dtype} of shape {raw.shape}",
            advice="give one row for each item",
        )
    small = raw.dtype.kind == "f" and raw.dtype.itemsize <= 4
    vectors: Vectors = np.asarray(raw, dtype=np.float32 if small else np.float64)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        column = int(np.flatnonzero(~np.isfinite(vectors[row]))[0])
        raise DataError(
            f"the {side} embeddings hold values that are not finite",
            expected="finite numbers",
            found=f"{vectors[row, column]} in row {row}, column {column};"
            f" rows affected: {int((~finite).sum())} of {len(vectors)}",
            advice="check the model and the features: such values cannot be ranked",
        )
    return vectors

"""Relevance of gallery items to queries: by shared classes or by exact pairs.

It is computed for blocks of queries, so that no (n, m) matrix is held in memory.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.evaluation.arrays import as_array

__all__ = [
    "Relevance",
    "SameKey",
    "SharedClasses",
    "chance_level",
    "check_labels",
    "class_relevance",
    "pair_relevance",
]


class Relevance(Protocol):
    """The grade of every gallery item for every query; 0 is not relevant."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries and gallery items."""

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(n,) bool: which queries have a label, and so count."""

    @property
    def highest(self) -> int:
        """The highest grade that can occur, at least 1."""

    def grades(self, queries: NDArray[np.intp]) -> NDArray[np.integer]:
        """Return the (b, m) grades of all gallery items for b labeled queries."""


NO_CLASS = -1
"""The class number of an item without a label, as in data sets."""


@dataclass(frozen=True, eq=False)
class SameKey:
    """Grade 1 where query and gallery item have the same key: one class each, or one pair.

    Args:
        query: (n,) int, at least 0, or -1 where the query has no key.
        gallery: (m,) int, at least 0, or -1 where the item has no key and is never relevant.
    """

    query: NDArray[np.intp]
    gallery: NDArray[np.intp]
    highest: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries and gallery items."""
        return len(self.query), len(self.gallery)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(n,) bool: the queries that have a key."""
        return self.query >= 0

    def grades(self, queries: NDArray[np.intp]) -> NDArray[np.integer]:
        """Return (b, m) uint8, 0 or 1."""
        query, gallery = self._small
        same: NDArray[np.bool_] = query[queries][:, None] == gallery
        return same.view(np.uint8)

    @cached_property
    def _small(self) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """The keys in the smallest type that holds them, which is compared fastest."""
        highest = max(self.query.max(initial=0), self.gallery.max(initial=0))
        kind = np.promote_types(np.min_scalar_type(highest), np.int8)
        return self.query.astype(kind), self.gallery.astype(kind)


@dataclass(frozen=True, eq=False)
class SharedClasses:
    """The number of classes that query and gallery item share, up to ``highest``.

    Args:
        query: (n, c) bool, the classes of each query.
        gallery: (m, c) bool, the classes of each gallery item.
        highest: 1 for "shares a class or not"; c to count the shared classes.
    """

    query: NDArray[np.bool_]
    gallery: NDArray[np.bool_]
    highest: int

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m): queries and gallery items."""
        return len(self.query), len(self.gallery)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(n,) bool: the queries that have a class."""
        return np.asarray(self.query.any(axis=1))

    def grades(self, queries: NDArray[np.intp]) -> NDArray[np.integer]:
        """Return (b, m) uint16, from 0 to ``highest``."""
        shared: NDArray[np.float32] = self.query[queries].astype(np.float32) @ self._marks.T
        return np.minimum(shared, self.highest, out=shared).astype(np.uint16)

    @cached_property
    def _marks(self) -> NDArray[np.float32]:
        # Counts below 2 ** 24 are exact in float32, whose products are far faster than of ints.
        return self.gallery.astype(np.float32)


def class_relevance(
    query_labels: ArrayLike, gallery_labels: ArrayLike, *, graded: bool = False
) -> Relevance:
    """Return relevance by class: an item is relevant if it shares at least one class.

    Args:
        query_labels: (n,) ints or strings, one class each, -1 where it has no label; or (n, c)
            bool, True for each class of the query.
        gallery_labels: (m,) or (m, c), in the same form.
        graded: grade by the number of shared classes instead of 0 or 1.

    Raises:
        DataError: the two sides are in different forms or hold values that are no labels.
    """
    query, gallery = check_labels(query_labels, "query"), check_labels(gallery_labels, "gallery")
    if query.ndim != gallery.ndim or query.shape[1:] != gallery.shape[1:]:
        raise DataError(
            "query labels and gallery labels are in different forms",
            expected=f"gallery labels of shape {('m', *query.shape[1:])}, as the query labels",
            found=f"{gallery.dtype} of shape {gallery.shape}".replace("'", ""),
            advice="give both as one class each, or both as marks of the same classes",
        )
    if query.ndim == 1:
        return _same_key(query, gallery, "labels", none=NO_CLASS)
    if max(query.sum(axis=1).max(initial=0), gallery.sum(axis=1).max(initial=0)) <= 1:
        return SameKey(_only_class(query), _only_class(gallery))
    return SharedClasses(query, gallery, highest=query.shape[1] if graded else 1)


def chance_level(query_labels: NDArray[np.bool_], gallery_labels: NDArray[np.bool_]) -> float:
    """Return the share of the gallery that is relevant to a query, averaged over the queries.

    It is slightly below the mAP of a random order.

    Args:
        query_labels: (n, c) bool; those without a label are left out.
        gallery_labels: (m, c) bool.

    Example:
        >>> marks = np.eye(4, dtype=bool)
        >>> chance_level(marks, marks)
        0.25
    """
    relevance = class_relevance(query_labels, gallery_labels)
    queries = np.flatnonzero(relevance.judged)
    blocks = np.array_split(queries, max(1, len(queries) // 256))
    relevant = sum(int(np.count_nonzero(relevance.grades(block))) for block in blocks)
    return relevant / (max(1, len(queries)) * len(gallery_labels))


def pair_relevance(query_pair: ArrayLike, gallery_pair: ArrayLike) -> Relevance:
    """Return the relevance that pairs define: relevant is what carries the query's own key.

    Args:
        query_pair: (n,) ints or strings, the key of the pair each query belongs to.
        gallery_pair: (m,) the same of the gallery; several items may carry one key, as the five
            captions of one image do.

    Raises:
        DataError: the keys are not one for each item, or ints on one side and strings on the other.
    """
    query, gallery = check_labels(query_pair, "query"), check_labels(gallery_pair, "gallery")
    for keys in (query, gallery):
        if keys.ndim != 1:
            raise DataError(
                "pair keys have the wrong form",
                expected="one key for each item, as ints or strings",
                found=f"an array of shape {keys.shape}",
                advice="give the ids of the samples, not their classes",
            )
    return _same_key(query, gallery, "pair keys")


def check_labels(values: ArrayLike, side: str) -> NDArray[Any]:
    """Check the labels of one side.

    Args:
        values: (n,) whole numbers or strings, or (n, c) of True and False, 1 and 0.
        side: what to call it in a message.

    Returns:
        (n,) ints or strings, or (n, c) bool.

    Raises:
        DataError: anything else.
    """
    raw = as_array(values)
    if raw.dtype.kind == "O" and all(isinstance(value, str) for value in raw.ravel()):
        raw = raw.astype(np.str_)
    whole = raw.dtype.kind in "biu" or (
        raw.dtype.kind == "f" and bool((np.isfinite(raw) & (np.floor(raw) == raw)).all())
    )
    if raw.ndim == 1 and (whole or raw.dtype.kind == "U"):
        return raw.astype(np.int64) if raw.dtype.kind == "f" else raw
    if raw.ndim == 2 and whole and bool(((raw == 0) | (raw == 1)).all()):
        return raw.astype(np.bool_)
    raise DataError(
        f"the {side} labels have the wrong form",
        expected="(items,) ints or strings, or (items, classes) of True and False",
        found=f"{raw.dtype} of shape {raw.shape}"
        + (" with values that are not whole numbers" if raw.dtype.kind == "f" else ""),
        advice="ravel a single column of class numbers; mark an item without a label by -1, or by"
        " an empty row of the second form",
    )


def _same_key(
    query: NDArray[Any], gallery: NDArray[Any], what: str, none: int | None = None
) -> SameKey:
    if (query.dtype.kind == "U") != (gallery.dtype.kind == "U"):
        raise DataError(
            f"the {what} of query and gallery cannot be compared",
            expected="numbers on both sides, or strings on both sides",
            found=f"{query.dtype} and {gallery.dtype}",
            advice="name the classes in one way on both sides",
        )
    keys = np.concatenate([query, gallery])
    codes = np.unique(keys, return_inverse=True)[1]
    if none is not None and keys.dtype.kind != "U":
        codes[keys == none] = -1
    return SameKey(codes[: len(query)], codes[len(query) :])


def _only_class(marks: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the class of each row of (n, c), or -1 where it has none."""
    return np.where(marks.any(axis=1), marks.argmax(axis=1), -1)

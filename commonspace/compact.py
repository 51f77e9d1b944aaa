"""Vectors in few bytes: half precision, one byte a number, or one byte for several numbers.

Arrays in, codes out, and arrays back. It knows nothing of spaces or of indexes. Scores keep their
meaning best where only the items are coded, and queries are asked with as they are.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError, SettingError

__all__ = ["BytePerNumber", "Coder", "HalfPrecision", "ProductQuantiser"]

CENTRES = 256
ROUNDS = 12
"""Of k-means, after which little changes."""
TAUGHT = 20_000
"""Vectors that k-means learns from, at most."""


class Coder(Protocol):
    """Turns vectors into codes and back."""

    @property
    def bytes_per_vector(self) -> int:
        """What one vector takes."""

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.generic]:
        """Return the codes of (n, d) vectors, n rows of ``bytes_per_vector`` bytes."""

    def decode(self, codes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return (n, d) vectors that are near the ones that were encoded."""


@dataclass(frozen=True)
class HalfPrecision:
    """Two bytes a number: IEEE 754 binary16, eleven significant bits.

    Args:
        dimension: d.

    Example:
        >>> coder = HalfPrecision(3)
        >>> coder.decode(coder.encode(np.float32([[0.1, 0.5, 1.0]])))
        array([[0.09997559, 0.5       , 1.        ]], dtype=float32)
    """

    dimension: int

    @property
    def bytes_per_vector(self) -> int:
        """Two for each number."""
        return 2 * self.dimension

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.float16]:
        """Return (n, d) float16."""
        return _checked(vectors, self.dimension).astype(np.float16)

    def decode(self, codes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return (n, d) float32."""
        return codes.astype(np.float32)


@dataclass(frozen=True)
class BytePerNumber:
    """One byte a number, finer near 0, where most of the numbers of posteriors lie.

        code = round(127 sign(x) sqrt(|x| / s_j)),    x = sign(code) s_j (code / 127)^2

    with s_j the largest |x| of coordinate j among the vectors that it was fitted on; larger ones
    are cut off.

    Args:
        scales: (d,) float32, s.

    Example:
        >>> coder = BytePerNumber.fit(np.float32([[1.0, -0.2], [0.01, 0.1]]))
        >>> coder.decode(coder.encode(np.float32([[0.01, -0.2]]))).round(3)
        array([[ 0.01, -0.2 ]], dtype=float32)
    """

    scales: NDArray[np.float32]

    @classmethod
    def fit(cls, vectors: NDArray[np.float32]) -> "BytePerNumber":
        """Take the scales from (n, d) vectors.

        Raises:
            DataError: there are none.
        """
        largest = np.abs(_some(vectors)).max(axis=0)
        return cls(np.where(largest > 0, largest, 1).astype(np.float32))

    @property
    def bytes_per_vector(self) -> int:
        """One for each number."""
        return len(self.scales)

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.int8]:
        """Return (n, d) int8."""
        x = np.clip(_checked(vectors, len(self.scales)) / self.scales, -1, 1)
        codes: NDArray[np.int8] = np.rint(127 * np.sign(x) * np.sqrt(np.abs(x))).astype(np.int8)
        return codes

    def decode(self, codes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return (n, d) float32."""
        share = codes.astype(np.float32) / 127
        found: NDArray[np.float32] = np.sign(share) * np.square(share) * self.scales
        return found


@dataclass(frozen=True)
class ProductQuantiser:
    """One byte for each part of a vector: the nearest of 256 centres of that part.

    Source: Jegou, Douze, Schmid: Product quantization for nearest neighbor search, IEEE
    Transactions on Pattern Analysis and Machine Intelligence 33, 2011. Centres are found by
    k-means, from a seeded draw of the vectors.

    Args:
        centres: for each part (256, size of the part) float32; sizes differ by one at most.
    """

    centres: tuple[NDArray[np.float32], ...]

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], parts: int, *, seed: int = 0) -> "ProductQuantiser":
        """Find the centres on (n, d) vectors, such as those of the training part.

        Args:
            vectors: (n, d); with fewer than 256, each is a centre.
            parts: how many, from 1 to d, which is the number of bytes.
            seed: of the draw.

        Raises:
            SettingError: there cannot be as many parts.
            DataError: there are no vectors.
        """
        given = _some(vectors)
        if not 1 <= parts <= given.shape[1]:
            raise SettingError(
                "vectors cannot be divided into as many parts",
                expected=f"from 1 to {given.shape[1]}, the length of a vector",
                found=repr(parts),
                advice="take half the length, two numbers to a byte",
            )
        draw = np.random.default_rng(seed)
        some = given[draw.permutation(len(given))[:TAUGHT]]
        return cls(tuple(_centres(part) for part in np.array_split(some, parts, axis=1)))

    @property
    def bytes_per_vector(self) -> int:
        """One for each part."""
        return len(self.centres)

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return (n, parts) uint8."""
        sizes = [one.shape[1] for one in self.centres]
        given = _checked(vectors, sum(sizes))
        parts = np.split(given, np.cumsum(sizes)[:-1], axis=1)
        nearest = [_nearest(part, one) for part, one in zip(parts, self.centres, strict=True)]
        return np.stack(nearest, axis=1).astype(np.uint8)

    def decode(self, codes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return (n, d) float32, each part at its centre."""
        columns = codes.astype(np.intp).T
        parts = [one[column] for one, column in zip(self.centres, columns, strict=True)]
        return np.concatenate(parts, axis=1)


def _centres(part: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the centres of k-means; one that lost all its points goes to the worst served."""
    centres = part[:CENTRES].copy()
    for _ in range(ROUNDS):
        nearest = _nearest(part, centres)
        count = np.bincount(nearest, minlength=len(centres))
        sums = np.stack(
            [np.bincount(nearest, column, minlength=len(centres)) for column in part.T], axis=1
        )
        filled = count > 0
        centres[filled] = sums[filled] / count[filled, None]
        empty = np.flatnonzero(~filled)
        if len(empty):
            distances = np.square(part - centres[nearest]).sum(axis=1)
            centres[empty] = part[np.argsort(-distances, kind="stable")[: len(empty)]]
    return centres


def _nearest(part: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    found: NDArray[np.intp] = np.argmin(
        np.square(centres).sum(axis=1) - 2 * part @ centres.T, axis=1
    )
    return found


def _some(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    given = np.asarray(vectors, dtype=np.float32)
    if given.ndim != 2 or not len(given):
        raise DataError(
            "a code cannot be fitted on these vectors",
            expected="(n, d), at least one",
            found=f"{given.shape}",
            advice="embed the training part and fit the code on that",
        )
    return given


def _checked(vectors: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    given = np.asarray(vectors, dtype=np.float32)
    if given.ndim != 2 or given.shape[1] != dimension:
        raise DataError(
            "these vectors are not of the size of the code",
            expected=f"(n, {dimension})",
            found=f"{given.shape}",
            advice="encode vectors of the space that the code was fitted on",
        )
    return given

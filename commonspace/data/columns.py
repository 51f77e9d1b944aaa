"""Columns of a data set: feature vectors, images or texts; one entry for each sample, or a gap.

Columns store the raw input. Images stay paths until they are decoded, so that a large folder takes
no memory.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.data.row_blocks import row_blocks, taken, to_rows
from commonspace.errors import DataError

__all__ = ["Column", "Features", "Hash", "Images", "Texts"]


class Hash(Protocol):
    """An object of hashlib."""

    def update(self, data: bytes, /) -> None:
        """Hash more bytes."""


class Column(Protocol):
    """One modality of a data set: n entries, each present or missing."""

    @property
    def kind(self) -> str:
        """One of "features", "images", "texts"."""

    @property
    def present(self) -> NDArray[np.bool_]:
        """(n,) bool: which samples have this modality."""

    def __len__(self) -> int:
        """Return n."""

    def take(self, rows: NDArray[np.intp]) -> "Column":
        """Return the entries at ``rows``, in that order."""

    def digest(self, into: Hash) -> None:
        """Feed the content, in order, to a hash."""


class Features:
    """Feature vectors, ready for a network.

    Args:
        values: (n, d) real numbers, stored as float32, large ones of another type in a temporary
            file. The rows of missing entries are ignored.
        present: (n,) bool (default: all).

    Raises:
        DataError: not two-dimensional, not numbers, or a present value is NaN or infinite.
    """

    kind = "features"

    def __init__(self, values: ArrayLike, present: ArrayLike | None = None) -> None:
        """Check the values and store them as contiguous float32."""
        raw = np.asarray(values)
        if raw.ndim != 2 or raw.shape[1] == 0 or raw.dtype.kind not in "fiub":
            raise DataError(
                "features have the wrong form",
                expected="a two-dimensional array of real numbers, (samples, size)",
                found=f"{raw.dtype} of shape {raw.shape}",
                advice="give one row for each sample",
            )
        self.present: NDArray[np.bool_] = (
            np.ones(len(raw), dtype=bool) if present is None else np.asarray(present, dtype=bool)
        )
        if self.present.shape != (len(raw),):
            raise DataError(
                "the mask of present features does not match its rows",
                expected=f"({len(raw)},)",
                found=f"{self.present.shape}",
                advice="give one bool for each row",
            )
        with np.errstate(
            over="ignore"
        ):  # too large for float32 becomes infinite and is refused below
            ready = raw.dtype == np.float32 and raw.flags.c_contiguous
            self.values: NDArray[np.float32] = raw if ready else to_rows(raw)
        finite = ~self.present
        for rows in row_blocks(self.values):
            finite[rows] |= np.isfinite(self.values[rows]).all(axis=1)
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            column = int(np.flatnonzero(~np.isfinite(self.values[row]))[0])
            raise DataError(
                "features hold values that are not finite",
                expected="finite float32 numbers",
                found=f"{raw[row, column]} in row {row}, column {column};"
                f" rows affected: {int((~finite).sum())} of {len(raw)}",
                advice="repair or drop these rows, or mark them as missing",
            )

    def __len__(self) -> int:
        """Return n."""
        return len(self.values)

    def __repr__(self) -> str:
        """Return kind and size."""
        return f"{self.size}-d features"

    @property
    def size(self) -> int:
        """d, the length of one vector."""
        return int(self.values.shape[1])

    def take(self, rows: NDArray[np.intp]) -> "Features":
        """Return the entries at ``rows``, in that order; a view where they follow one another."""
        found = object.__new__(Features)  # the values are checked already
        found.values = taken(self.values, rows)
        found.present = self.present[rows]
        return found

    def digest(self, into: Hash) -> None:
        """Feed shape, mask and values to a hash; the rows of missing entries count as zero."""
        into.update(f"features {self.values.shape}".encode())
        into.update(np.packbits(self.present).tobytes())
        for rows in row_blocks(self.values):
            shown = self.present[rows, None]
            into.update(np.where(shown, self.values[rows], np.float32(0)).tobytes())


class Images:
    """Pictures: paths of image files, or uint8 RGB arrays already in memory.

    Args:
        items: n entries, each a path, an (h, w, 3) uint8 array, or None where there is no image.

    Raises:
        DataError: an array of another form.
    """

    kind = "images"

    def __init__(self, items: Sequence[Path | NDArray[np.uint8] | None]) -> None:
        """Check the form of the arrays; paths are opened only when they are decoded."""
        self.items = tuple(items)
        for row, item in enumerate(self.items):
            if isinstance(item, np.ndarray) and (
                item.ndim != 3 or item.shape[2] != 3 or item.dtype != np.uint8 or item.size == 0
            ):
                raise DataError(
                    f"the image in row {row} has the wrong form",
                    expected="uint8 of shape (height, width, 3), RGB",
                    found=f"{item.dtype} of shape {item.shape}",
                    advice="convert it to 8-bit RGB",
                )

    def __len__(self) -> int:
        """Return n."""
        return len(self.items)

    def __repr__(self) -> str:
        """Return the kind."""
        return "images"

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """(n,) bool: which samples have an image."""
        return np.array([item is not None for item in self.items], dtype=bool)

    def take(self, rows: NDArray[np.intp]) -> "Images":
        """Return the entries at ``rows``, in that order."""
        return Images([self.items[int(row)] for row in rows])

    def digest(self, into: Hash) -> None:
        """Feed the pixels of arrays, and the bytes of files, to a hash."""
        into.update(f"images {len(self.items)}".encode())
        for item in self.items:
            if item is None:
                into.update(b"none")
            elif isinstance(item, np.ndarray):
                into.update(str(item.shape).encode() + item.tobytes())
            else:
                content = item.read_bytes()
                into.update(len(content).to_bytes(8, "little") + content)


class Texts:
    """Texts: for each sample the captions, sentences or descriptions that it has.

    Args:
        items: n tuples of strings; an empty tuple where there is no text.

    Raises:
        DataError: an entry is not a tuple of strings.
    """

    kind = "texts"

    def __init__(self, items: Sequence[tuple[str, ...]]) -> None:
        """Check that every entry is a tuple of strings."""
        self.items = tuple(items)
        for row, texts in enumerate(self.items):
            if not isinstance(texts, tuple) or not all(isinstance(text, str) for text in texts):
                raise DataError(
                    f"the text in row {row} has the wrong form",
                    expected="a tuple of strings",
                    found=repr(texts)[:60],
                    advice='write ("one text",) for a single text and () for none',
                )

    def __len__(self) -> int:
        """Return n."""
        return len(self.items)

    def __repr__(self) -> str:
        """Return the kind."""
        return "texts"

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """(n,) bool: which samples have at least one text."""
        return np.array([bool(texts) for texts in self.items], dtype=bool)

    def take(self, rows: NDArray[np.intp]) -> "Texts":
        """Return the entries at ``rows``, in that order."""
        return Texts([self.items[int(row)] for row in rows])

    def digest(self, into: Hash) -> None:
        """Feed the texts to a hash."""
        into.update(f"texts {len(self.items)}".encode())
        for texts in self.items:
            into.update(len(texts).to_bytes(8, "little"))
            for text in texts:
                encoded = text.encode(errors="surrogatepass")
                into.update(len(encoded).to_bytes(8, "little") + encoded)

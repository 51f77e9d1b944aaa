"""What the store keeps of one sample, and what it gives back. Knows no database and no space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import StoreError

__all__ = ["FLOAT32", "Entry", "NewItem", "Source", "Vectors"]

FLOAT32 = np.dtype("<f4")
"""How the numbers of a vector lie in the store."""


@dataclass(frozen=True)
class Source:
    """What one modality of an item was embedded from, kept to embed it again."""

    form: str
    """What ``raw`` is: "texts", "photo" (a path) or "pixels"; "" where there are features alone."""
    raw: str | bytes | None
    """Texts as a JSON list; the path of a picture; or its pixels, compressed."""
    features: bytes | None
    """(d,) float32, little endian, where the space reads features."""
    digest: bytes
    """32 bytes: equal where the content is."""


@dataclass(frozen=True)
class Entry:
    """One modality of an item: its source and its vector."""

    source: Source
    vector: bytes
    """(d,) float32, little endian."""


@dataclass(frozen=True)
class NewItem:
    """One sample, as it goes into the store."""

    id: str
    split: str
    labels: tuple[str, ...]
    fields: Mapping[str, Any]
    """Values fit for JSON; None where it has none."""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    """Modality -> entry."""


@dataclass(frozen=True)
class Vectors:
    """Vectors of one modality, in the order of their entries."""

    entries: NDArray[np.int64]
    """(n,), ascending."""
    items: NDArray[np.int64]
    """(n,): to which item each belongs."""
    values: NDArray[np.float32]
    """(n, d)."""

    @classmethod
    def of_rows(cls, rows: Sequence[tuple[int, int, bytes]], dimension: int, store: Path) -> Self:
        """Return vectors as the store gives them: (entry, item, bytes) of each, at least one.

        Args:
            rows: in the order of their entries.
            dimension: d.
            store: its path, for the message.

        Raises:
            StoreError: a vector is not of d numbers.
        """
        entries, items, blobs = zip(*rows, strict=True)
        length = dimension * FLOAT32.itemsize
        wrong = next((at for at, blob in enumerate(blobs) if len(blob) != length), None)
        if wrong is not None:
            raise StoreError(
                f"{store} holds a vector of a wrong length",
                expected=f"{length} bytes",
                found=f"{len(blobs[wrong])} bytes in entry {entries[wrong]}",
                advice="restore the folder from a copy, or make the index again",
            )
        values = np.frombuffer(b"".join(blobs), FLOAT32).reshape(len(blobs), dimension)
        return cls(
            np.array(entries, dtype=np.int64),
            np.array(items, dtype=np.int64),
            values.astype(np.float32, copy=False),
        )

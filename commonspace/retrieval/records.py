"""What the store keeps of one sample, and what it gives back. Knows no database and no space."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entry", "Item", "Kept", "Source", "Vectors"]


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
class Item:
    """One sample, as it goes into the store."""

    id: str
    split: str
    labels: tuple[str, ...]
    fields: Mapping[str, Any]
    """Values fit for JSON; None where it has none."""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    """Modality -> entry."""


@dataclass(frozen=True)
class Kept:
    """One sample, as it comes out of the store."""

    id: str
    split: str
    labels: tuple[str, ...]
    fields: Mapping[str, Any]
    """Those that it has."""
    texts: tuple[str, ...] = ()
    photo: str | None = None
    pictured: bool = False
    """Whether there is a picture: a file, or pixels that are kept here."""


@dataclass(frozen=True)
class Vectors:
    """Vectors of one modality, in the order of their entries."""

    entries: NDArray[np.int64]
    """(n,), ascending."""
    items: NDArray[np.int64]
    """(n,): to which item each belongs."""
    values: NDArray[np.float32]
    """(n, d)."""

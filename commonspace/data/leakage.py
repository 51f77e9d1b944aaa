"""Leakage between splits: samples of validation or test whose content is also in training."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.content import image_hash
from commonspace.data.dataset import Dataset
from commonspace.data.images import decode_image
from commonspace.errors import DataError
from commonspace.extras import optional

__all__ = ["Overlap", "find_leakage", "find_near_duplicates", "find_overlap"]

_NEAR = 4  # bits of 64 in which the perceptual hashes of near-duplicates differ at most
_COINCIDENCE = 0.01
_TRIVIAL = 4  # texts of fewer characters say nothing when they are equal


@dataclass(frozen=True)
class Overlap:
    """Samples of one split whose content is in the training samples.

    Args:
        split: the split.
        samples: how many samples it has.
        modalities: the modalities that are equal.
        count: how many samples of the split have these modalities of a training sample.
        example: the id of such a sample, and that of the training sample.
        words: the modalities in words, such as "photo and text".
        near: near-duplicates instead of equal content.
    """

    split: str
    samples: int
    modalities: tuple[str, ...]
    count: int
    example: tuple[str, str]
    words: str
    near: bool = False

    def __str__(self) -> str:
        some, like = self.example
        verb = "has" if self.count == 1 else "have"
        what = f"a near-duplicate of the {self.words}" if self.near else f"the {self.words}"
        return (
            f"{self.count} of the {self.samples} {self.split} samples {verb} {what} of a training"
            f" sample, for example {some!r} of {like!r}"
        )


def find_leakage(dataset: Dataset) -> list[Overlap]:
    """Compare validation and test with train.

    Args:
        dataset: with its splits.

    Returns:
        One overlap for each split and each set of equal modalities, the largest sets first. Equal
        texts alone are reported from 1 % of a split: short captions coincide.
    """
    train = dataset.take(dataset.splits == "train") if "train" in dataset.splits else None
    return [
        overlap
        for split in ("validation", "test")
        if train is not None and split in dataset.splits
        for overlap in find_overlap(train, dataset.take(dataset.splits == split), split)
        if overlap.words != "text" or overlap.count >= _COINCIDENCE * overlap.samples
    ]


def find_overlap(train: Dataset, others: Dataset, split: str = "test") -> list[Overlap]:
    """Compare samples with training samples, modality by modality, by their content.

    Args:
        train: the training samples, perhaps of another data set.
        others: the samples of one split.
        split: what to call it.

    Returns:
        One overlap for each set of equal modalities, the largest sets first.
    """
    shared = [name for name in others.columns if name in train.columns]
    hashes = {name: _hashes(others.columns[name]) for name in shared}
    known = {name: _first_rows(_hashes(train.columns[name])) for name in shared}
    groups: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    for row in range(len(others)):
        equal = {name: known[name].get(hashes[name][row]) for name in shared}
        names = tuple(name for name, place in equal.items() if place is not None)
        if names:
            place = equal[names[0]]
            assert place is not None
            groups.setdefault(names, []).append((row, place))
    return [
        Overlap(
            split=split,
            samples=len(others),
            modalities=names,
            count=len(rows),
            example=(others.ids[rows[0][0]], train.ids[rows[0][1]]),
            words=_in_words(names, others.columns),
        )
        for names, rows in sorted(groups.items(), key=lambda item: (-len(item[0]), item[0]))
    ]


def find_near_duplicates(dataset: Dataset) -> list[Overlap]:
    """Compare the photos of validation and test with those of train by a perceptual hash.

    Args:
        dataset: with its splits; columns that are not images are ignored.

    Raises:
        MissingExtraError: the package ImageHash is not installed.
    """
    found = []
    for name, column in dataset.columns.items():
        if not isinstance(column, Images):
            continue
        hashes, known = _perceptual_hashes(column)
        train = np.flatnonzero((dataset.splits == "train") & known)
        for split in ("validation", "test"):
            rows = np.flatnonzero((dataset.splits == split) & known)
            near = [
                (row, match) for row in rows if (match := _nearest(hashes, int(row), train)) >= 0
            ]
            if near:
                example = (dataset.ids[int(near[0][0])], dataset.ids[int(near[0][1])])
                count = int((dataset.splits == split).sum())
                words = _in_words((name,), dataset.columns)
                found.append(Overlap(split, count, (name,), len(near), example, words, near=True))
    return found


def _in_words(names: Sequence[str], columns: Any) -> str:  # noqa: ANN401, a mapping of columns
    words = []
    for name in names:
        column = columns[name]
        images = isinstance(column, Images)
        kind = "photo" if images else "text" if isinstance(column, Texts) else f"{name!r} features"
        words.append(kind)
    return ", ".join(words[:-1]) + " and " * (len(words) > 1) + words[-1]


def _hashes(column: Column) -> list[bytes | None]:
    """Return a hash of the content of each entry; None where there is none."""
    if isinstance(column, Features):
        rows = np.where(column.values == 0, np.float32(0), column.values)  # -0 is 0
        usual = column.present & (column.values != 0).any(axis=1)
        return [
            sha256(row.tobytes()).digest() if here else None
            for row, here in zip(rows, usual, strict=True)
        ]
    if isinstance(column, Texts):
        return [
            sha256("\0".join(sorted(t.strip() for t in texts)).encode(errors="replace")).digest()
            if sum(map(len, texts)) >= _TRIVIAL
            else None
            for texts in column.items
        ]
    assert isinstance(column, Images)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(image_hash, column.items))


def _first_rows(hashes: Sequence[bytes | None]) -> dict[bytes | None, int]:
    rows: dict[bytes | None, int] = {}
    for row, content in enumerate(hashes):
        if content is not None:
            rows.setdefault(content, row)
    return rows


def _perceptual_hashes(column: Images) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return (n,) hashes of 64 bits, and (n,) bool: which images could be read."""
    imagehash = optional("imagehash", "the search for near-duplicates", "data")
    from PIL import Image

    def perceptual_hash(item: Path | NDArray[np.uint8] | None) -> int:
        if item is None:
            return -1
        try:
            picture = Image.fromarray(decode_image(item))
        except DataError:
            return -1
        return int(str(imagehash.phash(picture)), 16)

    with ThreadPoolExecutor() as pool:
        values = list(pool.map(perceptual_hash, column.items))
    known = np.array([value >= 0 for value in values], dtype=bool)
    return np.array([max(value, 0) for value in values], dtype=np.uint64), known


def _nearest(hashes: NDArray[np.uint64], row: int, train: NDArray[np.intp]) -> int:
    """Return the training row whose hash is nearest, -1 where none is near."""
    if not len(train):
        return -1
    bits = np.bitwise_count(hashes[train] ^ hashes[row])
    best = int(np.argmin(bits))
    return int(train[best]) if bits[best] <= _NEAR else -1

"""Protocols of harder settings: unseen classes, wrong labels, imbalance, missing pairs or items.

Each changes a data set, deterministically by a seed; methods are then compared on it as on any
other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from commonspace.data import Dataset, Features, Images, Texts
from commonspace.data.columns import Column
from commonspace.errors import DataError, SettingError

__all__ = ["DATA_PROTOCOLS", "DataProtocol"]


@dataclass(frozen=True)
class DataProtocol:
    """A harder setting of a data set, drawn by a seed.

    Args:
        name: a key of ``DATA_PROTOCOLS``:
            "unseen-classes": a share of the classes occurs in test only, and test has no other;
            "noise": a share of the labeled samples of train and validation has a wrong class;
            "imbalance": the sizes of the classes in train fall geometrically to this share;
            "unpaired": a share of the samples of train becomes one sample for each modality;
            "missing-modality": a share of the samples of train and validation lacks a modality.
        share: from 0 to 1; None: the default of the protocol.
        seed: of the draw.

    Raises:
        SettingError: the name is unknown, or the share is out of range.

    Example:
        >>> from commonspace.data import Dataset
        >>> data = Dataset.from_arrays(image=np.eye(20), text=np.eye(20), labels=np.arange(20) % 2)
        >>> noisy = DataProtocol("noise", 0.5).apply(data)
        >>> int((noisy.labels != data.labels).any(axis=1).sum()), len(data.split("test"))
        (8, 4)
    """

    name: str
    share: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in DATA_PROTOCOLS:
            raise SettingError(
                f"unknown protocol {self.name!r}",
                expected=f"one of {', '.join(DATA_PROTOCOLS)}",
                found=repr(self.name),
                advice="see docs/comparison.md, Harder settings",
            )
        if self.share is None:
            object.__setattr__(self, "share", DATA_PROTOCOLS[self.name].share)
        assert self.share is not None
        low = DATA_PROTOCOLS[self.name].low
        if not low < self.share <= 1:
            raise SettingError(
                f"`share` of the protocol {self.name} must be > {low:g} and <= 1, got {self.share}",
                expected=DATA_PROTOCOLS[self.name].meaning,
                found=str(self.share),
                advice="leave it out to use the default",
            )

    def apply(self, data: Dataset) -> Dataset:
        """Return the data set of this setting; its name and provenance state the protocol.

        Args:
            data: with a train, a validation and a test split.

        Raises:
            DataError: the data has too few classes, labels or modalities.
        """
        assert self.share is not None
        draw = np.random.default_rng((self.seed, *map(ord, self.name)))
        changed = DATA_PROTOCOLS[self.name].change(data, self.share, draw)
        setting = {"name": self.name, "share": self.share, "seed": self.seed}
        return replace(
            changed,
            name=f"{data.name}, {self.name} {self.share:g}",
            provenance={**data.provenance, "protocol": setting},
        )


Change = Callable[[Dataset, float, np.random.Generator], Dataset]


@dataclass(frozen=True)
class _Protocol:
    change: Change
    share: float
    """Default."""
    meaning: str
    low: float = 0.0
    """The share must be larger."""


def _unseen_classes(data: Dataset, share: float, draw: np.random.Generator) -> Dataset:
    used = np.flatnonzero(data.labels.any(axis=0))
    count = min(max(1, round(share * len(used))), len(used) - 1)
    if count < 1:
        raise _too_few(data, "classes", "at least two classes", len(used))
    unseen = np.zeros(len(data.class_names), dtype=bool)
    unseen[draw.permutation(used)[:count]] = True
    test = data.splits == "test"
    has_unseen, has_seen = data.labels[:, unseen].any(axis=1), data.labels[:, ~unseen].any(axis=1)
    kept = np.where(test, has_unseen & ~has_seen, ~has_unseen)
    for name in ("train", "validation", "test"):
        if not (kept & (data.splits == name) & data.labels.any(axis=1)).any():
            raise _too_few(data, f"samples of {name}", "labeled samples in every split", 0)
    return data.take(np.flatnonzero(kept))


def _noise(data: Dataset, share: float, draw: np.random.Generator) -> Dataset:
    c = len(data.class_names)
    if c < 2:
        raise _too_few(data, "classes", "at least two classes", c)
    labels = data.labels.copy()
    for name in ("train", "validation"):
        rows = np.flatnonzero((data.splits == name) & data.labels.any(axis=1))
        for row in draw.permutation(rows)[: round(share * len(rows))]:
            others = np.flatnonzero(~data.labels[row])
            if len(others):
                labels[row] = False
                labels[row, draw.choice(others)] = True
    return replace(data, labels=labels)


def _imbalance(data: Dataset, share: float, draw: np.random.Generator) -> Dataset:
    train = data.splits == "train"
    sizes = data.labels[train].sum(axis=0)
    used = draw.permutation(np.flatnonzero(sizes))
    if len(used) < 2:
        raise _too_few(data, "classes", "at least two classes in train", len(used))
    largest = int(sizes.max())
    kept = ~train | ~data.labels.any(axis=1)
    for place, k in enumerate(used):
        rows = draw.permutation(np.flatnonzero(train & data.labels[:, k]))
        size = max(1, round(largest * share ** (place / (len(used) - 1))))
        kept[rows[:size]] = True
    return data.take(np.flatnonzero(kept))


def _unpaired(data: Dataset, share: float, draw: np.random.Generator) -> Dataset:
    present = _present(data)
    pairs = np.flatnonzero((data.splits == "train") & (present.sum(axis=1) > 1))
    parted = draw.permutation(pairs)[: round(share * len(pairs))]
    if not len(parted):
        raise _too_few(data, "pairs", "training samples with two modalities", len(pairs))
    whole = np.setdiff1d(np.arange(len(data)), parted)
    rows = [whole]
    masks = [present[whole]]
    names = [""] * len(whole)
    for number, name in enumerate(data.modalities):
        own = np.sort(parted[present[parted, number]])
        rows.append(own)
        masks.append(np.eye(len(data.modalities), dtype=bool)[[number] * len(own)])
        names += [f"/{name}"] * len(own)
    index = np.concatenate(rows)
    mask = np.concatenate(masks)
    return replace(
        data,
        ids=tuple(f"{data.ids[row]}{name}" for row, name in zip(index, names, strict=True)),
        columns={
            name: _masked(column.take(index), mask[:, number])
            for number, (name, column) in enumerate(data.columns.items())
        },
        labels=data.labels[index],
        splits=data.splits[index],
        fields={name: [values[row] for row in index] for name, values in data.fields.items()},
    )


def _missing_modality(data: Dataset, share: float, draw: np.random.Generator) -> Dataset:
    present = _present(data)
    for name in ("train", "validation"):
        rows = np.flatnonzero((data.splits == name) & (present.sum(axis=1) > 1))
        for row in draw.permutation(rows)[: round(share * len(rows))]:
            present[row, draw.choice(np.flatnonzero(present[row]))] = False
    return _with_present(data, present)


DATA_PROTOCOLS: Mapping[str, _Protocol] = {
    "unseen-classes": _Protocol(_unseen_classes, 0.5, "share of the classes that are in test only"),
    "noise": _Protocol(_noise, 0.4, "share of the labels that are wrong"),
    "imbalance": _Protocol(_imbalance, 0.1, "size of the smallest class by that of the largest"),
    "unpaired": _Protocol(_unpaired, 1.0, "share of the training samples whose pair is unknown"),
    "missing-modality": _Protocol(
        _missing_modality, 0.5, "share of the samples that lack a modality"
    ),
}
"""Name -> protocol, with the default of its share."""


def _present(data: Dataset) -> NDArray[np.bool_]:
    """Return (n, m): whether a sample has each modality."""
    return np.column_stack([column.present for column in data.columns.values()])


def _with_present(data: Dataset, present: NDArray[np.bool_]) -> Dataset:
    """Return the data set without the items where ``present`` is False."""
    columns = {
        name: _masked(column, present[:, number])
        for number, (name, column) in enumerate(data.columns.items())
    }
    return replace(data, columns=columns)


def _masked(column: Column, present: NDArray[np.bool_]) -> Column:
    match column:
        case Features():
            return Features(column.values, present)
        case Images():
            return Images(
                [item if p else None for item, p in zip(column.items, present, strict=True)]
            )
        case Texts():
            return Texts(tuple(t if p else () for t, p in zip(column.items, present, strict=True)))
    raise DataError(
        "this type of column is not supported",
        expected="features, images or texts",
        found=column.kind,
        advice="extract features from it first",
    )


def _too_few(data: Dataset, what: str, expected: str, found: int) -> DataError:
    return DataError(
        f"{data.name!r} has too few {what} for this protocol",
        expected=expected,
        found=str(found),
        advice="use another protocol or share, or data with more samples",
    )

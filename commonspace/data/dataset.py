"""What a data set is: samples in rows, modalities in named columns, labels, splits.

A data set is checked once, when it is made; whoever holds one may rely on it. It knows nothing of
files, of networks, or of what will be done with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Column
from commonspace.errors import DataError, SplitError

__all__ = ["SPLITS", "Dataset"]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples of several modalities, with their labels and their splits.

    Args:
        name: what to call it in tables and messages.
        ids: n distinct names, one for each sample.
        columns: modality name -> column of n entries: features, images or texts. A sample may
            lack a modality, though not all of them.
        labels: (n, c) bool; row i marks the classes of sample i. One mark is the usual case,
            several are allowed, and none means that the sample is not labelled.
        class_names: c distinct names, in the order of the columns of ``labels``.
        splits: (n,) str, each "train", "validation" or "test".
        fields: further facts about each sample, as the source gave them: name -> n values.
        provenance: source, format, encoders and how the splits were made.
        warnings: what a reader left out or found odd, one sentence each.

    Raises:
        DataError: rows do not match, names repeat, or a sample has no modality at all.

    Example:
        >>> from commonspace.data.columns import Features, Texts
        >>> data = Dataset(
        ...     name="two animals",
        ...     ids=("a", "b"),
        ...     columns={
        ...         "image": Features(np.eye(2, dtype=np.float32)),
        ...         "text": Texts((("a cat",), ("a dog", "some dog"))),
        ...     },
        ...     labels=np.eye(2, dtype=bool),
        ...     class_names=("cat", "dog"),
        ...     splits=np.array(["train", "test"]),
        ... )
        >>> data.split("test").ids
        ('b',)
    """

    name: str
    ids: tuple[str, ...]
    columns: Mapping[str, Column]
    labels: NDArray[np.bool_]
    class_names: tuple[str, ...]
    splits: NDArray[np.str_]
    fields: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check everything that a row of another length or a wrong name could break later."""
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))
        _check_names(self)
        _check_rows(self)
        _check_values(self)

    def __len__(self) -> int:
        """Return the number of samples, n."""
        return len(self.ids)

    def __repr__(self) -> str:
        """Return one line: name, samples, modalities, classes."""
        modalities = ", ".join(f"{name}: {column!r}" for name, column in self.columns.items())
        counts = f"{len(self)} samples, {modalities}, {len(self.class_names)} classes"
        return f"Dataset({self.name!r}, {counts})"

    def __reduce__(self) -> tuple[type["Dataset"], tuple[Any, ...]]:
        """Let it be pickled for another process, which read-only mappings cannot be."""
        values = (getattr(self, one.name) for one in fields(self))
        plain = (dict(one) if isinstance(one, MappingProxyType) else one for one in values)
        return type(self), tuple(plain)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.columns)

    def take(self, rows: NDArray[np.intp]) -> "Dataset":
        """Return the samples at ``rows`` (int or bool index), in that order."""
        index = np.arange(len(self))[rows]
        return replace(
            self,
            ids=tuple(self.ids[i] for i in index),
            columns={name: column.take(index) for name, column in self.columns.items()},
            labels=self.labels[index],
            splits=self.splits[index],
            fields={name: [values[i] for i in index] for name, values in self.fields.items()},
        )

    def split(self, split: str) -> "Dataset":
        """Return the samples of one split.

        Args:
            split: "train", "validation" or "test".

        Raises:
            SplitError: there is no such split, or it is empty.
        """
        rows = np.flatnonzero(self.splits == split)
        if split not in SPLITS or rows.size == 0:
            counts = {name: int((self.splits == name).sum()) for name in SPLITS}
            raise SplitError(
                f"the split {split!r} of {self.name!r} is empty",
                expected=f"samples in {split!r}",
                found=", ".join(f"{count} in {name}" for name, count in counts.items()),
                advice=f"name one of {', '.join(s for s, count in counts.items() if count)}"
                " or give the samples a split column",
            )
        return self.take(rows)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, columns, labels, class names and splits, in hexadecimal digits.

        Two data sets with the same fingerprint hold the same samples in the same order.
        """
        digest = sha256()
        for texts in (self.ids, self.class_names, tuple(self.splits)):
            for text in texts:
                encoded = text.encode(errors="surrogatepass")
                digest.update(len(encoded).to_bytes(8, "little") + encoded)
            digest.update(b"\0end")
        digest.update(np.packbits(self.labels, axis=None).tobytes())
        for name, column in self.columns.items():
            digest.update(name.encode())
            column.digest(digest)
        return digest.hexdigest()


def _check_names(data: Dataset) -> None:
    for what, names in (("sample ids", data.ids), ("class names", data.class_names)):
        if len(set(names)) != len(names):
            seen: set[str] = set()
            twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise DataError(
                f"{what} of {data.name!r} repeat",
                expected="each name once",
                found=f"{twice!r} more than once",
                advice="rename one of them or drop the repeated row",
            )
    if not data.columns:
        raise DataError(
            f"{data.name!r} has no modality",
            expected="at least one column of features, images or texts",
            found="none",
            advice="add a column such as image= or text=",
        )
    if not data.ids:
        raise DataError(
            f"{data.name!r} is empty",
            expected="at least one sample",
            found="none",
            advice="check that the path points at the data",
        )


def _check_rows(data: Dataset) -> None:
    n = len(data.ids)
    lengths = {f"column {name!r}": len(column) for name, column in data.columns.items()}
    lengths |= {"labels": len(data.labels), "split": len(data.splits)}
    lengths |= {f"field {name!r}": len(values) for name, values in data.fields.items()}
    for what, length in lengths.items():
        if length != n:
            raise DataError(
                f"rows of {data.name!r} do not match",
                expected=f"{n} rows in {what}, one for each sample id",
                found=f"{length}",
                advice="make columns, labels and ids equally long and put them in one order",
            )
    present = np.column_stack([column.present for column in data.columns.values()])
    if not present.any(axis=1).all():
        row = int(np.flatnonzero(~present.any(axis=1))[0])
        raise DataError(
            f"a sample of {data.name!r} has no modality at all",
            expected=f"at least one of {', '.join(data.columns)}",
            found=f"sample {data.ids[row]!r} (row {row}) has none",
            advice="drop the sample",
        )


def _check_values(data: Dataset) -> None:
    if data.labels.shape != (len(data.ids), len(data.class_names)) or data.labels.dtype != np.bool_:
        raise DataError(
            f"labels of {data.name!r} have the wrong form",
            expected=f"bool of shape {(len(data.ids), len(data.class_names))}",
            found=f"{data.labels.dtype} of shape {data.labels.shape}",
            advice="give one column for each class name",
        )
    unknown = sorted(set(data.splits.tolist()) - set(SPLITS))
    if unknown:
        raise SplitError(
            f"{data.name!r} has a split of an unknown name",
            expected=", ".join(SPLITS),
            found=repr(unknown[0]),
            advice="rename it to one of the three",
        )

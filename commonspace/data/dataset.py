"""Data sets: samples in rows, modalities in named columns, labels and splits.

A data set is validated once, when it is created.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as attributes
from functools import cached_property
from hashlib import sha256
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Column, Features, Images, Texts
from commonspace.data.convert import from_arrays
from commonspace.data.frames import from_huggingface, from_pandas
from commonspace.data.row_blocks import contiguous
from commonspace.data.validate import validate
from commonspace.data.vocabulary import SPLITS
from commonspace.errors import DataError, SplitError
from commonspace.extras import optional

__all__ = ["SPLITS", "Dataset", "check_dataset"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples of several modalities, with their labels and their splits.

    Args:
        name: name for tables and messages.
        ids: n distinct ids, one for each sample.
        columns: modality name -> column of n entries: features, images or texts. A sample may
            lack a modality, though not all of them.
        labels: (n, c) bool; row i marks the classes of sample i. One mark is the usual case,
            several are allowed, and none means that the sample is not labeled.
        class_names: c distinct names, in the order of the columns of ``labels``.
        splits: (n,) str, each "train", "validation" or "test".
        fields: metadata columns as the source gives them: name -> n values.
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
        """Validate names, rows and values."""
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))
        validate(self)

    def __len__(self) -> int:
        """Return the number of samples, n."""
        return len(self.ids)

    def __repr__(self) -> str:
        """Return one line: name, samples, modalities, classes."""
        modalities = ", ".join(f"{name}: {column!r}" for name, column in self.columns.items())
        counts = f"{len(self)} samples, {modalities}, {len(self.class_names)} classes"
        return f"Dataset({self.name!r}, {counts})"

    def _repr_html_(self) -> str:
        """Return a table of modalities and splits for a notebook."""
        counts = [int((self.splits == split).sum()) for split in SPLITS]
        head = "".join(f"<th>{escape(str(cell))}</th>" for cell in ("", "form", "present"))
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(repr(column))}</td>"
            f"<td>{int(column.present.sum())}</td></tr>"
            for name, column in self.columns.items()
        )
        splits = ", ".join(f"{n} {split}" for split, n in zip(SPLITS, counts, strict=True))
        warnings = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.warnings[:10])
        return (
            f"<p><b>{escape(self.name)}</b>: {len(self)} samples, {len(self.class_names)} classes;"
            f" {splits}</p><table><tr>{head}</tr>{rows}</table>"
            + (f"<ul>{warnings}</ul>" if warnings else "")
        )

    @classmethod
    def from_arrays(
        cls,
        *,
        labels: Any = None,  # noqa: ANN401, any spelling of labels
        class_names: Sequence[str] | None = None,
        ids: Sequence[Any] | NDArray[Any] | None = None,
        splits: Sequence[Any] | NDArray[Any] | None = None,
        groups: Sequence[Any] | NDArray[Any] | None = None,
        fields: Mapping[str, Sequence[Any]] | None = None,
        seed: int = 0,
        name: str = "arrays",
        **modalities: Any,  # noqa: ANN401, any form of a modality
    ) -> "Dataset":
        """Make a data set of arrays and lists.

        Args:
            labels: n class names, whole numbers, or lists of class names; or an (n, c) matrix of 0
                and 1. None, NaN, "" and -1 mean no label.
            class_names: c names, in the order of the numbers or columns of ``labels``; default: the
                names that occur, sorted.
            ids: n distinct ids (default: "0", "1", ...).
            splits: n of "train", "validation" (val, dev), "test"; default: drawn, 70/10/20 %,
                stratified by class. Without validation, a tenth of train becomes validation.
            groups: n values; samples of one group stay in one split.
            fields: metadata columns, name -> n values.
            seed: seed of the splits that are drawn.
            name: name for tables and messages.
            **modalities: the values of each modality by its name, such as ``image=X, text=Y``:
                (n, d) numbers (features); (n, h, w, 3) uint8 images; or n entries, each a vector,
                an image array, a PIL image, a path, a string, a list of strings, or None. Strings
                are paths under the names image and photo, texts under any other.

        Raises:
            DataError: values of another form, or rows that do not match.
            SplitError: a split is empty, or a class of one sample, where splits are drawn.

        Example:
            >>> rng = np.random.default_rng(0)
            >>> data = Dataset.from_arrays(
            ...     image=rng.normal(size=(20, 8)),
            ...     text=[f"a photo of a {kind}" for kind in ["cat", "dog"] * 10],
            ...     labels=["cat", "dog"] * 10,
            ... )
            >>> data
            Dataset('arrays', 20 samples, image: 8-d features, text: texts, 2 classes)
            >>> len(data.split("train")), len(data.split("test"))
            (14, 4)
        """
        content = from_arrays(
            modalities,
            labels=labels,
            class_names=class_names,
            ids=ids,
            splits=splits,
            groups=groups,
            fields=fields,
            seed=seed,
            name=name,
        )
        return cls(**content)

    @classmethod
    def from_pandas(
        cls,
        frame: Any,  # noqa: ANN401, pandas is optional
        *,
        label: str | None = None,
        id: str | None = None,
        split: str | None = None,
        group: str | None = None,
        folder: str | Path | None = None,
        seed: int = 0,
        name: str = "frame",
        **modalities: str | Sequence[str],
    ) -> "Dataset":
        """Make a data set of a data frame.

        Args:
            frame: a pandas.DataFrame, one row for each sample.
            label: the column of the labels (default: "label" where there is one).
            id: the column of the ids (default: "id" where there is one, else row numbers).
            split: the column of the splits (default: "split" where there is one, else drawn).
            group: the column of the groups (default: "group" where there is one).
            folder: the folder that relative paths of images begin in (default: the current one).
            seed: seed of the splits that are drawn.
            name: name for tables and messages.
            **modalities: the column of each modality, such as ``image="photo", text="caption"``; a
                list of columns of numbers is one modality of features. Default: the columns
                "image" and "text". All other columns become fields.

        Raises:
            DataError: a column is missing, or has values of another form.
            SplitError: as of :meth:`from_arrays`.

        Example:
            >>> import pandas as pd
            >>> frame = pd.DataFrame({"x": range(20), "y": range(20)})
            >>> frame["caption"] = [f"number {row}" for row in range(20)]
            >>> frame["kind"] = ["even", "odd"] * 10
            >>> Dataset.from_pandas(frame, point=["x", "y"], text="caption", label="kind")
            Dataset('frame', 20 samples, point: 2-d features, text: texts, 2 classes)
        """
        content = from_pandas(
            frame,
            modalities=modalities,
            label=label,
            id=id,
            split=split,
            group=group,
            folder=folder,
            seed=seed,
            name=name,
        )
        return cls(**content)

    @classmethod
    def from_huggingface(
        cls,
        dataset: Any,  # noqa: ANN401, the package is optional
        *,
        label: str | None = None,
        id: str | None = None,
        seed: int = 0,
        name: str | None = None,
        modalities: Mapping[str, str] | None = None,
        **columns: str,
    ) -> "Dataset":
        """Make a data set of a ``datasets.Dataset`` or ``DatasetDict`` (Hugging Face).

        Args:
            dataset: the data set; the keys of a DatasetDict are the splits. Any object with
                ``column_names`` and columns by name has the same interface.
            label: the column of the labels (default: "label" where there is one); the names of a
                ClassLabel are kept.
            id: the column of the ids (default: "id" where there is one).
            seed: seed of the splits that are drawn where the data set has none.
            name: name for tables and messages.
            modalities: modality -> column, the same as ``columns``.
            **columns: the column of each modality, such as ``image="photo", text="caption"``
                (default: the columns "image" and "text").

        Raises:
            DataError: a column is missing, or has values of another form.
            SplitError: as of :meth:`from_arrays`.
        """
        wanted = {**(modalities or {}), **columns} or None
        content = from_huggingface(
            dataset, modalities=wanted, label=label, id=id, seed=seed, name=name
        )
        return cls(**content)

    def to_pandas(self) -> Any:  # noqa: ANN401, pandas is optional
        """Return a pandas.DataFrame: modalities, label, split and fields, with the ids as index.

        A vector is an array in one cell, an image a path or an array, several texts or labels a
        list, a missing value None.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pandas = optional("pandas", "a data frame", "pandas")
        content: dict[str, list[Any]] = {}
        for modality, column in self.columns.items():
            entries: list[Any]
            if isinstance(column, Texts):
                entries = [
                    None if not texts else texts[0] if len(texts) == 1 else list(texts)
                    for texts in column.items
                ]
            elif isinstance(column, Images):
                entries = [str(item) if isinstance(item, Path) else item for item in column.items]
            else:
                assert isinstance(column, Features)
                entries = [
                    row if there else None
                    for row, there in zip(column.values, column.present, strict=True)
                ]
            content[modality] = entries
        names = np.array(self.class_names, dtype=object)
        several = [names[marks].tolist() for marks in self.labels]
        content["label"] = [
            None if not found else found[0] if len(found) == 1 else found for found in several
        ]
        content["split"] = self.splits.tolist()
        content |= {key: list(values) for key, values in self.fields.items() if key not in content}
        series = {key: pandas.Series(values, dtype=object) for key, values in content.items()}
        frame = pandas.DataFrame(series).infer_objects()
        frame.index = pandas.Index(list(self.ids), name="id")
        return frame

    def __reduce__(self) -> tuple[type["Dataset"], tuple[Any, ...]]:
        """Return the parts for pickling: read-only mappings as dicts."""
        values = (getattr(self, attribute.name) for attribute in attributes(self))
        plain = (dict(v) if isinstance(v, MappingProxyType) else v for v in values)
        return type(self), tuple(plain)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.columns)

    def take(self, rows: NDArray[np.intp]) -> "Dataset":
        """Return the samples at ``rows`` (int or bool index), in that order."""
        index = np.arange(len(self))[rows]
        together = contiguous(index)
        part = index if together is None else together  # a slice copies no labels
        return replace(
            self,
            ids=tuple(self.ids[i] for i in index) if together is None else self.ids[together],
            columns={name: column.take(index) for name, column in self.columns.items()},
            labels=self.labels[part],
            splits=self.splits[part],
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
        for texts in (self.ids, self.class_names, self.splits):
            for text in texts:
                encoded = text.encode(errors="surrogatepass")
                digest.update(len(encoded).to_bytes(8, "little") + encoded)
            digest.update(b"\0end")
        digest.update(np.packbits(self.labels, axis=None).data)
        for name, column in self.columns.items():
            digest.update(name.encode())
            column.digest(digest)
        return digest.hexdigest()


def check_dataset(value: object, purpose: str) -> None:
    """Check the type of an argument that must be a data set.

    Args:
        value: the argument.
        purpose: what it is needed for, such as "evaluate".

    Raises:
        DataError: If it is not a ``Dataset``.
    """
    if not isinstance(value, Dataset):
        raise DataError(
            f"`{purpose}` needs a Dataset, got {type(value).__name__}",
            expected="a Dataset, with features, images or texts",
            found=type(value).__name__,
            advice="make one with Dataset.from_arrays(image=X, text=Y, labels=y), or"
            " load_dataset(path)",
        )

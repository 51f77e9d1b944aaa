"""Writing of feature files: completely or not at all.

The file is written beside its place and renamed at the end, so that a full disk or a kill leaves
no partial file. :func:`commonspace.load_dataset` reads back the same data set.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.atomic import replace_file, write_folder
from commonspace.data.columns import Features
from commonspace.data.dataset import Dataset
from commonspace.data.formats.hdf5 import write_hdf5
from commonspace.data.formats.mat import write_mat
from commonspace.data.formats.names import (
    MODALITIES,
    MODALITY_LIST,
    PROVENANCE,
    RESERVED,
    canonical_key,
)
from commonspace.data.formats.npz import write_npz
from commonspace.data.formats.parquet import WITHOUT_ROWS, write_parquet
from commonspace.data.vocabulary import UNLABELED, spell
from commonspace.errors import DataError, OutputError

__all__ = ["WRITERS", "Writer", "write_arrays", "write_parts", "writer_of"]

Writer = Callable[[Path, Mapping[str, NDArray[Any]]], None]

WRITERS: dict[str, Writer] = {
    ".npz": write_npz,
    ".h5": write_hdf5,
    ".hdf5": write_hdf5,
    ".mat": write_mat,
    ".parquet": write_parquet,
}


def write_arrays(dataset: Dataset, path: str | Path) -> None:
    """Write features, labels, class names, splits, ids, groups and the provenance of the features.

    Other fields are not written.

    Args:
        dataset: all its columns are features.
        path: a new file; its suffix, one of ``WRITERS``, determines the format.

    Raises:
        OutputError: the file exists, its suffix is unknown, its folder is missing, or the disk is
            full. Nothing is left behind.
        DataError: a column is not features, or has a name that would not be read back.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from commonspace.datasets import load_dataset
        >>> data = Dataset(
        ...     name="few",
        ...     ids=("a", "b", "c"),
        ...     columns={"image": Features(np.eye(3))},
        ...     labels=np.ones((3, 1), bool),
        ...     class_names=("cat",),
        ...     splits=np.array(["train", "validation", "test"]),
        ... )
        >>> with TemporaryDirectory() as folder:
        ...     write_arrays(data, f"{folder}/few.npz")
        ...     load_dataset(f"{folder}/few.npz").fingerprint == data.fingerprint
        True
    """
    target = Path(path)
    write = writer_of(target)
    arrays = _arrays_of(dataset)
    with replace_file(target) as draft:
        try:
            write(draft, arrays)
        except RuntimeError as exc:  # as which h5py sometimes reports a full disk
            raise OSError(str(exc)) from exc


def write_parts(dataset: Dataset, folder: Path, rows: int) -> None:
    """Write a data set as a folder of Parquet files; :func:`load_dataset` reads it as one.

    Args:
        dataset: all its columns are features.
        folder: a new folder.
        rows: samples in each file.

    Raises:
        OutputError: the folder exists or cannot be written. Nothing is left behind.
        DataError: as of :func:`write_arrays`.
    """
    arrays = _arrays_of(dataset)
    with write_folder(folder) as draft:
        for number, start in enumerate(range(0, len(dataset), rows)):
            part = {
                key: values if key in WITHOUT_ROWS else values[start : start + rows]
                for key, values in arrays.items()
            }
            write_parquet(draft / f"{number:05}.parquet", part)


def writer_of(target: Path) -> Writer:
    """Return the function that writes a feature file of this name.

    Raises:
        OutputError: its suffix is unknown, or its folder is missing.
    """
    write = WRITERS.get(target.suffix.lower())
    if write is None:
        raise OutputError(
            f"no feature file can be written as {target}",
            expected=f"a name that ends in {', '.join(WRITERS)}",
            found=target.suffix or "a name without suffix",
            advice=f"write {target.with_suffix('.npz').name}" if target.name else "give a name",
        )
    if not target.parent.is_dir():
        raise OutputError(
            f"no feature file can be written as {target}",
            expected="a name in an existing folder",
            found=f"{target.parent} is a file"
            if target.parent.exists()
            else f"no folder {target.parent}",
            advice="make the folder first, or choose another",
        )
    return write


def _arrays_of(dataset: Dataset) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for name, column in dataset.columns.items():
        if not isinstance(column, Features):
            raise DataError(
                f"{name!r} of {dataset.name!r} cannot be written to a feature file",
                expected="features in every column",
                found=column.kind,
                advice="embed it first, or leave the column out",
            )
        if canonical_key(name) != (name, "") or name in RESERVED or name.endswith("_present"):
            raise DataError(
                f"a modality called {name!r} would be read back as something else",
                expected="a name that is no reserved key and names no split",
                found=f"{name!r}, read as {canonical_key(name)[0]!r}",
                advice="rename the modality",
            )
        arrays[name] = column.values
        if not column.present.all():
            arrays[f"{name}_present"] = column.present
    if not MODALITIES.issuperset(dataset.columns):
        arrays[MODALITY_LIST] = np.array(list(dataset.columns), dtype=str)
    arrays["label"] = _labels_of(dataset)
    arrays["class_names"] = np.array(dataset.class_names, dtype=str)
    arrays["split"] = np.array(dataset.splits, dtype=str)
    arrays["id"] = np.array(dataset.ids, dtype=str)
    if "group" in dataset.fields:
        groups = [spell(group) for group in dataset.fields["group"]]
        arrays["group"] = np.array(groups, dtype=str)
    if "encoders" in dataset.provenance:
        arrays[PROVENANCE] = np.array([json.dumps(dict(dataset.provenance), ensure_ascii=False)])
    return arrays


def _labels_of(dataset: Dataset) -> NDArray[Any]:
    """Return (n,) indices, -1 for none, or (n, c) 0/1 where a sample has several labels."""
    if (dataset.labels.sum(axis=1) > 1).any():
        return dataset.labels.astype(np.uint8)
    if not dataset.class_names:
        return np.full(len(dataset), UNLABELED)
    return np.where(dataset.labels.any(axis=1), dataset.labels.argmax(axis=1), UNLABELED)

"""Images of a data set that cannot be read: described, or left out."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from commonspace.data.columns import Column, Images
from commonspace.data.dataset import Dataset
from commonspace.data.images import decode_image
from commonspace.errors import DataError

__all__ = ["check_images", "drop_unreadable_images"]


def check_images(dataset: Dataset) -> list[str]:
    """Open every image file of a data set and describe those that cannot be read.

    Args:
        dataset: columns that are not images are ignored.

    Returns:
        One sentence for each unreadable image, in the order of columns and samples.
    """
    return [sentence for found in _unreadable(dataset).values() for sentence in found.values()]


def drop_unreadable_images(dataset: Dataset) -> Dataset:
    """Return a data set without the images that cannot be read.

    Args:
        dataset: columns that are not images are ignored.

    Returns:
        The same data set, where such samples have no image and samples without any modality are
        left out; ``warnings`` has a sentence for each.
    """
    unreadable = {name: found for name, found in _unreadable(dataset).items() if found}
    if not unreadable:
        return dataset
    columns, warnings = dict(dataset.columns), list(dataset.warnings)
    for name, found in unreadable.items():
        items = (None if row in found else item for row, item in enumerate(_items(columns[name])))
        columns[name] = Images(list(items))
        warnings += [f"{sentence}: it has no {name}" for sentence in found.values()]
    some = np.any([column.present for column in columns.values()], axis=0)
    if not some.all():
        warnings.append(f"samples left without any modality: {int((~some).sum())}, left out")
    rows = np.flatnonzero(some)
    columns = {name: column.take(rows) for name, column in columns.items()}
    return replace(dataset.take(rows), columns=columns, warnings=tuple(warnings))


def _unreadable(dataset: Dataset) -> dict[str, dict[int, str]]:
    """Return modality -> row -> what is wrong with its image file."""
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside Python's global lock
        return {
            modality: {
                row: f"sample {dataset.ids[row]!r}: {problem}"
                for row, problem in enumerate(pool.map(_problem, _items(column)))
                if problem
            }
            for modality, column in dataset.columns.items()
            if isinstance(column, Images)
        }


def _items(column: Column) -> tuple[Path | NDArray[np.uint8] | None, ...]:
    assert isinstance(column, Images)
    return column.items


def _problem(item: Path | NDArray[np.uint8] | None) -> str:
    if not isinstance(item, Path):
        return ""
    try:
        decode_image(item)
    except DataError as error:
        return f"{error.problem} ({error.found})"
    return ""

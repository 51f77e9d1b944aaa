"""The photos and texts behind samples: of the data itself, or of what its features were made of.

It decodes only what is shown, and turns what cannot be shown into its reason. It draws nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonspace.data import Dataset, Features, Images, Texts, decode_image
from commonspace.datasets import load_dataset
from commonspace.errors import CommonspaceError, DataError
from commonspace.plots import Card

__all__ = ["Items", "find_items"]

THUMBNAIL = 192
"""Pixels of the longer side of a picture that is shown: 200 dots an inch on a card."""


class Items:
    """Looks up how a sample is shown.

    Args:
        data: the samples.
        shown: another data set with photos and texts of the same samples, by their ids; or None.
    """

    def __init__(self, data: Dataset, shown: Dataset | None = None) -> None:
        """Remember where each sample is."""
        self._data, self._shown = data, shown
        whole = data.fields.get("sample", data.ids)  # of one text among several
        rows = {} if shown is None else {name: row for row, name in enumerate(shown.ids)}
        self._rows = [rows.get(str(name)) for name in whole]

    def card(self, row: int, modality: str) -> Card:
        """Return how one modality of a sample is shown.

        Args:
            row: of the data set.
            modality: one of its columns.
        """
        data = self._data
        classes = tuple(
            name for name, mark in zip(data.class_names, data.labels[row], strict=True) if mark
        )
        item = self._item(row, modality)
        if isinstance(item, tuple):
            return Card(data.ids[row], classes, text=" / ".join(item))
        if item is None:
            return Card(data.ids[row], classes)
        try:
            return Card(data.ids[row], classes, picture=_thumbnail(decode_image(item)))
        except DataError as error:
            what = error.problem if isinstance(item, np.ndarray) else Path(item).name
            return Card(data.ids[row], classes, problem=f"{what}: {error.found}")

    def _item(self, row: int, modality: str) -> Any:  # noqa: ANN401 - a path, an array, texts, None
        column = self._data.columns[modality]
        if isinstance(column, Features):
            elsewhere = self._rows[row]
            if self._shown is None or elsewhere is None:
                return None
            column, row = self._shown.columns.get(modality, column), elsewhere
        if isinstance(column, Images | Texts):
            return column.items[row] or None if isinstance(column, Texts) else column.items[row]
        return None


def find_items(data: Dataset, named: str | None, beside: Path | None) -> tuple[Dataset | None, str]:
    """Return the data set whose photos and texts show the samples of a feature file.

    It is the one that is named. Without a name, what the features were made of is looked for in
    the folder of the feature file: that folder itself, or the one in it that the file names as its
    source. It is taken only where it holds photos or texts
    of all the samples, by id and class.

    Args:
        data: the samples that are to be shown.
        named: a data set as on the command line, or None.
        beside: the path of the feature file, where it came from one.

    Returns:
        The data set, or None; and a sentence for the report, "" where there is nothing to say.

    Raises:
        DataError: the named one cannot be opened, or has none of the samples.
    """
    if all(not isinstance(column, Features) for column in data.columns.values()):
        return None, ""
    if named is not None:
        other = load_dataset(named, partial=True)
        share = _agreement(data, other)
        if share == 0:
            raise DataError(
                f"{named} shows none of these samples",
                expected=f"the ids of {data.name!r}, such as {data.ids[0]!r}, in the same classes",
                found=f"ids such as {other.ids[0]!r}",
                advice="name the data set that the features were extracted from",
            )
        return (
            other,
            f"Photos and texts are those of {other.name!r}, for {share:.0%} of the samples.",
        )
    for folder in _candidates(data, beside):
        try:
            other = load_dataset(folder, partial=True)
        except CommonspaceError:
            continue
        shows = {name for name, column in other.columns.items() if column.kind != "features"}
        if shows & set(data.modalities) and _agreement(data, other) == 1:
            return (
                other,
                f"Photos and texts are those of {other.name!r}, where ids and classes agree.",
            )
    return None, "The data holds features only: queries are shown by their ids and classes."


def _candidates(data: Dataset, beside: Path | None) -> Iterator[Path]:
    if beside is None or not beside.is_file():
        return
    source = str(data.provenance.get("made_from", {}).get("source", ""))
    for folder in (beside.parent / source if source else None, beside.parent):
        if folder is not None and folder.is_dir():
            yield folder


def _agreement(data: Dataset, other: Dataset) -> float:
    """Return the share of the samples that the other has too, with the same classes."""
    whole = data.fields.get("sample", data.ids)
    rows = {name: row for row, name in enumerate(other.ids)}
    same = sum(
        _classes(data, row) == _classes(other, rows[name])
        for row, name in enumerate(map(str, whole))
        if name in rows
    )
    return same / len(data)


def _classes(data: Dataset, row: int) -> set[str]:
    return {data.class_names[number] for number in np.flatnonzero(data.labels[row])}


def _thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    small = Image.fromarray(picture)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(small)

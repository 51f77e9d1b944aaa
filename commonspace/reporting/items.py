"""Photos and texts of samples, from the data or from the data set that its features were made of.

Only samples that are shown are decoded; a photo that cannot be decoded is shown as its error.
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

__all__ = ["Items", "find_item_data"]

THUMBNAIL = 192
"""Pixels of the longer side of a picture that is shown: 200 dots an inch on a card."""


class Items:
    """Returns the photo or text of a sample.

    Args:
        data: the samples.
        item_data: another data set with photos and texts of the same samples, by id; or None.
    """

    def __init__(self, data: Dataset, item_data: Dataset | None = None) -> None:
        self._data, self._shown = data, item_data
        whole = data.fields.get("sample", data.ids)  # of one text among several
        rows = {} if item_data is None else {name: row for row, name in enumerate(item_data.ids)}
        self._rows = [rows.get(str(name)) for name in whole]

    def card(self, row: int, modality: str) -> Card:
        """Return one modality of a sample as a card.

        Args:
            row: row of the data set.
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


def find_item_data(
    data: Dataset, named: str | None, beside: Path | None
) -> tuple[Dataset | None, str]:
    """Return the data set with the photos and texts of the samples of a feature file.

    Without ``named``, the source of the features is looked for beside the feature file: the folder
    that the file names as its source, or its own folder. It is used only if it has photos or texts
    of all the samples, by id and class.

    Args:
        data: the samples to show.
        named: a data set as on the command line, or None.
        beside: path of the feature file, if there is one.

    Returns:
        The data set, or None; and a note for the report, which may be empty.

    Raises:
        DataError: the named data set cannot be opened, or has none of the samples.
    """
    if all(not isinstance(column, Features) for column in data.columns.values()):
        return None, ""
    if named is not None:
        other = load_dataset(named, partial=True)
        share = _agreement(data, other)
        if share == 0:
            raise DataError(
                f"{named} has none of these samples",
                expected=f"the ids of {data.name!r}, such as {data.ids[0]!r}, in the same classes",
                found=f"ids such as {other.ids[0]!r}",
                advice="name the data set that the features were extracted from",
            )
        said = f"Photos and texts are those of {other.name!r}, for {share:.0%} of the samples."
        return other, _with_warnings(said, other)
    for folder in _candidates(data, beside):
        try:
            other = load_dataset(folder, partial=True)
        except CommonspaceError:
            continue
        shows = {name for name, column in other.columns.items() if column.kind != "features"}
        if shows & set(data.modalities) and _agreement(data, other) == 1:
            said = f"Photos and texts are those of {other.name!r}, where ids and classes agree."
            return other, _with_warnings(said, other)
    return None, "The data have features only: samples are shown by their ids and classes."


def _with_warnings(note: str, data: Dataset) -> str:
    return " ".join([note, *(f"{warning.rstrip('.')}." for warning in data.warnings)])


def _candidates(data: Dataset, beside: Path | None) -> Iterator[Path]:
    if beside is None or not beside.is_file():
        return
    source = str(data.provenance.get("made_from", {}).get("source", ""))
    for folder in (beside.parent / source if source else None, beside.parent):
        if folder is not None and folder.is_dir():
            yield folder


def _agreement(data: Dataset, other: Dataset) -> float:
    """Return the share of the samples that the other data set has, in no class that differs.

    A sample without a class in one of the two may have any in the other.
    """
    whole = data.fields.get("sample", data.ids)
    rows = {name: row for row, name in enumerate(other.ids)}
    same = sum(
        _may_be_equal(_classes(data, row), _classes(other, rows[name]))
        for row, name in enumerate(map(str, whole))
        if name in rows
    )
    return same / len(data)


def _may_be_equal(a: set[str], b: set[str]) -> bool:
    return a == b or not a or not b


def _classes(data: Dataset, row: int) -> set[str]:
    return {data.class_names[number] for number in np.flatnonzero(data.labels[row])}


def _thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    small = Image.fromarray(picture)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(small)

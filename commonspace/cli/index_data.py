"""Data sets that commands put into an index, with the labels that people gave."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qs

import typer

from commonspace.cli.data import folder_of, map_keys, place_of
from commonspace.cli.runs import open_data

if TYPE_CHECKING:
    from commonspace.data import Dataset

__all__ = ["GivenLabelsOption", "data_folder", "labels_beside", "load_items", "with_given_labels"]

GivenLabelsOption = Annotated[
    Path | None,
    typer.Option(
        "--corrections",
        metavar="FILE",
        help="Labels that people gave on the page of serve --writable; they replace those of DATA"
        " (default: those given on the page of this index, beside it).",
        show_default=False,
    ),
]


def load_items(
    data: str, photos: Path | None, split_seed: int, corrections: Path | None, *, partial: bool
) -> "Dataset":
    """Return the data set of the items, with labels that people gave; print its warnings.

    Args:
        data: The argument of the command.
        photos: Folder that all photos must be in, or None.
        split_seed: Of splits that the data does not define.
        corrections: File of the labels, or None.
        partial: Whether samples may lack modalities.
    """
    from commonspace.retrieval.samples import drop_unstorable

    data = map_keys(data, photos=photos)
    dataset = open_data(data, split_seed, partial=partial, need_splits=False)
    dataset = with_given_labels(dataset, corrections)
    if partial:
        dataset = drop_unstorable(dataset)
    for warning in dataset.warnings:
        typer.echo(f"note: {warning}", err=True)
    return dataset


def data_folder(data: str) -> Path | None:
    """Return the folder that the photos of a data set must be in."""
    from commonspace.data.images import unpacked_folder

    place = place_of(data)
    if place is not None and unpacked_folder(place).is_dir():
        return unpacked_folder(place)
    folder = folder_of(data)
    named = parse_qs(data.partition("?")[2]).get("photos")
    return folder / named[-1] if folder and named else folder


def with_given_labels(data: "Dataset", corrections: Path | None) -> "Dataset":
    """Return a data set with the labels that people gave, those of test samples included.

    Args:
        data: The items of an index.
        corrections: File of the labels, or None.
    """
    from commonspace.data import correct_labels, read_corrections

    if corrections is None:
        return data
    return correct_labels(data, read_corrections(corrections), test=True)


def labels_beside(index: Path) -> Path | None:
    """Return the file of the labels that people gave on the page of an index; None without one."""
    from commonspace.data import label_file_of

    file = label_file_of(index)
    return file if file.exists() else None

"""Arguments and options that several commands share. Importing this module does not load torch."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "DataArgument",
    "DeviceOption",
    "JobsOption",
    "JsonOption",
    "LabelOption",
    "ModalityOption",
    "OtherDataOption",
    "OtherSplitSeedOption",
    "PartialOption",
    "PhotosOption",
    "RunArgument",
    "Split",
    "SplitSeedOption",
]

Split = Literal["train", "validation", "test"]

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A feature file (.npz .mat .h5 .parquet); a folder of images with metadata.jsonl or"
        " metadata.csv; a benchmark: wikipedia:FOLDER, pascal:FOLDER, nuswide10k:FOLDER or"
        " xmedianet:FOLDER; or scenes, which is built in.",
    ),
]
RunArgument = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="Folder of a training run, as train or demo writes it."),
]
OtherDataOption = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Data set to use (default: the training data of the run).",
        show_default=False,
    ),
]
SplitSeedOption = Annotated[
    int,
    typer.Option(
        min=0, help="Random seed of splits that the data does not define, and of built-in data."
    ),
]
OtherSplitSeedOption = Annotated[
    int | None,
    typer.Option(
        min=0, help="Random seed of splits (default: that of the run).", show_default=False
    ),
]
PartialOption = Annotated[
    bool,
    typer.Option("--skip-invalid", help="Skip samples that cannot be read, and list them."),
]
PhotosOption = Annotated[
    Path | None,
    typer.Option(
        "--photos",
        metavar="DIR",
        help="Folder that all photos must be in, links resolved (default: the folder of DATA).",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Device: auto, cpu, cuda, cuda:1 or mps; auto chooses the fastest."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Number of parallel trainings (default: one per core, or one on a GPU).",
        show_default=False,
    ),
]
ModalityOption = Annotated[
    list[str] | None,
    typer.Option(
        "--modality",
        metavar="NAME=KEY",
        help="Read a key or column of the file as this modality, such as image=feats; can be"
        " repeated. Default: keys of usual names.",
        show_default=False,
    ),
]
LabelOption = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="KEY",
        help="Key or column of the labels (default: label).",
        show_default=False,
    ),
]

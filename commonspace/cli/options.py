"""The arguments and options that several commands share, and the words that an option may take.

Importing this module loads no torch, so that ``--help`` is there at once. It knows no command.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "Classifier",
    "DataArgument",
    "DeviceOption",
    "JobsOption",
    "JsonOption",
    "OtherDataOption",
    "OtherSplitSeedOption",
    "PartialOption",
    "Precision",
    "RunArgument",
    "Split",
    "SplitSeedOption",
    "Variant",
]

Variant = Literal["paper", "released"]
Classifier = Literal["linear", "affine", "closed_form"]
Precision = Literal["auto", "float32", "bfloat16"]
Split = Literal["train", "validation", "test"]

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A feature file (.npz .mat .h5 .parquet); a folder of images with metadata.jsonl or"
        " metadata.csv; a benchmark: wikipedia:FOLDER, pascal:FOLDER, nuswide10k:FOLDER or"
        ' xmedianet:FOLDER; or "scenes", which is built in.',
    ),
]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder that train or demo wrote.")
]
OtherDataOption = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Another data set than the one that the run was trained on.",
        show_default=False,
    ),
]
SplitSeedOption = Annotated[
    int,
    typer.Option(min=0, help="Seed of the splits where the data gives none, and of built-in data."),
]
OtherSplitSeedOption = Annotated[
    int | None,
    typer.Option(min=0, help="Another split seed than that of the run.", show_default=False),
]
PartialOption = Annotated[
    bool,
    typer.Option("--partial", help="Load what can be loaded, and say what was left out."),
]
DeviceOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps; auto takes the fastest."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=1,
        help="Fits at a time; by itself one for each core, or one on a GPU.",
        show_default=False,
    ),
]

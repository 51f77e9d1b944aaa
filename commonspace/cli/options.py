"""Arguments and options that several commands share. Importing this module does not load torch."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = [
    "AddressOption",
    "CorrectionsOption",
    "DataArgument",
    "DeviceOption",
    "EngineOption",
    "GroupOption",
    "JobsOption",
    "JsonOption",
    "LabelOption",
    "LinkOption",
    "ModalityOption",
    "OtherDataOption",
    "OtherSplitSeedOption",
    "PartialOption",
    "PhotosOption",
    "PriceOption",
    "ProcessesOption",
    "RunArgument",
    "Split",
    "SplitSeedOption",
    "TitleOption",
    "roles_named",
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
EngineOption = Annotated[
    Literal["local", "processes", "ray"],
    typer.Option(
        help="Where the work runs: in this process, in --processes of this machine, or on Ray."
    ),
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of processes of this machine (default: one a core); implies --engine"
        " processes.",
        show_default=False,
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of the Ray cluster, such as auto or HOST:6379 (default: this machine).",
        show_default=False,
    ),
]
CorrectionsOption = Annotated[
    Path | None,
    typer.Option(
        "--corrections",
        metavar="FILE",
        help="Labels that people gave on the page of serve --writable; they replace those of train"
        " and validation.",
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


def _role_option(role: str, what: str) -> Any:  # noqa: ANN401 - of typer
    return typer.Option(
        f"--{role}",
        metavar="FIELD",
        help=f"Field with the {what} of an item (default: guessed from the names).",
        show_default=False,
        rich_help_panel="Roles of fields",
    )


TitleOption = Annotated[str | None, _role_option("title", "title")]
PriceOption = Annotated[str | None, _role_option("price", "price")]
LinkOption = Annotated[str | None, _role_option("link", "web address")]
GroupOption = Annotated[str | None, _role_option("group", "group of variants")]


def roles_named(
    title: str | None, price: str | None, link: str | None, group: str | None
) -> dict[str, str]:
    """Return the roles that options give: role -> field."""
    given = {"title": title, "price": price, "link": link, "group": group}
    return {role: field for role, field in given.items() if field is not None}

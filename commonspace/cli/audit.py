"""``commonspace audit``: an index in, a CSV of what is likely wrong in the catalogue out."""

import csv
from collections import Counter
from dataclasses import astuple, fields
from pathlib import Path
from typing import Annotated

import typer

from commonspace.atomic import check_absent, replace_file
from commonspace.cli.index import IndexArgument
from commonspace.cli.options import DeviceOption

__all__ = ["audit"]


def audit(
    index: IndexArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="A new CSV file.")],
    duplicate: Annotated[
        float, typer.Option(help="The least cosine of the features of two items.")
    ] = 0.995,
    conflict: Annotated[
        float,
        typer.Option(help="The highest probability that an item's modalities share a class."),
    ] = 0.05,
    neighbours: Annotated[int, typer.Option(help="How many of the nearest items count.")] = 20,
    agreement: Annotated[
        float, typer.Option(help="The least share of them that carries another class.")
    ] = 0.8,
    reach: Annotated[
        int, typer.Option(help="Among how many of the nearest an item must be of some item.")
    ] = 100,
    device: DeviceOption = "auto",
) -> None:
    """List what is likely wrong in a catalogue.

    Items of equal or nearly equal content; items whose modalities hardly fit
    each other; items whose neighbours nearly all carry another class; items
    that no item finds. Each line of the file is a suspicion with the figure
    that told it, the strongest of each kind first; nothing is changed.

    [bold]Example[/bold]

      commonspace audit shop --out audit.csv
    """
    from commonspace.retrieval import AuditSettings, Finding, Index

    check_absent(out)
    settings = AuditSettings(duplicate, conflict, neighbours, agreement, reach)
    with Index.open(index, device=device) as opened:
        found = opened.audit(settings)
    with replace_file(out) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Finding)])
        writer.writerows(astuple(one) for one in found)
    counts = Counter(one.kind for one in found)
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    typer.echo(f"{out}: {said or 'nothing suspicious'}")

"""``commonspace audit``: a CSV file of probable errors in a catalog."""

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
    out: Annotated[Path, typer.Option(metavar="FILE", help="New CSV file.")],
    duplicate: Annotated[
        float, typer.Option(help="Minimum cosine similarity of the features of duplicates.")
    ] = 0.995,
    cross_modal_mismatch: Annotated[
        float,
        typer.Option(help="Maximum probability that two modalities of an item share a class."),
    ] = 0.05,
    neighbors: Annotated[
        int, typer.Option(help="Number of nearest items whose labels are compared.")
    ] = 20,
    label_disagreement: Annotated[
        float, typer.Option(help="Minimum fraction of neighbors with another class.")
    ] = 0.8,
    hubness: Annotated[
        int, typer.Option(help="Flag items that are in the top N of no other item (hubness).")
    ] = 100,
    device: DeviceOption = "auto",
) -> None:
    """List probable errors in a catalog.

    Items of equal or nearly equal content; items whose modalities do not match
    each other; items whose neighbors nearly all have another class; items that
    are no item's neighbor. Each line of the file is a suspicion with its
    figure, the strongest of each kind first; nothing is changed.

    [bold]Example[/bold]

      commonspace audit shop --out audit.csv
    """
    from commonspace.retrieval import AuditSettings, Finding, Index

    check_absent(out)
    settings = AuditSettings(
        duplicate, cross_modal_mismatch, neighbors, label_disagreement, hubness
    )
    with Index.open(index, device=device) as opened:
        findings = opened.audit(settings)
    with replace_file(out) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Finding)])
        writer.writerows(astuple(finding) for finding in findings)
    counts = Counter(finding.kind for finding in findings)
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    typer.echo(f"{out}: {summary or 'nothing suspicious'}")

"""Command ``next-labels``: the items of an index that people should label next."""

import json
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from commonspace.cli.index import IndexArgument
from commonspace.cli.options import JsonOption

__all__ = ["next_labels"]


def next_labels(
    index: IndexArgument,
    count: Annotated[int, typer.Option(min=1, help="Number of items.")] = 20,
    corrections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Labels that people gave, whose items are left out (default: the file that serve"
            " --writable writes beside INDEX).",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the items whose labels would help the next training most.

    Items without a class whose most probable classes are nearly equally
    probable, each unlike the others; where all have one, those whose class the
    other items contradict. The page of serve --writable shows the same list
    under "Label". Items of the test split are left out.

    [bold]Examples[/bold]

      commonspace next-labels shop
      commonspace next-labels shop --count 100 --json

    Next: commonspace serve INDEX --writable
    """
    from commonspace.cli.tables import print_table
    from commonspace.data import label_file_of
    from commonspace.retrieval import Index
    from commonspace.serve.labels import LabelFile
    from commonspace.serve.labels import next_labels as choose

    file = LabelFile(corrections or label_file_of(index))
    given = file.read()
    with Index.open(index) as opened:
        proposals, unlabeled = choose(opened, given, count)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in proposals], indent=2, ensure_ascii=False))
        return
    if proposals:
        rows = [
            (one.id, ", ".join(one.given), ", ".join(f"{name} {p:.0%}" for name, p in likely))
            for one in proposals
            for likely in [one.suggestions[:2]]
        ]
        print_table("label next", ("id", "class now", "probable classes"), rows)
    typer.echo(f"{len(given)} items labeled by people, {unlabeled} without a class")
    if given:
        typer.echo(f"next: commonspace train DATA --corrections {quote(str(file.path))} --out RUN")

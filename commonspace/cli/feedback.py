"""Command ``feedback``: the judgments of visitors as pairs for the next training."""

import json
from pathlib import Path
from typing import Annotated

import typer

from commonspace.cli.index import IndexArgument

__all__ = ["feedback"]


def feedback(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File that serve --feedback FILE has written.")
    ],
    index: IndexArgument,
    out: Annotated[
        Path,
        typer.Option(metavar="PAIRS", help="New file of pairs, lines of a metadata.jsonl."),
    ],
) -> None:
    """Turn the judgments of visitors into pairs for the next training.

    For each query in words and each result with more judgments for than
    against it, PAIRS gets a line with the photo of the item and the words as
    its text. Add the lines to the metadata.jsonl of the data, and train again:
    they are further texts of these photos, in the classes and the split that
    the photos have. Items whose photo is in the index alone are left out, as
    are those of an index with copies of the photos.

    [bold]Example[/bold]

      commonspace feedback votes.jsonl shop --out pairs.jsonl
    """
    from commonspace.atomic import replace_file
    from commonspace.retrieval.index import Index
    from commonspace.retrieval.sources import COPIES
    from commonspace.serve.feedback import export_pairs, read_votes

    votes = read_votes(file)
    with Index.open(index) as opened:
        found = {id: item for _, id in votes if (item := opened.item(id)) is not None}
    pairs = export_pairs(votes, found, index / COPIES)
    with replace_file(out) as draft:
        draft.write_text(
            "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs), "utf-8"
        )
    against = sum(count < 0 for count in votes.values())
    typer.echo(f"{out}: {len(pairs)} pairs, of {len(votes)} judged; {against} were judged against")
    left = sum(count > 0 for count in votes.values()) - len(pairs)
    if left:
        typer.echo(f"note: {left} left out: no photo, or a copy inside the index", err=True)

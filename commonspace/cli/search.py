"""``commonspace search``: words, a photo or a file of queries in, the items that fit best out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commonspace.cli.encoders import EncoderOption, encoders_named
from commonspace.cli.index import IndexArgument
from commonspace.cli.options import DeviceOption, JsonOption
from commonspace.errors import FileFormatError, SettingError

if TYPE_CHECKING:
    from commonspace.retrieval import Found

__all__ = ["search"]

SHOWN = 60
"""Characters of a text in the table."""


def search(
    index: IndexArgument,
    words: Annotated[
        str | None,
        typer.Argument(metavar="[WORDS]", help="What to look for.", show_default=False),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A photo to look for; with words: the mean of both."),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='Many queries: a text file with one a line, or .jsonl with "text", "image" or both'
            " in each line.",
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--k", metavar="K", help="How many items to show.")] = 10,
    modality: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Find items by this modality alone."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION",
            help="""Only items for which this holds: 'label = "Watches" and price < 50'.""",
        ),
    ] = None,
    instance_weight: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="From 0, the same kind, to 1, this very thing; for spaces that know it.",
            show_default=False,
        ),
    ] = None,
    min_relevance: Annotated[
        float | None,
        typer.Option(
            metavar="0..1", help="Only items at least so probably relevant.", show_default=False
        ),
    ] = None,
    encoder: EncoderOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Find the items of an index that fit words or a photo best.

    score is the inner product of the query's vector with the item's;
    relevance, where the space is calibrated, is the probability that both
    share a class. Words and a photo together ask with the mean of their
    vectors, each scaled to unit length. Conditions know = != < <= > >=, in,
    like, is null, and, or, not and parentheses, over the items' fields and
    id, label, split; docs/search.md has them all.

    [bold]Examples[/bold]

      commonspace search shop "red running shoes"
      commonspace search shop --image photo.jpg -k 5 --modality text
      commonspace search shop "like this in blue" --image photo.jpg
      commonspace search shop "a watch" --where "price < 50"
      commonspace search shop --queries queries.txt --json
    """
    from commonspace.retrieval import Index, Query, Search

    asked = _asked(words, image, queries)
    how = Search(k, modality, where, instance_weight, min_relevance)
    encoders = encoders_named(None, None, encoder)
    with Index.open(index, encoders=encoders, device=device) as opened:
        found = opened.search_many([Query(**one) for one in asked], how)
        for note in opened.notes:
            typer.echo(f"note: {note}", err=True)
    if as_json:
        answers = [
            {"query": _plain(one), "found": [vars(item) for item in items]}
            for one, items in zip(asked, found, strict=True)
        ]
        typer.echo(json.dumps(answers, indent=2, ensure_ascii=False))
        return
    for one, items in zip(asked, found, strict=True):
        _print(" + ".join(_plain(one).values()), items)


def _asked(words: str | None, image: Path | None, queries: Path | None) -> "list[dict[str, Any]]":
    """Return the arguments of each query."""
    one = {"text": words, "image": image}
    given = {name: value for name, value in one.items() if value is not None}
    if bool(given) == (queries is not None):
        raise SettingError(
            "it is not clear what to look for",
            expected="words, --image or both; or --queries",
            found="both" if given else "none of them",
            advice='write: commonspace search INDEX "a red kite"',
        )
    return [given] if queries is None else _from_file(queries)


def _from_file(file: Path) -> list[dict[str, Any]]:
    from commonspace.data.files import reading

    with reading(file, "a text file of queries"):
        lines = file.read_text("utf-8-sig").split("\n")
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise FileFormatError(
            f"{file} asks nothing",
            expected="a query a line",
            found=f"{len(lines)} empty lines" if len(lines) > 1 else "nothing",
            advice="write words into it, one query a line",
        )
    if file.suffix != ".jsonl":
        return [{"text": line} for _, line in numbered]
    return [_from_line(file, number, line) for number, line in numbered]


def _from_line(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
        known = isinstance(said, dict) and said and said.keys() <= {"text", "image"}
        if not known or not all(isinstance(one, str) and one.strip() for one in said.values()):
            raise ValueError(line.strip()[:60])
    except ValueError as exc:
        raise FileFormatError(
            f"{file}, line {number}, is no query",
            expected='{"text": "words"}, {"image": "photo.jpg"}, or both',
            found=str(exc),
            advice="correct this line",
        ) from exc
    return {key: file.parent / value if key == "image" else value for key, value in said.items()}


def _plain(one: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in one.items()}


def _print(asked: str, items: "list[Found]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not items:
        console.print(Text(f"{_short(asked)}: nothing found"))
        return
    several = len({item.modality for item in items}) > 1
    table = Table(
        title=Text(_short(asked), style="bold"), title_justify="left", box=box.SIMPLE_HEAD
    )
    relevance = items[0].relevance is not None
    table.add_column("score", justify="right")
    if relevance:
        table.add_column("relevance", justify="right")
    for name in ("id", *("by",) * several, "label", "what it is"):
        table.add_column(name)
    for item in items:
        table.add_row(
            f"{item.score:.3f}",
            *((f"{item.relevance:.2f}",) * relevance),
            Text(item.id),
            *((Text(item.modality),) * several),
            Text(", ".join(item.labels)),
            Text(_short(_what(item))),
        )
    console.print(table)


def _what(item: "Found") -> str:
    """Return the text of an item, else its fields, else its picture."""
    if item.texts:
        return item.texts[0]
    fields = ", ".join(f"{name}: {value}" for name, value in item.fields.items())
    return fields or item.photo or ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"

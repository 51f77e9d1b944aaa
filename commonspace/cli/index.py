"""The commands that make and change an index: a run and a data set in, a folder out.

``commonspace search`` asks it (:mod:`commonspace.cli.search`); what looks at it is in
:mod:`commonspace.cli.index_state`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from commonspace.cli.encoders import EncoderOption, ImageOption, TextOption, encoders_named
from commonspace.cli.index_bar import index_bar
from commonspace.cli.interrupts import INTERRUPTED, sigterm_interrupts
from commonspace.cli.options import (
    DataArgument,
    DeviceOption,
    PartialOption,
    RunArgument,
    SplitSeedOption,
)
from commonspace.cli.runs import open_data

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.retrieval import Change, Index

__all__ = ["IndexArgument", "add", "index", "migrate", "remove", "update"]

IndexArgument = Annotated[
    Path, typer.Argument(metavar="INDEX", help="The folder that index wrote.")
]


def index(
    run: RunArgument,
    data: DataArgument,
    out: Annotated[Path, typer.Option(metavar="INDEX", help="A new folder.")],
    kind: Annotated[
        Literal["exact", "auto", "hnsw", "ivf"],
        typer.Option(
            help="exact compares with every item; hnsw and ivf are faster and may miss some (verify"
            " measures how many); auto is exact up to a million vectors."
        ),
    ] = "exact",
    store: Annotated[
        str | None,
        typer.Option(
            metavar="milvus:URI",
            help="Let Milvus search: a server (milvus:http://HOST:19530) or a file of Milvus Lite.",
            show_default=False,
        ),
    ] = None,
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Make an index of a data set, to search in.

    The folder holds the items with their ids, labels and fields, their
    vectors, what they were made from, and a copy of the space: it needs
    neither RUN nor the feature file any more (photos stay where they are).
    A space of features reads words and photos when it is told the encoders
    that made the features, as they were given to extract.

    [bold]Examples[/bold]

      commonspace index runs/photos photos --out shop
      commonspace index runs/vgg f.npz --image vgg19 --out shop
      commonspace index runs/photos photos --kind auto --out shop

    Next: commonspace search INDEX "a red kite"
    """
    from commonspace.retrieval import Index
    from commonspace.space import load

    encoders = encoders_named(image, text, encoder)
    space = load(run, device=device)
    dataset = _opened_data(data, split_seed, partial=partial)
    with _tidy_end(out, data), index_bar("items") as progress:
        made = Index.create(
            out, space, dataset, kind=_choice(kind, store), encoders=encoders, progress=progress
        )
    with made:
        for note in made.notes:
            typer.echo(f"note: {note}", err=True)
        typer.echo(f"{out}: {len(made)} items\nnext: {_next(out, made)}")


def add(
    index: IndexArgument,
    data: DataArgument,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Put new items into an index.

    They are found at once, also by whoever has the index open. Ids that are
    there already are refused, before anything is written.

    [bold]Example[/bold]

      commonspace add shop new-photos
    """
    dataset = _opened_data(data, split_seed, partial=partial)
    with _opened(index, device) as opened:
        with _tidy_end(index, data), index_bar("items") as progress:
            change = opened.add(dataset, progress=progress)
        _tell(change, opened)
        typer.echo(f"{index}: {change.added} added, {len(opened)} items in all")


def update(
    index: IndexArgument,
    data: DataArgument,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Put items into an index: new ones are added, changed ones replaced.

    Items that are there and equal are left as they are, so that the same
    command goes on after a kill. Items that the data lacks stay.

    [bold]Example[/bold]

      commonspace update shop photos
    """
    dataset = _opened_data(data, split_seed, partial=partial)
    with _opened(index, device) as opened:
        with _tidy_end(index, data), index_bar("items") as progress:
            change = opened.update(dataset, progress=progress)
        _tell(change, opened)
        typer.echo(
            f"{index}: {change.added} added, {change.replaced} replaced, {change.described} with"
            f" new fields, {change.unchanged} unchanged; {len(opened)} items in all"
        )


def remove(
    index: IndexArgument,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="The items.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="A text file with an id a line."),
    ] = None,
) -> None:
    """Take items out of an index.

    All of those named are removed or, where one of them is not there, none.

    [bold]Examples[/bold]

      commonspace remove shop 1163 images/17.jpg
      commonspace remove shop --from sold-out.txt
    """
    from commonspace.errors import SettingError

    named = [*(ids or []), *(_lines(file) if file is not None else [])]
    if not named:
        raise SettingError(
            "no item is named",
            expected="ids, or --from FILE",
            found="neither",
            advice='find ids with: commonspace search INDEX "WORDS"',
        )
    with _opened(index, "cpu") as opened:
        change = opened.remove(named)
        _tell(change, opened)
        typer.echo(f"{index}: {change.removed} removed, {len(opened)} items in all")


def migrate(
    index: IndexArgument,
    to: Annotated[Path, typer.Option(metavar="RUN", help="The run whose space shall answer.")],
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Move an index to another space.

    Every item is embedded anew from what the index kept of it. The old space
    answers until all is there; after a stop, the same command goes on.

    [bold]Example[/bold]

      commonspace migrate shop --to runs/better
    """
    from commonspace.space import load

    space = load(to, device=device)
    encoders = encoders_named(image, text, encoder) or None
    with _opened(index, device) as opened, sigterm_interrupts():
        try:
            with index_bar("vectors") as progress:
                count = opened.migrate(space, encoders=encoders, progress=progress)
        except KeyboardInterrupt as exc:
            typer.echo("stopped; the former space answers; the same command goes on", err=True)
            raise typer.Exit(INTERRUPTED) from exc
        what = f"{count} vectors made anew" if count else "it was there already"
        typer.echo(f"{index}: bound to the space of {to}; {what}")


def _choice(kind: str, store: str | None) -> str:
    from commonspace.errors import SettingError

    if store is not None and not store.startswith("milvus:"):
        raise SettingError(
            "there is no such store",
            expected="milvus:URI, such as milvus:http://localhost:19530 or milvus:shop.db",
            found=repr(store),
            advice="leave it out to search without a server",
        )
    if store is not None and kind != "exact":
        raise SettingError(
            "it is not clear what shall search",
            expected="--store milvus:URI without --kind, or --kind alone",
            found=f"--kind {kind} --store {store}",
            advice="leave one of them out",
        )
    return store or kind


def _next(out: Path, made: "Index") -> str:
    """Return a command that works on the new index."""
    if made.reads("texts"):
        return f'commonspace search {out} "WORDS"'
    if made.reads("images"):
        return f"commonspace search {out} --image FILE"
    return (
        f"commonspace verify {out} (it reads features alone; words and photos need the encoders"
        " that made them: --image ENCODER --text ENCODER)"
    )


def _opened(path: Path, device: str) -> "Index":
    from commonspace.retrieval import Index

    return Index.open(path, device=device)


def _opened_data(data: str, split_seed: int, *, partial: bool) -> "Dataset":
    dataset = open_data(data, split_seed, partial=partial, need_splits=False)
    for problem in dataset.warnings:
        typer.echo(f"note: {problem}", err=True)
    return dataset


@contextmanager
def _tidy_end(index: Path, data: str) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, say what was kept and how to go on."""
    with sigterm_interrupts():
        try:
            yield
        except KeyboardInterrupt as exc:
            typer.echo(
                "stopped; what the bar showed is in the index\n"
                f"continue with: commonspace update {index} {data}",
                err=True,
            )
            raise typer.Exit(INTERRUPTED) from exc


def _tell(change: "Change", index: "Index") -> None:
    for note in (*change.notes, *index.notes):
        typer.echo(f"note: {note}", err=True)


def _lines(file: Path) -> list[str]:
    from commonspace.data.reading import reading

    with reading(file, "a text file with an id a line"):
        return [line for line in file.read_text("utf-8-sig").split("\n") if line.strip()]

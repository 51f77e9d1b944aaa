"""Commands that create and change an index: index, add, update, remove, migrate."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from commonspace.cli.encoders import EncoderOption, ImageOption, TextOption, encoders_named
from commonspace.cli.engines import engine_named
from commonspace.cli.index_data import GivenLabelsOption, data_folder, labels_beside, load_items
from commonspace.cli.interrupts import INTERRUPTED, sigterm_interrupts
from commonspace.cli.options import (
    DataArgument,
    DeviceOption,
    GroupOption,
    LinkOption,
    PartialOption,
    PhotosOption,
    PriceOption,
    RunArgument,
    SplitSeedOption,
    TitleOption,
    roles_named,
)
from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.retrieval import Change, Index

__all__ = [
    "IndexArgument",
    "add",
    "index",
    "migrate",
    "remove",
    "roles_named",
    "update",
]

IndexArgument = Annotated[
    Path, typer.Argument(metavar="INDEX", help="Folder that index has written.")
]
CopyPhotosOption = Annotated[
    bool, typer.Option("--copy-photos", help="Copy the photos into the index.")
]


def index(
    run: RunArgument,
    data: DataArgument,
    out: Annotated[Path, typer.Option(metavar="INDEX", help="New folder of the index.")],
    kind: Annotated[
        Literal["exact", "auto", "hnsw", "ivf"],
        typer.Option(
            help="Kind of search: exact compares with every item; hnsw and ivf are faster and"
            " approximate (verify measures the recall); auto is exact up to a million vectors."
        ),
    ] = "exact",
    compress: Annotated[
        int | None,
        typer.Option(
            min=4,
            metavar="BYTES",
            help="Maximum number of bytes of a searched vector, such as 64; the best candidates are"
            " ranked again by exact vectors (default: uncompressed).",
            show_default=False,
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="milvus:URI",
            help="Search in Milvus: a server (milvus:http://HOST:19530) or a file of Milvus Lite.",
            show_default=False,
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TYPE",
            help="Type of a field: number, string, boolean or mixed (default: the type of its"
            " values); can be repeated.",
            show_default=False,
        ),
    ] = None,
    title: TitleOption = None,
    price: PriceOption = None,
    link: LinkOption = None,
    group: GroupOption = None,
    photos: PhotosOption = None,
    copy_photos: CopyPhotosOption = False,
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that build parts of an index of kind ivf, or of a compressed one, from"
            " 100,000 vectors on, or insert parts into Milvus (default: threads of one process).",
            show_default=False,
        ),
    ] = None,
    corrections: GivenLabelsOption = None,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Create a search index of a data set.

    The folder contains the items with their ids, labels and fields, their
    vectors, the content that they were embedded from, and a copy of the space:
    RUN and feature files are no longer needed (photos stay where they are,
    unless --copy-photos is given). If the space was trained on features, name
    the encoders that extracted them, as for extract, to search by words and
    photos.

    [bold]Examples[/bold]

      commonspace index runs/photos photos --out shop
      commonspace index runs/vgg f.npz --image vgg19 --out shop
      commonspace index runs/photos photos --kind auto --compress 64 --out shop
      commonspace index runs/photos photos --title product_name --link url --out shop

    Next: commonspace search INDEX "a red kite"
    """
    from commonspace.progress import ProgressBar
    from commonspace.retrieval import Index
    from commonspace.space import load

    encoders = encoders_named(image, text, encoder)
    types = _field_types(field or [])
    space = load(run, device=device)
    given = corrections or labels_beside(out)
    dataset = load_items(data, photos, split_seed, given, partial=partial)
    with _resumable(out, data):
        made = Index.create(
            out,
            space,
            dataset,
            kind=_kind(kind, store),
            compress=compress,
            encoders=encoders,
            field_types=types,
            roles=roles_named(title, price, link, group),
            photos=photos or data_folder(data),
            copy_photos=copy_photos,
            callbacks=[ProgressBar()],
            engine=engine_named("local", processes, None),
        )
    with made:
        for note in made.notes:
            typer.echo(f"note: {note}", err=True)
        typer.echo(f"{out}: {len(made)} items\nnext: {_next_command(out, made)}")


def add(
    index: IndexArgument,
    data: DataArgument,
    photos: PhotosOption = None,
    copy_photos: CopyPhotosOption = False,
    corrections: GivenLabelsOption = None,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Add new items to an index.

    Processes that have the index open find them at once. Existing ids are an
    error, and nothing is written.

    [bold]Example[/bold]

      commonspace add shop new-photos
    """
    from commonspace.progress import ProgressBar

    given = corrections or labels_beside(index)
    dataset = load_items(data, photos, split_seed, given, partial=partial)
    with _open(index, device) as opened:
        with _resumable(index, data):
            change = opened.add(
                dataset,
                photos=photos or data_folder(data),
                copy_photos=copy_photos,
                callbacks=[ProgressBar()],
            )
        _print_notes(change, opened)
        typer.echo(f"{index}: {change.added} added, {len(opened)} items in total")


def update(
    index: IndexArgument,
    data: DataArgument,
    title: TitleOption = None,
    price: PriceOption = None,
    link: LinkOption = None,
    group: GroupOption = None,
    photos: PhotosOption = None,
    copy_photos: CopyPhotosOption = False,
    corrections: GivenLabelsOption = None,
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Insert new items into an index, and replace changed ones.

    Unchanged items are skipped, so the same command continues after a kill;
    new paths of moved photos are stored. Items that DATA lacks stay.

    [bold]Example[/bold]

      commonspace update shop photos
    """
    from commonspace.progress import ProgressBar

    given = corrections or labels_beside(index)
    dataset = load_items(data, photos, split_seed, given, partial=partial)
    with _open(index, device) as opened:
        with _resumable(index, data):
            change = opened.update(
                dataset,
                photos=photos or data_folder(data),
                copy_photos=copy_photos,
                callbacks=[ProgressBar()],
            )
            if roles := roles_named(title, price, link, group):
                opened.set_roles(roles)
        _print_notes(change, opened)
        typer.echo(
            f"{index}: {change.added} added, {change.replaced} replaced, {change.described} with"
            f" new fields, {change.unchanged} unchanged, {change.moved} moved;"
            f" {len(opened)} items in total"
        )


def remove(
    index: IndexArgument,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Items to remove.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Text file with one id a line.", show_default=False
        ),
    ] = None,
) -> None:
    """Remove items from an index.

    If one of the ids is unknown, nothing is removed.

    [bold]Examples[/bold]

      commonspace remove shop 1163 images/17.jpg
      commonspace remove shop --from sold-out.txt
    """
    named = [*(ids or []), *(_read_lines(file) if file is not None else [])]
    if not named:
        raise SettingError(
            "no item is named",
            expected="ids, or --from FILE",
            found="neither",
            advice='find ids with: commonspace search INDEX "WORDS"',
        )
    with _open(index, "cpu") as opened:
        change = opened.remove(named)
        _print_notes(change, opened)
        typer.echo(f"{index}: {change.removed} removed, {len(opened)} items in total")


def migrate(
    index: IndexArgument,
    to: Annotated[Path, typer.Option(metavar="RUN", help="Run with the new space.")],
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Move an index to another space.

    Every item is embedded again from its stored content. Searches use the
    former space until this is complete; after a stop, the same command
    continues.

    [bold]Example[/bold]

      commonspace migrate shop --to runs/better
    """
    from commonspace.progress import ProgressBar
    from commonspace.space import load

    space = load(to, device=device)
    encoders = encoders_named(image, text, encoder) or None
    with _open(index, device) as opened, sigterm_interrupts():
        try:
            count = opened.migrate(space, encoders=encoders, callbacks=[ProgressBar()])
        except KeyboardInterrupt as exc:
            typer.echo(
                "stopped; the index uses the former space; the same command continues", err=True
            )
            raise typer.Exit(INTERRUPTED) from exc
        result = f"{count} new vectors" if count else "it was already"
        typer.echo(f"{index}: uses the space of {to}; {result}")


def _kind(kind: str, store: str | None) -> str:
    if store is not None and not store.startswith("milvus:"):
        raise SettingError(
            "the store is unknown",
            expected="milvus:URI, such as milvus:http://localhost:19530 or milvus:shop.db",
            found=repr(store),
            advice="leave it out to search without a server",
        )
    if store is not None and kind != "exact":
        raise SettingError(
            "`--kind` and `--store` exclude each other",
            expected="--store milvus:URI without --kind, or --kind alone",
            found=f"--kind {kind} --store {store}",
            advice="leave one of them out",
        )
    return store or kind


def _field_types(options: list[str]) -> dict[str, str]:
    types = {}
    for option in options:
        name, equals, kind = option.rpartition("=")
        if not equals or not name:
            raise SettingError(
                "`--field` must be NAME=TYPE",
                expected="--field price=number",
                found=repr(option),
                advice="name the field and its type: number, string, boolean or mixed",
            )
        types[name] = kind
    return types


def _next_command(out: Path, made: "Index") -> str:
    """Return a command that works on the new index."""
    place = quote(str(out))
    if made.reads("texts"):
        return f'commonspace search {place} "WORDS"'
    if made.reads("images"):
        return f"commonspace search {place} --image FILE"
    return (
        f"commonspace search {place} --id ID (words and photos need the encoders of the features:"
        " --image ENCODER --text ENCODER)"
    )


def _open(path: Path, device: str) -> "Index":
    from commonspace.retrieval import Index

    return Index.open(path, device=device)


@contextmanager
def _resumable(index: Path, data: str) -> Iterator[None]:
    """On Ctrl-C or SIGTERM, print what is stored and how to continue."""
    with sigterm_interrupts():
        try:
            yield
        except KeyboardInterrupt as exc:
            typer.echo(
                "stopped; the items that the bar counted are in the index\n"
                f"continue with: commonspace update {quote(str(index))} {quote(data)}",
                err=True,
            )
            raise typer.Exit(INTERRUPTED) from exc


def _print_notes(change: "Change", index: "Index") -> None:
    for note in (*change.notes, *index.notes):
        typer.echo(f"note: {note}", err=True)


def _read_lines(file: Path) -> list[str]:
    from commonspace.data.reading import reading

    with reading(file, "a text file with an id a line"):
        return [line for line in file.read_text("utf-8-sig").split("\n") if line.strip()]

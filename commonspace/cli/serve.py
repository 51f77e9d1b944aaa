"""``commonspace serve``, and what it needs: the map of an index, and API keys."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from commonspace.cli.index import IndexArgument
from commonspace.cli.interrupts import sigterm_interrupts
from commonspace.cli.options import DeviceOption
from commonspace.errors import SettingError

__all__ = ["key", "map_", "serve"]


def serve(
    index: IndexArgument,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0: on every network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free one.")
    ] = 8000,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Only callers with a key of this file may ask."),
    ] = None,
    open_to_all: Annotated[
        bool,
        typer.Option("--open-to-all", help="Listen beyond this machine although there is no key."),
    ] = False,
    known_as: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name by which it is called, such as that of a proxy; may be repeated.",
        ),
    ] = None,
    writable: Annotated[
        bool, typer.Option("--writable", help="Let callers put items in and take them out.")
    ] = False,
    make_map: Annotated[
        bool, typer.Option("--map", help="Make the map in the background where there is none.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the page is called.")
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Queries that share a forward pass, at most.")
    ] = 32,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Cores that a forward pass takes.", show_default="all but one"),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Requests a second of one caller; 0: any number.")
    ] = 50.0,
    log_queries: Annotated[
        bool, typer.Option("--log-queries", help="Write what is asked to the log, too.")
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Serve an index: a page for people, an API for programs.

    The page is at the address that is printed, GET /openapi.json describes
    the API, and docs/service.md shows a call of each kind. Ctrl-C ends it;
    requests that have begun are answered first. What other commands change
    in INDEX is found at once.

    [bold]Examples[/bold]

      commonspace serve shop
      commonspace serve shop --port 9000 --map
      commonspace key keys.txt laptop
      commonspace serve shop --host 0.0.0.0 --keys keys.txt --writable
    """
    local = host in ("127.0.0.1", "::1", "localhost")
    if not local and keys is None and not open_to_all:
        raise SettingError(
            f"on {host} anybody on the network could ask",
            expected="--keys FILE, or --open-to-all where that is meant",
            found="neither",
            advice="make a key: commonspace key keys.txt NAME",
        )
    import torch

    from commonspace.serve import ServiceSettings, build_app, run
    from commonspace.serve.keys import read_keys
    from commonspace.serve.settings import LOCAL_HOSTS

    called = tuple(known_as or ())
    settings = ServiceSettings(
        name=name,
        writable=writable,
        keys=read_keys(keys) if keys is not None else {},
        hosts=(*LOCAL_HOSTS, *called) if local or called else (),
        batch=batch,
        rate=rate,
        log_queries=log_queries,
    )
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("commonspace").setLevel(logging.INFO)
    # One core is left to the loop: the threads of a pass wait for each other.
    torch.set_num_threads(threads or max(1, torch.get_num_threads() - 1))
    app = build_app(index, settings, device=device, make_a_map=make_map)

    def tell(address: str, taken: int) -> None:
        shown = f"[{address}]" if ":" in address else address
        typer.echo(f"{index}: serving on http://{shown}:{taken}/ (Ctrl-C ends)")

    with sigterm_interrupts():
        try:
            run(app, host, port, started=tell)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)


def map_(
    index: IndexArgument,
    most: Annotated[
        int,
        typer.Option(
            min=5, help="Points that t-SNE lays out; the others go between their nearest."
        ),
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample and of t-SNE.")] = 0,
) -> None:
    """Make the map of an index: every item on a plane, for the page.

    Items that fit each other lie close together, by t-SNE. The map is kept
    in INDEX, and replaced by the next one; it shows the items of now.

    [bold]Example[/bold]

      commonspace map shop
    """
    from rich.progress import Progress

    from commonspace.retrieval import Index
    from commonspace.serve.atlas import make_map

    with Index.open(index) as opened, Progress(transient=True) as bar:
        task = bar.add_task("t-SNE", total=1.0)
        count = make_map(
            opened,
            most=most,
            seed=seed,
            progress=lambda share: bar.update(task, completed=share),
        )
    typer.echo(f"{index}: a map of {count} points\nnext: commonspace serve {index}")


def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Made where it is not there.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom the key is for.")],
) -> None:
    """Make an API key for the service, and show it this once.

    FILE gets a line with NAME and a hash, from which the key cannot be had
    again. Delete the line and start the service anew to withdraw it.

    [bold]Example[/bold]

      commonspace key keys.txt laptop
    """
    from commonspace.serve.keys import add_key

    made = add_key(file, name)
    typer.echo(f"{name} is in {file}; the key itself is kept nowhere:", err=True)
    typer.echo(made)

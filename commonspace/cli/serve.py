"""``commonspace serve``, ``map`` and ``key``: the service, the map of an index, and API keys."""

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from commonspace.allocator import share_one_arena
from commonspace.cli.index import IndexArgument
from commonspace.cli.interrupts import sigterm_interrupts
from commonspace.cli.options import DeviceOption
from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.serve import ServiceSettings

__all__ = ["key", "map_", "run_service", "serve"]


def serve(
    index: IndexArgument,
    more: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[INDEX...]",
            help="Further indexes, under /v1/indexes/NAME and /indexes/NAME/, with the names of"
            " their folders.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for every network."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 chooses a free one.")
    ] = 8000,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Require an API key from this file."),
    ] = None,
    allow_anonymous: Annotated[
        bool,
        typer.Option(
            "--allow-anonymous", help="Accept requests from other machines without API keys."
        ),
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Accept requests addressed to this host name, such as that of a proxy;"
            " repeatable.",
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Use X-Forwarded-For and X-Forwarded-Proto of a proxy with this address or in"
            " this network; repeatable.",
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="Let pages of this site, such as https://shop.example, call the API; repeatable.",
        ),
    ] = None,
    writable: Annotated[
        bool,
        typer.Option("--writable", help="Let callers add, replace and remove items."),
    ] = False,
    feedback: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Let visitors judge results, and add their judgments to this file.",
        ),
    ] = None,
    snapshots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Let callers that may write create and restore snapshots, in this folder.",
            show_default=False,
        ),
    ] = None,
    make_map: Annotated[
        bool, typer.Option("--map", help="Compute the map in the background if there is none.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Title of the page.", show_default="name of INDEX"),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Maximum number of queries in one forward pass.")
    ] = 32,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Number of cores for a forward pass.", show_default="all but one"),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Requests a second of one caller; 0 for no limit.")
    ] = 50.0,
    log_queries: Annotated[
        bool, typer.Option("--log-queries", help="Log the content of queries.")
    ] = False,
    log_format: Annotated[
        Literal["text", "json"], typer.Option(help="Format of the log lines.")
    ] = "text",
    device: DeviceOption = "auto",
) -> None:
    """Serve an index: a page for people, an API for programs.

    Prints the address of the page. GET /openapi.json describes the API;
    docs/service.md shows an example of each call. Ctrl-C stops the service
    after the requests in progress. Changes that other commands make to
    INDEX take effect at once.

    [bold]Examples[/bold]

      commonspace serve shop
      commonspace serve shop --port 9000 --map
      commonspace serve shop books
      commonspace key keys.txt laptop
      commonspace serve shop --host 0.0.0.0 --keys keys.txt
    """
    local = host in ("127.0.0.1", "::1", "localhost")
    if not local and keys is None and not allow_anonymous:
        raise SettingError(
            f"a service on {host} would accept requests from the whole network",
            expected="--keys FILE, or --allow-anonymous",
            found="neither",
            advice="create a key: commonspace key keys.txt NAME",
        )
    from commonspace.serve import ServiceSettings
    from commonspace.serve.access import read_keys
    from commonspace.serve.settings import LOCAL_HOSTS

    hosts = tuple(allowed_host or ())
    settings = ServiceSettings(
        name=name,
        writable=writable,
        feedback=feedback,
        snapshots=snapshots,
        keys=read_keys(keys) if keys is not None else {},
        allowed_hosts=(*LOCAL_HOSTS, *hosts) if local or hosts else (),
        cors_origins=tuple(cors_origin or ()),
        trusted_proxies=tuple(trusted_proxy or ()),
        batch_size=batch,
        rate=rate,
        log_queries=log_queries,
    )
    run_service(
        index,
        settings,
        host,
        port,
        more=more or (),
        device=device,
        make_map=make_map,
        threads=threads,
        log_format=log_format,
    )


def run_service(
    index: Path,
    settings: "ServiceSettings",
    host: str,
    port: int,
    *,
    more: Sequence[Path] = (),
    device: str,
    make_map: bool = False,
    threads: int | None = None,
    log_format: Literal["text", "json"] = "text",
) -> None:
    """Serve an index until a signal, and print the address of its page.

    Args:
        index: folder of the index.
        settings: limits and access.
        host: address to listen on.
        port: 0 chooses a free one.
        more: folders of further indexes.
        device: where the space computes.
        make_map: whether a missing map is computed in the background.
        threads: cores for a forward pass; None: all but one.
        log_format: of the log lines.

    Raises:
        SettingError: The address is not available.
        StoreError: There is no index, or it cannot be used.
    """
    share_one_arena()
    import torch

    from commonspace.serve import build_app, run
    from commonspace.serve.logs import configure_logging

    configure_logging(log_format)
    # One core is left for the event loop: the threads of a forward pass wait for each other.
    torch.set_num_threads(threads or max(1, torch.get_num_threads() - 1))
    app = build_app(index, settings, more=more, device=device, compute_map=make_map)

    def announce(address: str, taken_port: int) -> None:
        shown = f"[{address}]" if ":" in address else address
        names = ", ".join(map(str, (index, *more)))
        typer.echo(f"{names}: serving on http://{shown}:{taken_port}/ (Ctrl-C to stop)")

    with sigterm_interrupts():
        try:
            run(app, host, port, started=announce, trusted_proxies=settings.trusted_proxies)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)


def map_(
    index: IndexArgument,
    max_points: Annotated[
        int,
        typer.Option(
            min=5,
            help="Maximum number of points that t-SNE places; others are placed between their"
            " nearest neighbors.",
        ),
    ] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the sample and of t-SNE.")] = 0,
) -> None:
    """Compute the map of an index: all items in two dimensions, for the page.

    Similar items are close to each other, by t-SNE. The map is stored in
    INDEX and replaces an older one. It shows the items of now.

    [bold]Example[/bold]

      commonspace map shop
    """
    from rich.progress import Progress

    from commonspace.retrieval import Index
    from commonspace.serve.projection import make_map

    with Index.open(index) as opened, Progress(transient=True) as bar:
        task = bar.add_task("t-SNE", total=1.0)
        count = make_map(
            opened,
            max_points=max_points,
            seed=seed,
            progress=lambda fraction: bar.update(task, completed=fraction),
        )
    typer.echo(f"{index}: a map of {count} points\nnext: commonspace serve {quote(str(index))}")


def key(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Key file; created if it does not exist.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will use the key.")],
    write: Annotated[
        bool, typer.Option("--write", help="Let the key add, replace and remove items, too.")
    ] = False,
) -> None:
    """Create an API key for the service, and print it once.

    FILE gets a line with NAME and a hash of the key. To revoke the key,
    delete the line and restart the service.

    [bold]Examples[/bold]

      commonspace key keys.txt laptop
      commonspace key keys.txt importer --write
    """
    from commonspace.serve.access import add_key

    new_key = add_key(file, name, write=write)
    typer.echo(f"{name} was added to {file}. The key itself is not stored:", err=True)
    typer.echo(new_key)

"""The command ``commonspace``: its commands, its help, and how errors are shown.

Each command has its own file. Torch is loaded inside the commands that need it, so that the help
is there at once.
"""

import os
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

import commonspace
from commonspace.cli.audit import audit
from commonspace.cli.compare import compare
from commonspace.cli.data import data
from commonspace.cli.demo import demo
from commonspace.cli.embed import embed
from commonspace.cli.evaluate import evaluate
from commonspace.cli.extract import extract
from commonspace.cli.index import add, index, migrate, remove, update
from commonspace.cli.index_state import info, verify
from commonspace.cli.interrupts import INTERRUPTED
from commonspace.cli.report import report
from commonspace.cli.reproduce import reproduce
from commonspace.cli.search import search
from commonspace.cli.serve import key, map_, serve
from commonspace.cli.surface import surface
from commonspace.cli.train import train
from commonspace.errors import CommonspaceError

__all__ = ["COMMANDS", "Command", "Group", "build", "main"]

HELP = """One common space in which a photo finds texts and a sentence finds photos.

Learn it from labelled samples of several modalities; measure it; use it.
Data is a feature file (.npz .mat .h5 .parquet), a folder of images with
metadata.jsonl, a benchmark such as wikipedia:FOLDER, or the word scenes,
a data set that is built in.

[bold]From nothing to a measured space[/bold]

  commonspace demo                               see it work on built-in data
  commonspace data photos                        look at your own data
  commonspace train photos --out runs/photos     learn a space from it
  commonspace evaluate runs/photos               mAP on the test split
  commonspace report runs/photos                 the same in pictures
  commonspace embed runs/photos --data photos --out vectors.npz

[bold]Search[/bold]

  commonspace index runs/photos photos --out shop
  commonspace search shop "a red kite"
  commonspace search shop --image photo.jpg --where "price < 50"
  commonspace add shop new-photos
  commonspace update shop photos
  commonspace remove shop images/17.jpg
  commonspace info shop
  commonspace verify shop
  commonspace migrate shop --to runs/better
  commonspace audit shop --out audit.csv         what is likely wrong in it
  commonspace serve shop                         a page and an API
  commonspace map shop                           all items on a plane, for it
  commonspace key keys.txt laptop                who may ask

[bold]With trained encoders[/bold]

  commonspace extract photos --image vgg19 --text textcnn --out features.npz
  commonspace train features.npz --out runs/vgg

[bold]Which method is worth it[/bold]

  commonspace compare features.npz --out tables/all
  commonspace reproduce wikipedia --data wikipedia_dataset
  commonspace surface runs/photos                how lambda and eta matter

[bold]Where to go next[/bold]

Each command explains itself: commonspace train --help. The README shows
the same in six lines of Python; docs/data.md has every form of data, and
docs/encoders.md every encoder.
An error says what was expected, what came and what to do; its code is 2."""


class Command(NamedTuple):
    """A command and the heading under which the help lists it."""

    run: Callable[..., None]
    heading: str


COMMANDS: dict[str, Command] = {
    "demo": Command(demo, "Begin"),
    "data": Command(data, "Begin"),
    "extract": Command(extract, "Learn and measure"),
    "train": Command(train, "Learn and measure"),
    "evaluate": Command(evaluate, "Learn and measure"),
    "compare": Command(compare, "Compare"),
    "report": Command(report, "Learn and measure"),
    "reproduce": Command(reproduce, "Compare"),
    "surface": Command(surface, "Compare"),
    "embed": Command(embed, "Use"),
    "index": Command(index, "Search"),
    "search": Command(search, "Search"),
    "add": Command(add, "Search"),
    "update": Command(update, "Search"),
    "remove": Command(remove, "Search"),
    "info": Command(info, "Search"),
    "verify": Command(verify, "Search"),
    "migrate": Command(migrate, "Search"),
    "audit": Command(audit, "Search"),
    "serve": Command(serve, "Serve"),
    "map": Command(map_, "Serve"),
    "key": Command(key, "Serve"),
}

SPELLINGS = {"partial=True": "--partial"}
"""What advice for Python is called on the command line."""


class _PlainFlags:
    """A help page on which an option that takes no value is not shown to take one."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - as typer declares it
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""  # else typer writes <bool>
        return params


class _CommandPage(_PlainFlags, TyperCommand):
    """One command, on such a page."""


class Group(_PlainFlags, TyperGroup):
    """The group of all commands: it turns errors for people into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer declares it
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except CommonspaceError as error:
            _show(error)
            raise typer.Exit(2) from error
        except (MemoryError, RuntimeError) as exc:
            if not _lacks_memory(exc):
                raise
            _show(
                CommonspaceError(
                    "the memory does not suffice",
                    expected="room for the data, the network and a batch",
                    found=(str(exc).splitlines() or ["none left"])[0],
                    advice="take smaller sizes (--batch-size, --hidden-dim, --embedding-dim), or less data",
                )
            )
            raise typer.Exit(2) from exc
        except KeyboardInterrupt as exc:
            typer.echo("stopped", err=True)
            raise typer.Exit(INTERRUPTED) from exc


def build() -> typer.Typer:
    """Return the application with all its commands."""
    app = typer.Typer(
        name="commonspace",
        cls=Group,
        help=HELP,
        rich_markup_mode="rich",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, command in COMMANDS.items():
        app.command(name, cls=_CommandPage, rich_help_panel=command.heading)(command.run)
    return app


def main() -> None:
    """Run the command line of this process."""
    # Read when torch is loaded. Threads that wait in a loop hold the cores on which, where other
    # programs run beside, the threads that they wait for would work: some ten times the time.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    build()()


def _show(error: CommonspaceError) -> None:
    message = str(error)
    for python, option in SPELLINGS.items():
        message = message.replace(python, option)
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(message, err=True)


def _lacks_memory(exc: Exception) -> bool:
    """Tell whether memory ran out; torch says so with a bare RuntimeError on the CPU and on MPS."""
    words = ("allocate memory", "out of memory", "not enough memory", "calculation overflowed")
    return isinstance(exc, MemoryError) or any(word in str(exc) for word in words)


def _options(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and end.",
            is_eager=True,
            callback=lambda asked: _print_version(asked),
        ),
    ] = False,
) -> None:
    """Take what stands before the command; the callback of --version has acted on it."""


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(commonspace.__version__)
        raise typer.Exit

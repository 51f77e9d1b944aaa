"""The command ``commonspace``: its subcommands, its help, and how errors are shown.

Commands import torch when they need it, so that the help appears at once.
"""

import codecs
import errno
import json
import os
import re
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import commonspace
from commonspace.cli.interrupts import INTERRUPTED
from commonspace.cli.processes import be_silent, check_command, is_follower
from commonspace.errors import CommonspaceError

__all__ = ["COMMANDS", "Group", "build", "main"]

HELP = """Supervised cross-modal retrieval: a text finds photos, a photo finds texts.

DATA is a folder of images with metadata.jsonl or metadata.csv, a feature file
(.npz .mat .h5 .parquet), a benchmark such as wikipedia:FOLDER, or the word
scenes for the built-in data set.

[bold]Start[/bold]

  commonspace start photos                       from a folder to a search page
  commonspace demo                               train and search, in a minute

[bold]Data[/bold]

  commonspace data photos                        check a data set
  commonspace assess features.npz                is training worth it?
  commonspace extract photos --image vgg19 --text textcnn --out features.npz

[bold]Train and evaluate[/bold]

  commonspace train photos --out runs/photos     fit a common space
  commonspace evaluate runs/photos               mAP on the test split
  commonspace report runs/photos                 figures on one HTML page
  commonspace embed runs/photos --data photos --out vectors.npz

[bold]Compare[/bold]

  commonspace compare features.npz --out tables/all
  commonspace reproduce wikipedia --data wikipedia_dataset
  commonspace sensitivity runs/photos            effect of lambda and eta
  commonspace new-method center-loss             a method of your own
  commonspace check-method center_loss.py:CenterLoss

[bold]Search[/bold]

  commonspace index runs/photos photos --out shop
  commonspace search shop "a red kite"
  commonspace search shop --image photo.jpg --where "price < 50"
  commonspace add shop new-photos                add items
  commonspace update shop photos                 add and replace items
  commonspace remove shop images/17.jpg
  commonspace info shop                          contents of an index
  commonspace verify shop                        check an index
  commonspace migrate shop --to runs/better      move to another space
  commonspace audit shop --out audit.csv         likely errors in the data

[bold]Serve[/bold]

  commonspace serve shop                         web page and HTTP API
  commonspace map shop                           2-d map of all items
  commonspace key keys.txt laptop                create an API key
  commonspace feedback votes.jsonl shop --out pairs.jsonl
  commonspace next-labels shop                   items to label next

commonspace COMMAND --help shows all options of a command, with examples.
Errors state what was expected, what was found and what to do; exit code 2."""

COMMANDS: dict[str, str] = {
    "start": "start:start",
    "demo": "demo:demo",
    "data": "data:data",
    "assess": "assess:assess",
    "extract": "extract:extract",
    "train": "train:train",
    "evaluate": "evaluate:evaluate",
    "report": "report:report",
    "embed": "embed:embed",
    "compare": "compare:compare",
    "reproduce": "reproduce:reproduce",
    "sensitivity": "sensitivity:sensitivity",
    "new-method": "new_method:new_method",
    "check-method": "new_method:check_method",
    "index": "index:index",
    "search": "search:search",
    "add": "index:add",
    "update": "index:update",
    "remove": "index:remove",
    "info": "index_state:info",
    "verify": "index_state:verify",
    "migrate": "index:migrate",
    "audit": "audit:audit",
    "serve": "serve:serve",
    "map": "serve:map_",
    "key": "serve:key",
    "feedback": "feedback:feedback",
    "next-labels": "next_labels:next_labels",
}
"""Command -> module of ``commonspace.cli`` and function, imported when the command is used."""

OPTION_NAMES = {"partial=True": "--skip-invalid"}
"""Python arguments in messages, and the options that replace them."""


class _PlainFlags:
    """Help page that shows no metavar for flags."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - as typer declares it
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""  # typer writes <bool>
        return params


class _CommandPage(_PlainFlags, TyperCommand):
    """Help page of one command."""


class _Commands(MutableMapping[str, Any]):
    """The commands by name, each imported when it is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a command of typer
        if name not in self._loaded:
            module, _, function = COMMANDS[name].partition(":")
            run = getattr(import_module(f"commonspace.cli.{module}"), function)
            app = typer.Typer(add_completion=False, rich_markup_mode="rich")
            app.command(name, cls=_CommandPage)(run)
            self._loaded[name] = typer.main.get_command(app)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Group(_PlainFlags, TyperGroup):
    """Group of all commands; turns the errors of this package into a message and exit code 2."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - as typer declares them
        super().__init__(**settings)
        self.commands = _Commands()

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the help page without importing a command, or Rich."""
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, pieces)
        text = re.sub(r"\[bold\](.*?)\[/bold\]", lambda one: typer.style(one[1], bold=True), HELP)
        formatter.write(f"\n{text}\n\n")
        rows = [record for one in self.get_params(ctx) if (record := one.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(rows)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer declares it
        """Run a command."""
        try:
            return super().invoke(ctx)
        except CommonspaceError as error:
            _show(error)
            raise typer.Exit(2) from error
        except OSError as exc:
            if exc.errno != errno.ENAMETOOLONG:
                raise
            _show(
                CommonspaceError(
                    "a path is too long",
                    expected="a path that this system allows",
                    found=f"{str(exc.filename)[:60]}…",
                    advice="give the path of a file or folder",
                )
            )
            raise typer.Exit(2) from exc
        except (MemoryError, RuntimeError) as exc:
            if not _lacks_memory(exc):
                raise
            _show(
                CommonspaceError(
                    "out of memory",
                    expected="enough memory for the data, the network and one batch",
                    found=(str(exc).splitlines() or ["none left"])[0],
                    advice="use a smaller --batch-size, smaller dimensions, or less data",
                )
            )
            raise typer.Exit(2) from exc
        except KeyboardInterrupt as exc:
            typer.echo("stopped", err=True)
            raise typer.Exit(INTERRUPTED) from exc


def build() -> typer.Typer:
    """Return the application with all commands."""
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
    return app


def main() -> None:
    """Run the command line."""
    # Read when torch is imported. Threads that wait in a busy loop take the cores from the threads
    # that they wait for: beside other programs, training takes ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if is_follower():
        be_silent()
    _allow_any_character("--json" in sys.argv)
    sys.argv[1:] = [_expand_home(argument) for argument in sys.argv[1:]]
    build()()


def _allow_any_character(as_json: bool) -> None:
    """Replace characters that the terminal cannot show: by "?", in JSON by their escapes."""
    codecs.register_error("json", lambda error: (_escape(error), error.end))  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="json" if as_json else "replace")


def _escape(error: UnicodeError) -> str:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1]


def _expand_home(argument: str) -> str:
    """Return an argument in which a leading ~, also of --option=~, is the home folder."""
    option, equals, value = (
        argument.partition("=") if argument.startswith("--") else ("", "", argument)
    )
    path = str(Path(value).expanduser()) if value == "~" or value.startswith("~/") else value
    return f"{option}{equals}{path}"


def _show(error: CommonspaceError) -> None:
    message = str(error)
    for python, option in OPTION_NAMES.items():
        message = message.replace(python, option)
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(message, err=True)


def _lacks_memory(exc: Exception) -> bool:
    """Return whether memory ran out; torch raises a bare RuntimeError on the CPU and on MPS."""
    words = ("allocate memory", "out of memory", "not enough memory", "calculation overflowed")
    return isinstance(exc, MemoryError) or any(word in str(exc) for word in words)


def _options(
    context: typer.Context,
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="FILE.py:CLASS",
            help="Class of a user-defined network or encoder that saved models name; repeatable.",
        ),
    ] = None,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=lambda show: _print_version(show),
        ),
    ] = False,
) -> None:
    """Accept options before the command; --version is handled by its callback."""
    check_command(context.invoked_subcommand)
    if network:
        from commonspace.encoders.torch_module import load_class, short_name
        from commonspace.networks import use_networks
        from commonspace.networks.backbones.torch_module import use_modules

        classes = {spec: load_class(spec) for spec in network}
        names = {spec.rpartition(":")[2]: loaded for spec, loaded in classes.items()}
        context.with_resource(use_networks(names))
        modules = {short_name(spec): loaded for spec, loaded in classes.items()}
        context.with_resource(use_modules(modules))


def _print_version(show: bool) -> None:
    if show:
        typer.echo(commonspace.__version__)
        raise typer.Exit

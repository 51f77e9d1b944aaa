"""``commonspace report``: a run and a split in, pictures and one page out."""

import shlex
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer

from commonspace.cli.interrupts import sigterm_interrupts
from commonspace.cli.options import (
    DeviceOption,
    OtherDataOption,
    OtherSplitSeedOption,
    PartialOption,
    RunArgument,
    Split,
)
from commonspace.cli.runs import RunRecord, data_of

if TYPE_CHECKING:
    from commonspace.data import Dataset
    from commonspace.space import CommonSpace

__all__ = ["report"]


def report(
    run: RunArgument,
    data: OtherDataOption = None,
    split: Annotated[Split, typer.Option(help="The samples that ask and answer.")] = "test",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A new folder; by itself RUN/report, or RUN/report-SPLIT.",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        str, typer.Option(metavar="LIST", help="Kinds of picture files, with commas between.")
    ] = "png,svg,pdf",
    items: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="The photos and texts that the features were made of; by itself, those beside"
            " the feature file.",
            show_default=False,
        ),
    ] = None,
    points: Annotated[
        int, typer.Option(min=5, help="Samples of each modality in the t-SNE panels, at most.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of t-SNE and of the bootstrap.")] = 0,
    split_seed: OtherSplitSeedOption = None,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Describe a run in pictures, and in one page that needs nothing else.

    report.html has the figures with their intervals, how the space came
    about, the common space by t-SNE, the course of the training, precision
    and recall, each class, which classes are confused, and the best and
    worst queries. Each picture is a file as well; report.json has the
    numbers. The report describes: nothing is chosen by it.

    [bold]Examples[/bold]

      commonspace report runs/photos
      commonspace report runs/photos --split validation --formats pdf
      commonspace report runs/features --items photos --out report

    Next: open report.html in a browser, and print it if you like.
    """
    from commonspace.reporting import PAGE, ReportOptions, Subject, write_report
    from commonspace.space import load

    options = ReportOptions(formats=formats.split(","), points=points, seed=seed)
    place = out or run / ("report" if split == "test" else f"report-{split}")
    space = load(run, device=device)
    dataset = data_of(run, data, split_seed, partial=partial)
    record = RunRecord.read(run)
    named = data or (record.data if record else "")
    subject = Subject(
        name=run.resolve().name,
        space=space,
        data=dataset.split(split),
        split=split,
        run=run,
        source=Path(named) if named and Path(named).is_file() else None,
        items=items,
        notes=[] if data else _notes(space, dataset, split),
    )
    with sigterm_interrupts(), _Bar() as bar:
        notes = write_report(subject, place, options, bar)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"{place}\nnext: open {shlex.quote(str(place / PAGE))}")


_SEEN = {
    "train": "The space was trained on these very samples: the figures flatter it.",
    "validation": "The epoch or the settings were chosen on these very samples: the figures flatter"
    " the space a little.",
}


def _notes(space: "CommonSpace", dataset: "Dataset", split: Split) -> list[str]:
    """Return what a reader should know about data that the run was trained on."""
    from commonspace.cli.evaluate import trained_on

    notes = [_SEEN[split]] if split in _SEEN else []
    if not trained_on(space, dataset):
        notes.append(
            "The training samples are no longer those that the space was trained on: samples of"
            " this split may have been among them."
        )
    return notes


class _Bar:
    """A bar on standard error with the time that is left; in a log file, a line for each tenth."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._live, self._console, self._tenths = console.is_terminal, console, 0
        self._progress = Progress(
            TextColumn("report"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[what]}"),
            console=console,
            disable=not self._live,
            transient=True,
        )
        self._task = self._progress.add_task("report", total=1.0, what="embedding")

    def __enter__(self) -> Self:
        """Draw the bar."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._progress.stop()

    def advanced(self, what: str, share: float) -> None:
        """Move on."""
        if self._live:
            self._progress.update(self._task, completed=share, what=what)
        elif int(share * 10) > self._tenths:
            self._tenths = int(share * 10)
            self._console.print(
                f"report {share:.0%}  {what}", soft_wrap=True, highlight=False, markup=False
            )

"""Command ``report``: metrics and figures of a run, as files and one HTML page."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    split: Annotated[Split, typer.Option(help="Split of the queries and the gallery.")] = "test",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="New folder (default: RUN/report, or RUN/report-SPLIT).",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        str, typer.Option(metavar="LIST", help="Formats of the figure files, separated by commas.")
    ] = "png,svg,pdf",
    items: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Photos and texts that the features were made of (default: those beside the"
            " feature file).",
            show_default=False,
        ),
    ] = None,
    points: Annotated[
        int,
        typer.Option(min=5, help="Maximum number of samples of each modality in the t-SNE panels."),
    ] = 2000,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed of t-SNE and of the bootstrap.")
    ] = 0,
    split_seed: OtherSplitSeedOption = None,
    partial: PartialOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Write a report of a run: metrics and figures on one HTML page.

    report.html has mAP and other metrics with confidence intervals, the
    provenance of the model, scatter plots of the common space (t-SNE),
    learning curves, precision-recall curves, the mAP of each class, the class
    confusion, and the best and worst queries. Each figure is also a file;
    report.json has the numbers.

    [bold]Examples[/bold]

      commonspace report runs/photos
      commonspace report runs/photos --split validation --formats pdf
      commonspace report runs/features --items photos --out report

    Next: open report.html in a browser.
    """
    from commonspace.progress import ProgressBar
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
        train=dataset.split("train") if (dataset.splits == "train").any() else None,
        run=run,
        source=Path(named) if named and Path(named).is_file() else None,
        items=items,
        notes=[] if data else _notes(space, dataset, split),
    )
    with sigterm_interrupts():
        notes = write_report(subject, place, options, [ProgressBar()])
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"{place}\nnext: open {shlex.quote(str(place / PAGE))}")


_SEEN = {
    "train": "The model was trained on these samples: the metrics are too high.",
    "validation": "The epoch or the settings were chosen on these samples: the metrics are slightly"
    " too high.",
}


def _notes(space: "CommonSpace", dataset: "Dataset", split: Split) -> list[str]:
    """Return notes on data that the run was trained on."""
    from commonspace.cli.evaluate import trained_on

    notes = [_SEEN[split]] if split in _SEEN else []
    if not trained_on(space, dataset):
        notes.append(
            "The training samples have changed since training: samples of this split may have been"
            " among them."
        )
    return notes

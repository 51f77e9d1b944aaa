"""``commonspace compare``: a data set and methods in, a table that can be believed out."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from commonspace.cli.comparison_bar import ComparisonBar
from commonspace.cli.encoders import (
    EncoderOption,
    ImageOption,
    MultiCaptionOption,
    TextOption,
    encoders_named,
)
from commonspace.cli.features import extracted
from commonspace.cli.interrupts import resumable
from commonspace.cli.options import DataArgument, JobsOption, PartialOption, SplitSeedOption
from commonspace.cli.rows import ROWS, rows_named
from commonspace.cli.runs import open_data
from commonspace.errors import SettingError, TrainingError

if TYPE_CHECKING:
    from commonspace.comparison import Line

__all__ = ["compare"]

Protocol = Literal["validation", "as-published"]

BUDGET = "The same for every method"


def compare(
    data: DataArgument,
    out: Annotated[
        Path,
        typer.Option(metavar="TABLE", help="The folder of the table and of its cells."),
    ],
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help=f"With commas, or repeated: {', '.join(ROWS)}; FILE.py:Class is a method of your"
            " own; by itself all.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Cells of each row: seeds 0, 1, ...")] = 10,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The row that the others are tested against; by itself the first with figures.",
            show_default=False,
        ),
    ] = None,
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="validation chooses everything there; as-published also shows, marked as such,"
            " the best epoch on test."
        ),
    ] = "validation",
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            help="Settings tried on validation, by Optuna; 1 takes each method as it stands.",
            rich_help_panel=BUDGET,
        ),
    ] = 10,
    epochs: Annotated[
        int, typer.Option(min=1, help="Of each fit, at most.", rich_help_panel=BUDGET)
    ] = 100,
    patience: Annotated[
        int,
        typer.Option(
            min=1,
            help="Stop after that many epochs without a better validation mAP.",
            rich_help_panel=BUDGET,
        ),
    ] = 20,
    jobs: JobsOption = None,
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    multi_caption: MultiCaptionOption = "concat",
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
) -> None:
    """Compare methods on the same data, by the same rule.

    Every method gets the same split, the same features, and the same budget.
    Its settings are chosen on the validation split by a fixed number of
    trials; then it is fitted for each seed and measured on the test split.
    The table has means, intervals over seeds and samples, and tests of each
    row against a chosen one, corrected for their number. Ctrl-C keeps every
    cell that is done; the same command goes on from there. More methods and
    more seeds can be added later.

    [bold]Examples[/bold]

      commonspace compare features.npz --out tables/all
      commonspace compare features.npz --methods dscmr,scm,cca --out tables/three
      commonspace compare features.npz --methods dscmr --methods mine.py:Mine --out t
      commonspace compare photos --image vgg19 --text textcnn --out tables/photos

    The folder gets table.md, table.csv, table.tex and table.json.
    """
    from commonspace.comparison import Budget, Grid, run_grid, summarise, write_tables
    from commonspace.machine import trainings_at_a_time

    rows = rows_named(methods or ["all"])
    if against is not None and against not in (row.name for row in rows):
        raise SettingError(
            "the row to compare with is not in the table",
            expected=f"--against {' or '.join(row.name for row in rows)}",
            found=against,
            advice="name it with --methods too",
        )
    dataset = open_data(data, split_seed, partial=partial)
    for problem in dataset.warnings:
        typer.echo(f"note: {problem}", err=True)
    specs = encoders_named(image, text, encoder)
    with resumable(f"finished runs are in {out}"):
        dataset = extracted(dataset, specs, multi_caption) if specs else dataset
        grid = Grid(
            data=dataset,
            rows=rows,
            folder=out,
            seeds=seeds,
            budget=Budget(trials, epochs, patience),
            protocol=protocol,
            jobs=jobs or trainings_at_a_time(),
        )
        outcome = run_grid(grid, ComparisonBar())
    measured = [name for name, cells in outcome.cells.items() if cells]
    chosen = against or (measured or [rows[0].name])[0]
    lines = summarise(outcome, chosen)
    title = f"{dataset.name}: {len(dataset.split('test'))} test samples"
    write_tables(out, lines, chosen, title)
    _show(title, lines, chosen, out)
    if not measured:
        raise TrainingError(
            "no method of the comparison has figures",
            expected="at least one that can take the data",
            found="; ".join(f"{line.name}: {line.failed}" for line in lines),
            advice="mend what is said of each, or take other methods",
        )


def _show(title: str, lines: "list[Line]", against: str, out: Path) -> None:
    from commonspace.cli.tables import print_table
    from commonspace.comparison.write import columns

    head, rows = columns(lines, against)
    directions = next((line.directions for line in lines if line.directions), {})
    left_out = {*directions, "seeds", "trials"}
    if "best on test" in head:
        left_out |= {"seconds", "bytes"}  # so that the others keep their digits in 80 columns
    shown = [n for n, name in enumerate(head) if name not in left_out]
    widths = [max(1, *(len(row[n]) for row in rows)) for n in shown]
    heads = [
        fill(head[n], width, break_long_words=False, break_on_hyphens=False)
        for n, width in zip(shown, widths, strict=True)
    ]  # several lines above figures are better than figures that are cut
    print_table(title, heads, [[row[n] for n in shown] for row in rows])
    for line in lines:
        if line.failed and (line.seeds or line.trials):  # others were told of while it ran
            typer.echo(f"note: {line.name}: {line.failed}", err=True)
    typer.echo(f"whole table: {out}/table.md; also .csv, .tex and .json")

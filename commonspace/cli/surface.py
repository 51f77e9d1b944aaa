"""``commonspace surface``: how much lambda and eta matter, for the report of a run."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.cli.comparison_bar import ComparisonBar
from commonspace.cli.interrupts import resumable
from commonspace.cli.options import JobsOption, RunArgument
from commonspace.cli.runs import data_of
from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.methods import DSCMR
    from commonspace.space import CommonSpace

__all__ = ["surface"]


def surface(
    run: RunArgument,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of each fit, at most; by itself as in the run.",
            show_default=False,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Epochs without a better validation mAP to stop after; by itself as in the run.",
            show_default=False,
        ),
    ] = None,
    jobs: JobsOption = None,
) -> None:
    """Measure DSCMR over a grid of lambda and eta.

    The method of the run is fitted again with five values of each, and
    measured on validation. The run gets a file surface.json, which its
    report draws. Ctrl-C keeps what is done; the same command goes on.

    [bold]Examples[/bold]

      commonspace surface runs/photos
      commonspace surface runs/photos --epochs 100 --patience 20

    Next: commonspace report RUN
    """
    from commonspace.comparison import Budget
    from commonspace.comparison.surface import WEIGHTS, measure_surface
    from commonspace.machine import trainings_at_a_time
    from commonspace.space import load

    method = _method_of(load(run), run)
    limit = epochs or method.epochs or 500
    budget = Budget(1, limit, patience or method.patience or limit)
    data = data_of(run, None, None, partial=False)
    with resumable(f"finished runs are in {run / 'surface'}"):
        found = measure_surface(
            method,
            data,
            run,
            lambdas=WEIGHTS,
            etas=WEIGHTS,
            budget=budget,
            jobs=jobs or trainings_at_a_time(),
            watcher=ComparisonBar(),
        )
    from commonspace.cli.tables import print_table

    rows = [
        [f"{one:g}", *("-" if figure is None else f"{figure:.3f}" for figure in row)]
        for one, row in zip(WEIGHTS, found["map"], strict=True)
    ]
    print_table("validation mAP", ["lambda \\ eta", *(f"{one:g}" for one in WEIGHTS)], rows)
    typer.echo(f"written: {run / 'surface.json'}\nnext: commonspace report {shlex.quote(str(run))}")


def _method_of(space: "CommonSpace", run: Path) -> "DSCMR":
    """Return the method as it was for the run."""
    from commonspace.methods import DSCMR, EncoderConfig

    record = space.provenance.get("method", {})
    if record.get("name") != "dscmr":
        raise SettingError(
            f"{run} has no lambda and eta",
            expected="a run of dscmr",
            found=str(record.get("name", "a space without a record")),
            advice="train one with commonspace train --method dscmr",
        )
    options = dict(record["options"])
    betas, raw = options.pop("betas"), options.pop("encoders")
    return DSCMR(**options, betas=tuple(betas) if betas else None, encoders=EncoderConfig(**raw))

"""Command ``sensitivity``: DSCMR over a grid of lambda and eta, for the report of a run."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.cli.interrupts import resumable
from commonspace.cli.options import JobsOption, RunArgument
from commonspace.cli.runs import data_of
from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.methods import DSCMR
    from commonspace.space import CommonSpace

__all__ = ["sensitivity"]


def sensitivity(
    run: RunArgument,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum number of epochs of each fit (default: that of the run).",
            show_default=False,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stop after this many epochs without a better validation mAP (default: that of the"
            " run).",
            show_default=False,
        ),
    ] = None,
    jobs: JobsOption = None,
) -> None:
    """Measure how sensitive DSCMR is to lambda and eta.

    The method of the run is fitted again with five values of each, and
    evaluated on validation. The run gets a file sensitivity.json, which its
    report draws. Ctrl-C keeps finished fits; the same command continues.

    [bold]Examples[/bold]

      commonspace sensitivity runs/photos
      commonspace sensitivity runs/photos --epochs 100 --patience 20

    Next: commonspace report RUN
    """
    from commonspace.comparison import TuningBudget
    from commonspace.comparison.sensitivity import WEIGHTS, measure_sensitivity
    from commonspace.machine import default_jobs
    from commonspace.progress import ProgressBar
    from commonspace.space import load

    method = _method_of(load(run), run)
    limit = epochs or method.epochs or 500
    budget = TuningBudget(1, limit, patience or method.patience or limit)
    data = data_of(run, None, None, partial=False)
    with resumable(f"finished fits are in {run / 'sensitivity'}"):
        result = measure_sensitivity(
            method,
            data,
            run,
            lambdas=WEIGHTS,
            etas=WEIGHTS,
            budget=budget,
            jobs=jobs or default_jobs(),
            callbacks=[ProgressBar()],
        )
    from commonspace.cli.tables import print_table

    rows = [
        [f"{weight:g}", *("-" if figure is None else f"{figure:.3f}" for figure in row)]
        for weight, row in zip(WEIGHTS, result["map"], strict=True)
    ]
    print_table("validation mAP", ["lambda \\ eta", *(f"{weight:g}" for weight in WEIGHTS)], rows)
    typer.echo(
        f"written: {run / 'sensitivity.json'}\nnext: commonspace report {shlex.quote(str(run))}"
    )


def _method_of(space: "CommonSpace", run: Path) -> "DSCMR":
    """Return the method with the settings of the run."""
    from commonspace.methods import DSCMR, EncoderConfig

    record = space.provenance.get("method", {})
    if record.get("name") != "dscmr":
        raise SettingError(
            f"`sensitivity` supports DSCMR only, and {run} was trained with another method",
            expected="a run of dscmr",
            found=str(record.get("name", "a space without provenance")),
            advice="train one with commonspace train --method dscmr",
        )
    options = dict(record["options"])
    betas, raw = options.pop("betas"), options.pop("encoders")
    return DSCMR(**options, betas=tuple(betas) if betas else None, encoders=EncoderConfig(**raw))

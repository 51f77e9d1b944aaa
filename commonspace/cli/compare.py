"""Command ``compare``: several methods on one data set, as a table with significance tests."""

from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from commonspace.cli.encoders import (
    EncoderOption,
    ImageOption,
    InputFormOption,
    MultiCaptionOption,
    TextOption,
    encoders_named,
)
from commonspace.cli.features import extracted
from commonspace.cli.interrupts import resumable
from commonspace.cli.methods import CompareConfigOption, CompareSetOption, collect_settings
from commonspace.cli.options import DataArgument, JobsOption, PartialOption, SplitSeedOption
from commonspace.cli.runs import open_data
from commonspace.errors import SettingError
from commonspace.registry import method_names

if TYPE_CHECKING:
    from commonspace.comparison import ComparisonResult

__all__ = ["compare"]

Protocol = Literal[
    "validation",
    "as-published",
    "unseen-classes",
    "noise",
    "imbalance",
    "unpaired",
    "missing-modality",
]

BUDGET = "Budget of every method"


def compare(
    data: DataArgument,
    out: Annotated[
        Path,
        typer.Option(metavar="TABLE", help="Folder of the table and of its runs."),
    ],
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Methods, separated by commas or repeated:"
            f" {', '.join(method_names())}, dscmr-official, dscmr-no-j1, dscmr-no-j2, dscmr-no-j3,"
            " dscmr-j1-alone, or FILE.py:Class for your own method (default: all).",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of random seeds per method: 0, 1, ...")
    ] = 10,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Method that the others are tested against (default: the first with figures).",
            show_default=False,
        ),
    ] = None,
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="validation chooses everything on validation; as-published also shows the best"
            " epoch on test, marked as such. The others change the data and choose on validation:"
            " classes that are in test only, wrong labels, classes of unequal size, samples"
            " without a known pair, samples that lack a modality."
        ),
    ] = "validation",
    share: Annotated[
        float | None,
        typer.Option(
            help="Share of the classes, labels or samples that such a protocol changes (default:"
            " unseen-classes 0.5, noise 0.4, imbalance 0.1, unpaired 1, missing-modality 0.5).",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        int,
        typer.Option(
            min=1,
            help="Hyperparameter settings tried on validation by Optuna; 1 uses the defaults.",
            rich_help_panel=BUDGET,
        ),
    ] = 10,
    epochs: Annotated[
        int,
        typer.Option(min=1, help="Maximum number of epochs of each fit.", rich_help_panel=BUDGET),
    ] = 100,
    patience: Annotated[
        int,
        typer.Option(
            min=1,
            help="Stop after this many epochs without a better validation mAP.",
            rich_help_panel=BUDGET,
        ),
    ] = 20,
    full_trials: Annotated[
        bool,
        typer.Option(
            "--full-trials",
            help="Train each trial to its end; by default one that is clearly behind an earlier"
            " trial of its method is stopped.",
            rich_help_panel=BUDGET,
        ),
    ] = False,
    assignments: CompareSetOption = None,
    config: CompareConfigOption = None,
    jobs: JobsOption = None,
    image: ImageOption = None,
    text: TextOption = None,
    encoder: EncoderOption = None,
    multi_caption: MultiCaptionOption = "concat",
    input_form: InputFormOption = "auto",
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
) -> None:
    """Compare methods on the same data, with the same tuning budget.

    Every method gets the same splits, the same features and the same budget.
    Its settings are tuned on the validation split by a fixed number of trials;
    then it is fitted for each seed and evaluated on the test split. The table
    has means, confidence intervals over seeds and samples, and significance
    tests against a baseline, corrected for their number. Ctrl-C keeps finished
    runs; the same command continues. Methods and seeds can be added later.

    [bold]Examples[/bold]

      commonspace compare features.npz --out tables/all
      commonspace compare features.npz --methods dscmr,scm,cca --out tables/three
      commonspace compare features.npz --methods dscmr --methods mine.py:Mine --out t
      commonspace compare features.npz --set hidden_dim=256 --set dscmr.eta=1 --out u
      commonspace compare photos --image vgg19 --text textcnn --out tables/photos
      commonspace compare features.npz --protocol noise --share 0.6 --out tables/noise

    The folder gets table.md, table.csv, table.tex and table.json.
    """
    from commonspace.comparison import (
        DATA_PROTOCOLS,
        DataProtocol,
        TuningBudget,
        make_experiments,
    )
    from commonspace.comparison import compare as run_comparison
    from commonspace.machine import default_jobs
    from commonspace.progress import ProgressBar

    settings = collect_settings({}, assignments or [], config)
    names = [experiment.name for experiment in make_experiments(methods or ["all"], settings)]
    if baseline is not None and baseline not in names:
        raise SettingError(
            "the baseline is not among the methods",
            expected=f"--baseline {' or '.join(names)}",
            found=baseline,
            advice="add it to --methods",
        )
    change = DataProtocol(protocol, share, split_seed) if protocol in DATA_PROTOCOLS else None
    if change is None and share is not None:
        raise SettingError(
            f"`share` is not supported by the protocol {protocol}",
            expected=f"--protocol {' or '.join(DATA_PROTOCOLS)}",
            found=f"--share {share:g}",
            advice="leave --share out, or choose such a protocol",
        )
    dataset = open_data(data, split_seed, partial=partial)
    for warning in dataset.warnings:
        typer.echo(f"note: {warning}", err=True)
    specs = encoders_named(image, text, encoder)
    with resumable(f"finished runs are in {out}"):
        dataset = extracted(dataset, specs, multi_caption, input_form) if specs else dataset
        dataset = change.apply(dataset) if change else dataset
        result = run_comparison(
            dataset,
            methods or ["all"],
            settings=settings,
            seeds=seeds,
            baseline=baseline,
            budget=TuningBudget(trials, epochs, patience, full_trials),
            protocol="as-published" if protocol == "as-published" else "validation",
            folder=out,
            jobs=jobs or default_jobs(),
            callbacks=[ProgressBar()],
        )
    _print(result, out)


def _print(result: "ComparisonResult", out: Path) -> None:
    from commonspace.cli.tables import print_table

    table = result.to_table()
    directions = next((one.directions for one in result.methods if one.directions), {})
    hidden = {*directions, "seeds", "trials"}
    if "best on test" in table.head:
        hidden |= {"CPU s", "bytes"}  # so that the others fit into 80 columns
    shown = [n for n, name in enumerate(table.head) if name not in hidden]
    widths = [max(1, *(len(row[n]) for row in table.rows)) for n in shown]
    head = [
        fill(table.head[n], width, break_long_words=False, break_on_hyphens=False)
        for n, width in zip(shown, widths, strict=True)
    ]  # a head of several lines is better than truncated figures
    print_table(result.title, head, [[row[n] for n in shown] for row in table.rows])
    for one in result.methods:
        if one.failed and (one.seeds or one.trials):  # others were reported during the run
            typer.echo(f"note: {one.name}: {one.failed}", err=True)
    typer.echo(f"whole table: {out}/table.md; also .csv, .tex and .json")

"""Command ``reproduce``: the tables and figures of the DSCMR paper on a copy of a benchmark."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from commonspace.cli.encoders import (
    ImageOption,
    InputFormOption,
    MultiCaptionOption,
    TextOption,
)
from commonspace.cli.methods import CompareConfigOption, CompareSetOption
from commonspace.cli.options import JobsOption, PartialOption, SplitSeedOption
from commonspace.cli.reproduction import SOURCES, Benchmark, Options, read_options, run_reproduction
from commonspace.errors import SettingError

__all__ = ["reproduce"]


def reproduce(
    context: typer.Context,
    benchmark: Annotated[
        Benchmark | None,
        typer.Argument(metavar="BENCHMARK", help="Name of the benchmark.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Your copy, as its publishers provide it (default: data/BENCHMARK).",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Folder of the tables and runs (default: runs/BENCHMARK-tables).",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="TABLE",
            help="Continue in the folder of an earlier reproduction, with its options where none"
            " are given.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of random seeds per method: 0, 1, ...")
    ] = 5,
    epochs: Annotated[
        int, typer.Option(min=1, help="Maximum number of epochs of each training.")
    ] = 500,
    patience: Annotated[
        int,
        typer.Option(min=1, help="Stop after this many epochs without a better validation mAP."),
    ] = 100,
    figures: Annotated[
        bool,
        typer.Option(
            help="Also draw the figures of the paper for DSCMR: t-SNE, learning curves, and the"
            " surface of lambda and eta, which takes 26 more trainings."
        ),
    ] = True,
    assignments: CompareSetOption = None,
    config: CompareConfigOption = None,
    jobs: JobsOption = None,
    image: ImageOption = None,
    text: TextOption = None,
    multi_caption: MultiCaptionOption = "mean",
    input_form: InputFormOption = "auto",
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
) -> None:
    """Run the comparison of the DSCMR paper on your copy of a benchmark.

    Trains the methods of its comparison, and the ablations of DSCMR, with the
    settings of their papers, 500 epochs, and
    everything chosen on validation. The table shows the measured and the
    published mAP and their difference. Published code reports the best epoch
    on the test set: that figure is in a separate column, and is not a result.
    Raw photos and texts are encoded by VGG-19 and by word vectors trained on
    the train split, or by the encoders that --image and --text name. Ctrl-C
    keeps finished runs, and the same command continues.

    [bold]Examples[/bold]

      commonspace reproduce wikipedia --data wikipedia_dataset
      commonspace reproduce pascal --data pascal --text word2vec:FILE
      commonspace reproduce --from runs/pascal-tables --seeds 10

    The folder gets the tables as .md, .tex and .csv, the mAP of each class, the
    mean ranks over the classes, the figures of the paper, an appendix in LaTeX
    with all of it, and a record of machine, versions and seeds.
    If the data are missing, it prints where to get them and where to put them.
    """
    options = Options(
        benchmark=benchmark,
        data=_absolute(data),
        seeds=seeds,
        epochs=epochs,
        patience=patience,
        figures=figures,
        assignments=assignments,
        config=_absolute(config),
        image=image,
        text=text,
        multi_caption=multi_caption,
        input_form=input_form,
        split_seed=split_seed,
        partial=partial,
    )
    if start is not None:
        sources = {name: context.get_parameter_source(name) for name in asdict(options)}
        given = {name for name, one in sources.items() if one and one.name != "DEFAULT"}
        options, out = options.completed(read_options(start), given), out or start
    if options.benchmark is None:
        raise SettingError(
            "`reproduce` needs the name of a benchmark",
            expected=", ".join(SOURCES),
            found="none",
            advice="name one, or continue an earlier reproduction with --from TABLE",
        )
    run_reproduction(options, out or Path("runs") / f"{options.benchmark}-tables", jobs)


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())

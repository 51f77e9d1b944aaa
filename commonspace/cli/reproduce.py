"""Command ``reproduce``: the tables of the DSCMR paper on a local copy of a benchmark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from commonspace.cli.encoders import (
    ImageOption,
    InputFormOption,
    MultiCaptionOption,
    TextOption,
    encoders_named,
)
from commonspace.cli.features import extracted
from commonspace.cli.interrupts import resumable
from commonspace.cli.methods import CompareConfigOption, CompareSetOption, collect_settings
from commonspace.cli.options import JobsOption, PartialOption, SplitSeedOption
from commonspace.cli.runs import open_data
from commonspace.errors import DataError

__all__ = ["reproduce"]

Benchmark = Literal["wikipedia", "pascal", "nuswide10k", "xmedianet"]

SOURCES = {
    "wikipedia": "the authors' wikipedia_dataset (Rasiwasia and others, 2010): images/, texts/ and"
    " the two lists; or with raw_features.mat in place of the first two",
    "pascal": "the 1000 photos of Pascal Sentence (University of Illinois, Rashtchian and others,"
    " 2010) in a folder for each class, with the page of their sentences as index.html",
    "nuswide10k": "ImageList/, Groundtruth/ and NUS_WID_Tags/ of NUS-WIDE (National University of"
    " Singapore, Chua and others, 2009), and its photos in Flickr/",
    "xmedianet": "XMediaNet, on request from its authors (Peking University, MIPL): the lists and"
    " the folders that they name",
}
"""Benchmark -> where its data come from."""

METHODS = (
    "cca",
    "mcca",
    "mvda",
    "mvda-vc",
    "jrl",
    "cmdn",
    "ccl",
    "dcca",
    "dccae",
    "acmr",
    "dscmr",
)
"""Methods of the paper's comparison."""


def reproduce(
    benchmark: Annotated[
        Benchmark, typer.Argument(metavar="BENCHMARK", help="Name of the benchmark.")
    ],
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

    The folder gets the tables as .md, .tex and .csv, the mAP of each class, the
    mean ranks over the classes, and a record of machine, versions and seeds.
    If the data are missing, it prints where to get them and where to put them.
    """
    from commonspace.cli.tables import print_table
    from commonspace.comparison import TuningBudget, compare, make_experiments
    from commonspace.comparison.experiments import ABLATIONS
    from commonspace.comparison.figures import draw_comparison
    from commonspace.comparison.published import (
        DEEP,
        DIFFERENCES,
        SHALLOW_WIKIPEDIA,
        feature_sizes,
        has_published_features,
        published_for,
        table_with_published,
    )
    from commonspace.comparison.tables import write_reproduction
    from commonspace.machine import default_jobs
    from commonspace.plots import require_plots
    from commonspace.progress import ProgressBar

    require_plots()
    place = data or Path("data") / benchmark
    if not place.is_dir():
        raise DataError(
            f"no copy of {benchmark} in {place}",
            expected=SOURCES[benchmark],
            found="no such folder",
            advice=f"put it there, or name the folder with --data; docs/benchmarks/{benchmark}.md"
            " has the details, and how to use feature files instead",
        )
    settings = collect_settings({}, assignments or [], config)
    make_experiments((*METHODS, *ABLATIONS), settings)  # refuse wrong ones before the data is read
    dataset = open_data(f"{benchmark}:{place}", split_seed, partial=partial)
    folder = out or Path("runs") / f"{benchmark}-tables"
    specs = encoders_named(image, text, None) or {
        name: {"images": "vgg19", "texts": "textcnn"}[column.kind]
        for name, column in dataset.columns.items()
        if column.kind != "features"
    }
    with resumable(f"finished runs are in {folder}"):
        dataset = extracted(dataset, specs, multi_caption, input_form) if specs else dataset
        sizes = feature_sizes(dataset)
        published = published_for(benchmark, sizes)
        names = (*METHODS, *(["scm"] if published is SHALLOW_WIKIPEDIA else []), *ABLATIONS)
        result = compare(
            dataset,
            names,
            settings=settings,
            seeds=seeds,
            baseline="dscmr",
            budget=TuningBudget(1, epochs, patience),
            protocol="as-published",
            folder=folder,
            jobs=jobs or default_jobs(),
            callbacks=[ProgressBar()],
        )
    head, rows = table_with_published(result.methods, published)
    write_reproduction(
        folder, f"{result.title}, beside the published figures", head, rows, DIFFERENCES
    )
    draw_comparison(result, folder)
    print_table(result.title, head, rows)
    if not has_published_features(sizes, published):
        typer.echo(
            f"note: here {_features(sizes)}; the published figures are on other features:"
            f" {_features(DEEP)}"
        )
    typer.echo(f"written: {folder}/reproduction.md; each direction: {folder}/table.md")


def _features(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} features are {size}-d" for name, size in sizes.items())

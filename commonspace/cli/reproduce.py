"""``commonspace reproduce``: the paper's tables on the user's own copy of a benchmark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from commonspace.cli.comparison_bar import ComparisonBar
from commonspace.cli.encoders import ImageOption, MultiCaptionOption, TextOption, encoders_named
from commonspace.cli.features import extracted
from commonspace.cli.interrupts import resumable
from commonspace.cli.options import JobsOption, PartialOption, SplitSeedOption
from commonspace.cli.rows import ABLATIONS, rows_named
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
"""What to get."""

METHODS = ("cca", "mcca", "mvda", "mvda-vc", "jrl", "dcca", "acmr", "dscmr")


def reproduce(
    benchmark: Annotated[Benchmark, typer.Argument(metavar="BENCHMARK", help="Which one.")],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Your copy, as its publishers hand it out; by itself data/BENCHMARK.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="The folder of the tables and cells; by itself runs/BENCHMARK-tables.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Cells of each row: seeds 0, 1, ...")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Of each training, at most.")] = 500,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a better validation mAP to stop after.")
    ] = 100,
    jobs: JobsOption = None,
    image: ImageOption = None,
    text: TextOption = None,
    multi_caption: MultiCaptionOption = "mean",
    split_seed: SplitSeedOption = 0,
    partial: PartialOption = False,
) -> None:
    """Run the tables of the DSCMR paper on your copy of a benchmark.

    The methods of its comparison that are implemented here, and the ablations
    of DSCMR, with the settings of their papers, 500 epochs, and everything
    chosen on validation. Ours stand beside the published figures with the
    difference. Published code reports the best epoch on the test set: what
    that would give is shown too, in a column of its own, and is no result.
    Raw photos and texts go through VGG-19 and word vectors learnt on train,
    or whatever --image and --text name. Ctrl-C keeps what is done, and the
    same command goes on from there.

    [bold]Examples[/bold]

      commonspace reproduce wikipedia --data wikipedia_dataset
      commonspace reproduce pascal --data pascal --text word2vec:FILE

    Without the data it says what to get, and where to put it.
    """
    from commonspace.cli.tables import print_table
    from commonspace.comparison import Budget, Grid, run_grid, summarise, write_tables
    from commonspace.comparison.published import DEEP, SHALLOW_WIKIPEDIA
    from commonspace.comparison.reproduction import beside, comparable, published_for, sizes_of
    from commonspace.comparison.write import write_reproduction
    from commonspace.machine import trainings_at_a_time

    place = data or Path("data") / benchmark
    if not place.is_dir():
        raise DataError(
            f"there is no copy of {benchmark} in {place}",
            expected=SOURCES[benchmark],
            found="no such folder",
            advice=f"put it there, or name the folder with --data; docs/benchmarks/{benchmark}.md"
            " says more, and how feature files may stand in for it",
        )
    dataset = open_data(f"{benchmark}:{place}", split_seed, partial=partial)
    folder = out or Path("runs") / f"{benchmark}-tables"
    specs = encoders_named(image, text, None) or {
        name: {"images": "vgg19", "texts": "textcnn"}[column.kind]
        for name, column in dataset.columns.items()
        if column.kind != "features"
    }
    with resumable(f"finished runs are in {folder}"):
        dataset = extracted(dataset, specs, multi_caption) if specs else dataset
        sizes = sizes_of(dataset)
        published = published_for(benchmark, sizes)
        scm = ("scm",) if published is SHALLOW_WIKIPEDIA else ()
        grid = Grid(
            data=dataset,
            rows=rows_named((*METHODS, *scm, *ABLATIONS)),
            folder=folder,
            seeds=seeds,
            budget=Budget(1, epochs, patience),
            protocol="as-published",
            jobs=jobs or trainings_at_a_time(),
        )
        outcome = run_grid(grid, ComparisonBar())
    lines = summarise(outcome, "dscmr" if outcome.cells["dscmr"] else None)
    title = f"{dataset.name}: {len(dataset.split('test'))} test samples"
    write_tables(folder, lines, "dscmr", title)
    head, cells = beside(lines, published)
    write_reproduction(folder, f"{title}, beside the published figures", head, cells)
    print_table(title, head, cells)
    if not comparable(sizes, published):
        typer.echo(
            f"note: here {_features(sizes)}; the published figures are on others: {_features(DEEP)}"
        )
    typer.echo(f"written: {folder}/reproduction.md; each direction: {folder}/table.md")


def _features(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} features are {size}-d" for name, size in sizes.items())

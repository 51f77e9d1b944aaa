"""The work of ``reproduce``: compare the methods of the paper, and draw its figures for DSCMR."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from commonspace.atomic import replace_file, write_error
from commonspace.cli.encoders import encoders_named
from commonspace.cli.features import extracted
from commonspace.cli.interrupts import resumable
from commonspace.cli.methods import collect_settings
from commonspace.cli.runs import CHECKPOINT, CONFIG, open_data
from commonspace.cli.train import fit_into
from commonspace.errors import DataError, FileFormatError
from commonspace.json_text import parse_json

if TYPE_CHECKING:
    from commonspace.comparison import TuningBudget
    from commonspace.comparison.experiments import Experiment
    from commonspace.comparison.reproduction import PaperFigure
    from commonspace.data import Dataset

__all__ = ["SOURCES", "Benchmark", "Options", "read_options", "run_reproduction"]

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


RECORD = "options.json"
"""File of the options, in the folder of a reproduction."""
RUN = "dscmr-run"
"""Folder of the run of DSCMR whose figures are drawn."""
SCATTER = "t-SNE of the common space for each modality and for all, and of the features before it."
CURVES = "validation mAP and the loss with its terms, by epoch; the chosen epoch is marked."
SURFACE = "validation mAP over the factors lambda and eta of J2 and J3; the best one is framed."


@dataclass(frozen=True)
class Options:
    """Options of a reproduction, as the command line gives them; paths are absolute."""

    benchmark: Benchmark | None
    data: str | None
    seeds: int
    epochs: int
    patience: int
    figures: bool
    assignments: list[str] | None
    config: str | None
    image: list[str] | None
    text: list[str] | None
    multi_caption: Literal["mean", "concat", "expand"]
    input_form: str
    split_seed: int
    partial: bool

    def completed(self, earlier: Mapping[str, Any], given: set[str]) -> "Options":
        """Return these options, with earlier ones in place of those that were not given.

        Args:
            earlier: what ``read_options`` returned.
            given: names of the options of the command line.
        """
        return replace(self, **{name: one for name, one in earlier.items() if name not in given})


def read_options(folder: Path) -> dict[str, Any]:
    """Return the options of an earlier reproduction.

    Args:
        folder: of its tables.

    Raises:
        FileFormatError: there are none, or they are damaged.
    """
    path, known = folder / RECORD, {one.name for one in fields(Options)}
    try:
        options = parse_json(path.read_text("utf-8"))
        if not isinstance(options, dict) or set(options) != known:
            raise ValueError("other names than those of the options")
    except (OSError, ValueError) as exc:
        raise FileFormatError(
            f"{path} cannot be read",
            expected="the options of an earlier reproduction, which this command writes",
            found=str(exc),
            advice="name the folder of its tables, or the benchmark in place of --from",
        ) from exc
    return options


def run_reproduction(options: Options, folder: Path, jobs: int | None) -> None:
    """Run what is missing of a reproduction, and write its tables and figures.

    Args:
        options: with a benchmark.
        folder: of the tables and runs.
        jobs: number of processes; None for one a core.

    Raises:
        CommonspaceError: the data are missing or do not suit, a setting is wrong, or a file cannot
            be written.
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
    from commonspace.comparison.reproduction import write_reproduction
    from commonspace.machine import default_jobs
    from commonspace.plots import require_plots
    from commonspace.progress import ProgressBar

    require_plots()
    jobs = jobs or default_jobs()
    benchmark = options.benchmark
    assert benchmark is not None
    place = Path(options.data or Path("data") / benchmark)
    if not place.is_dir():
        raise DataError(
            f"no copy of {benchmark} in {place}",
            expected=SOURCES[benchmark],
            found="no such folder",
            advice=f"put it there, or name the folder with --data; docs/benchmarks/{benchmark}.md"
            " has the details, and how to use feature files instead",
        )
    config = Path(options.config) if options.config else None
    settings = collect_settings({}, options.assignments or [], config)
    # Wrong settings are refused before the data is read.
    experiments = make_experiments((*METHODS, *ABLATIONS), settings)
    dataset = open_data(f"{benchmark}:{place}", options.split_seed, partial=options.partial)
    specs = encoders_named(options.image, options.text, None) or {
        name: {"images": "vgg19", "texts": "textcnn"}[column.kind]
        for name, column in dataset.columns.items()
        if column.kind != "features"
    }
    budget = TuningBudget(1, options.epochs, options.patience)
    _write_options(replace(options, data=str(place.absolute())), folder)
    with resumable(f"finished runs are in {folder}"):
        if specs:
            dataset = extracted(dataset, specs, options.multi_caption, options.input_form)
        sizes = feature_sizes(dataset)
        published = published_for(benchmark, sizes)
        names = (*METHODS, *(["scm"] if published is SHALLOW_WIKIPEDIA else []), *ABLATIONS)
        result = compare(
            dataset,
            names,
            settings=settings,
            seeds=options.seeds,
            baseline="dscmr",
            budget=budget,
            protocol="as-published",
            folder=folder,
            jobs=jobs,
            callbacks=[ProgressBar()],
        )
        figures = draw_comparison(result, folder)
        if options.figures:
            (dscmr,) = (one for one in experiments if one.name == "dscmr")
            figures += _dscmr_figures(dscmr, dataset, folder, budget, jobs)
    head, rows = table_with_published(result.methods, published)
    title = f"{result.title}, beside the published figures"
    write_reproduction(folder, title, head, rows, DIFFERENCES, figures)
    # Difference from DSCMR and p stand in the files: a terminal has 80 columns.
    print_table(result.title, head[:-2], [row[:-2] for row in rows])
    if not has_published_features(sizes, published):
        typer.echo(
            f"note: here {_features(sizes)}; the published figures are on other features:"
            f" {_features(DEEP)}"
        )
    typer.echo(
        f"written: {folder}/reproduction.md; in LaTeX: {folder}/appendix.tex; each direction:"
        f" {folder}/table.md"
    )


def _write_options(options: Options, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise write_error(folder, exc) from exc
    with replace_file(folder / RECORD, overwrite=True) as draft:
        draft.write_text(json.dumps(asdict(options), indent=2, ensure_ascii=False) + "\n", "utf-8")


def _dscmr_figures(
    experiment: "Experiment", data: "Dataset", folder: Path, budget: "TuningBudget", jobs: int
) -> "list[PaperFigure]":
    """Fit DSCMR with seed 0, and return the figures of its paper, from a report of this run."""
    from commonspace.comparison.reproduction import PaperFigure
    from commonspace.comparison.sensitivity import measure_sensitivity
    from commonspace.methods import DSCMR
    from commonspace.progress import ProgressBar
    from commonspace.reporting import ReportOptions, Subject, write_report
    from commonspace.space import load

    run = folder / RUN
    method = experiment.configure({}, 0, budget)
    assert isinstance(method, DSCMR)
    if not (run / CONFIG).exists():
        run.mkdir(exist_ok=True)
        fit_into(run, method, data, resume=(run / CHECKPOINT).exists())
    space = load(run)
    measure_sensitivity(method, data, run, budget=budget, jobs=jobs, callbacks=[ProgressBar()])
    report = run / "report"
    if not report.exists():
        subject = Subject(
            "DSCMR, seed 0", space, data.split("test"), train=data.split("train"), run=run
        )
        write_report(subject, report, ReportOptions(), [ProgressBar()])
    place = report.relative_to(folder)
    return [
        PaperFigure(f"{place}/common-space", f"DSCMR, seed 0, test split: {SCATTER}"),
        PaperFigure(f"{place}/learning-curves", f"DSCMR, seed 0: {CURVES}"),
        PaperFigure(f"{place}/sensitivity", f"DSCMR, seed 0: {SURFACE}"),
    ]


def _features(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} features are {size}-d" for name, size in sizes.items())

"""Report of a run: one HTML page with metrics and figures, a file for each figure, a JSON file."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from commonspace.atomic import write_folder
from commonspace.callbacks import Callback, Callbacks
from commonspace.data import Dataset
from commonspace.errors import DataError, SettingError
from commonspace.evaluation import OracleAnalysis, PairReport
from commonspace.evaluation.protocol import (
    EmbeddedData,
    analyze,
    embed_for_evaluation,
    measure_pairs,
)
from commonspace.plots import (
    FORMATS,
    Page,
    PageFigure,
    check_formats,
    figure_to_svg,
    render,
    require_plots,
    save,
    to_inline_svg,
)
from commonspace.plots.projection import FEWEST
from commonspace.reporting.figures import ReportFigure, draw_embedding_figure, draw_figures
from commonspace.reporting.items import Items, find_item_data
from commonspace.reporting.measurements import DirectionMetrics, measure
from commonspace.reporting.provenance import describe_provenance, metric_tables, pair_table
from commonspace.reporting.run_files import read_learning_curves, read_sensitivity
from commonspace.reporting.sampling import sample_points
from commonspace.space import CommonSpace

__all__ = ["PAGE", "ReportOptions", "Subject", "write_report"]

PAGE = "report.html"
"""The page, in the folder of a report."""
METRICS = "report.json"
STEPS = 100
"""Steps of the progress of a report."""


@dataclass(frozen=True)
class ReportOptions:
    """Options of a report.

    Args:
        formats: of the figure files: "png", "svg", "pdf".
        points: maximum number of samples of each modality in the t-SNE panels.
        seed: of t-SNE, of the choice of these samples, and of the bootstrap.

    Raises:
        SettingError: a value is out of range.
    """

    formats: Sequence[str] = FORMATS
    points: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        check_formats(self.formats)
        if self.points < FEWEST or self.seed < 0:
            raise SettingError(
                f"`points` must be >= {FEWEST} and `seed` >= 0, got {self.points} and {self.seed}",
                expected=f"at least {FEWEST} points, and a seed from 0",
                found=f"{self.points} points, seed {self.seed}",
                advice="leave them out to use the defaults",
            )


@dataclass(frozen=True, eq=False)
class Subject:
    """What a report is about.

    Args:
        name: of the run.
        space: the common space.
        data: the samples of the split.
        split: its name.
        train: training samples, for the class accuracy of models without class posteriors.
        run: the folder with history.jsonl and sensitivity.json, if there is one.
        source: path of the feature file that ``data`` was read from, if there is one; photos and
            texts are looked for beside it.
        items: a data set with photos and texts of the same samples, as on the command line.
        notes: further notes for the report.
    """

    name: str
    space: CommonSpace
    data: Dataset
    split: str = "test"
    train: Dataset | None = None
    run: Path | None = None
    source: Path | None = None
    items: str | None = None
    notes: Sequence[str] = ()


def write_report(
    subject: Subject,
    folder: Path,
    options: ReportOptions | None = None,
    callbacks: Sequence[Callback] = (),
) -> list[str]:
    """Write ``report.html``, ``report.json`` and the figures into a new folder.

    The folder appears when it is complete.

    Args:
        subject: what the report is about.
        folder: a new path.
        options: None for the defaults.
        callbacks: receive one task, "report", of 100 steps.

    Returns:
        The notes of the report.

    Raises:
        SettingError: the model and the data have fewer than two modalities in common.
        DataError: the data do not fit the model, no query has a label, or a file of the run is
            damaged.
        OutputError: the folder exists, or it cannot be written.
        MissingExtraError: a package of the extra plots is not installed.
    """
    require_plots()
    with write_folder(folder) as draft, Callbacks(callbacks).task("report", STEPS) as task:
        return _Report(subject, draft, options or ReportOptions(), task).write()


class _Report:
    """The work on one report."""

    def __init__(
        self, subject: Subject, folder: Path, options: ReportOptions, task: Callbacks
    ) -> None:
        self._subject, self._folder, self._options = subject, folder, options
        self._task = task
        self._notes = [*subject.notes, *subject.data.warnings]
        self._figures: list[PageFigure] = []
        self._missing_glyphs: dict[str, None] = {}
        self._oracle: OracleAnalysis | None = None
        self._pairs: PairReport | None = None
        self._done, self._total, self._steps = 0.0, 1.0, 0

    def write(self) -> list[str]:
        """Measure, draw and write everything; return the notes."""
        subject, space = self._subject, self._subject.space
        run = subject.run
        history = read_learning_curves(run, space.provenance.get("chosen", {})) if run else None
        sensitivity = read_sensitivity(run) if run else None
        item_data, note = find_item_data(subject.data, subject.items, subject.source)
        self._report("embedding", 0.0)
        embedded = embed_for_evaluation(space, subject.data)
        sample = sample_points(space, embedded, self._options.points, self._options.seed)
        points = sum(drawn for drawn, _ in sample.counts.values())
        self._estimate(embedded, points)
        if embedded.data.labels.any():
            directions = self._measure(embedded)
        else:
            directions, self._pairs = [], measure_pairs(space, subject.data)
        self._oracle = analyze(space, embedded, subject.train)
        self._notes += [note] if note else []
        if points >= FEWEST:
            share = self._layout_cost / self._total
            before = self._done
            names = embedded.data.class_names
            progress = self._progress("t-SNE", share)
            self._add(draw_embedding_figure(sample, names, self._options.seed, progress))
            self._done = before + share
        else:
            self._notes.append("There are too few samples for a scatter plot.")
        items = Items(embedded.data, item_data)
        rest = list(draw_figures(embedded, directions, items, history, sensitivity))
        for number, draw in enumerate(rest):
            self._report(f"figure {number + 2} of {len(rest) + 1}", self._done)
            self._add(draw())
            self._done += (1 - self._done) / (len(rest) - number)
        self._notes += _notes(embedded, directions, without_history=history is None)
        if self._missing_glyphs:
            self._notes.append(
                "No installed font has the characters: "
                + "".join(list(self._missing_glyphs)[:20])
                + ". PNG and PDF show boxes for them; this page and SVG use the fonts of the"
                " reader. To fix it, install a font such as Noto Sans CJK."
            )
        self._write_metrics(embedded, directions)
        self._write_page(embedded, directions)
        self._report("writing", 1.0)
        return self._notes

    def _estimate(self, embedded: EmbeddedData, points: int) -> None:
        """Estimate the seconds of each part, from measurements on one core."""
        sizes = [len(vectors) for vectors in embedded.vectors.values()]
        pairs = sum(sizes) ** 2 - sum(size**2 for size in sizes)
        self._layout_cost = 0.008 * points
        self._measure_cost = 0.1 + 1e-7 * pairs
        drawing = 2.0 * (3 + 2 * len(sizes) * (len(sizes) - 1))
        self._total = self._layout_cost + self._measure_cost + drawing

    def _measure(self, embedded: EmbeddedData) -> list[DirectionMetrics]:
        directions = []
        count = len(embedded.vectors) * (len(embedded.vectors) - 1)
        for number, direction in enumerate(measure(embedded, self._options.seed), 1):
            self._done = self._measure_cost / self._total * number / count
            self._report(f"measured {direction.name}", self._done)
            directions.append(direction)
        return directions

    def _add(self, figure: ReportFigure) -> None:
        """Write a figure as files, and add it to the page."""
        missing = save(figure.figure, self._folder / figure.name, self._options.formats)
        self._missing_glyphs |= dict.fromkeys(missing)
        file = self._folder / f"{figure.name}.svg"
        if file.exists():  # drawing it again would take as long
            svg = to_inline_svg(file.read_text("utf-8"), figure.name)
        else:
            svg = figure_to_svg(figure.figure, figure.name)
        self._figures.append(PageFigure(figure.name, figure.title, figure.caption, svg))

    def _write_page(self, embedded: EmbeddedData, directions: Sequence[DirectionMetrics]) -> None:
        subject = self._subject
        method = subject.space.provenance.get("method", {}).get("name", "unknown method")
        page = Page(
            title=f"{subject.name}: {method} on {embedded.data.name}",
            subtitle=f"{subject.split} split: {len(embedded.data):,} samples,"
            f" {', '.join(embedded.vectors)}",
            tables=[pair_table(self._pairs)]
            if self._pairs
            else metric_tables(directions, self._oracle),
            facts=describe_provenance(subject.space.provenance, subject.space.dimension),
            notes=self._notes,
            figures=self._figures,
        )
        text = render(page)
        (self._folder / PAGE).write_bytes(text.encode("utf-8", errors="replace"))

    def _write_metrics(
        self, embedded: EmbeddedData, directions: Sequence[DirectionMetrics]
    ) -> None:
        names = embedded.data.class_names
        metrics = {
            "name": self._subject.name,
            "data": embedded.data.name,
            "split": self._subject.split,
            "options": asdict(self._options) | {"formats": list(self._options.formats)},
            "directions": {
                one.name: one.figures()
                | {"classes": {names[number]: value for number, value in one.by_class.items()}}
                for one in directions
            },
            "oracle": asdict(self._oracle) if self._oracle else None,
            "pairs": self._pairs,
            "notes": self._notes,
            "provenance": self._subject.space.provenance,
        }
        text = json.dumps(metrics, indent=2, ensure_ascii=False)
        (self._folder / METRICS).write_bytes(text.encode("utf-8", errors="replace"))

    def _progress(self, status: str, share: float) -> Callable[[float], None]:
        start = self._done
        return lambda done: self._report(status, start + share * done)

    def _report(self, status: str, share: float) -> None:
        """Report what is being done, and the share of the whole that is done, in [0, 1]."""
        self._task.on_status(status)
        steps = int(STEPS * min(share, 1.0))
        if steps > self._steps:
            self._task.on_advance(steps - self._steps)
            self._steps = steps


def _notes(
    embedded: EmbeddedData, directions: Sequence[DirectionMetrics], *, without_history: bool
) -> list[str]:
    """Return notes on these samples."""
    notes = [f"{one.name} has no metrics: {one.problem}." for one in directions if one.problem]
    if directions and len(notes) == len(directions):
        raise DataError(
            f"no metric is defined on these samples of {embedded.data.name!r}",
            expected="at least one direction with labeled queries and a gallery",
            found="; ".join(f"{one.name}: {one.problem}" for one in directions),
            advice="report on another split (--split), or on data with labels",
        )
    labels = embedded.data.labels
    counts = labels.sum(axis=0).tolist()
    absent = [n for n, count in zip(embedded.data.class_names, counts, strict=True) if not count]
    if absent:
        more = f" and {len(absent) - 10} more" if len(absent) > 10 else ""
        notes.append(f"Classes without a sample in this split: {', '.join(absent[:10])}{more}.")
    unlabeled = int((~labels.any(axis=1)).sum())
    if not directions:
        notes.append("The samples have no labels: the figures are those of the pairs.")
    elif unlabeled:
        notes.append(
            f"{unlabeled:,} samples have no label: they are no queries; in the gallery they are"
            " never relevant."
        )
    several = int((labels.sum(axis=1) > 1).sum())
    if several:
        notes.append(
            f"{several:,} samples have several classes: colors show the first one; one shared class"
            " makes an item relevant."
        )
    for name, rows in embedded.rows.items():
        lacking = len(embedded.data) - len(rows)
        if lacking:
            notes.append(f"{lacking:,} samples lack {name}.")
    unanswerable = {
        one.name: int(np.count_nonzero(one.precisions == 0))
        for one in directions
        if not one.problem
    }
    notes += [
        f"{count:,} queries of {name} have an average precision of 0: no item of the gallery is"
        " relevant to them."
        for name, count in unanswerable.items()
        if count
    ]
    if without_history:
        notes.append("The run has no history.jsonl: there are no learning curves.")
    return notes

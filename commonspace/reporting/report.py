"""From a space and a split to a folder of pictures and one page: measure, draw, write.

It chooses nothing and changes nothing: what is written describes what is there.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from commonspace.atomic import write_folder
from commonspace.data import Dataset
from commonspace.errors import DataError, SettingError
from commonspace.evaluation.protocol import EmbeddedData, embed_for_evaluation
from commonspace.plots import (
    FORMATS,
    Page,
    Picture,
    check_formats,
    for_page,
    render,
    require,
    save,
    svg_of,
)
from commonspace.plots.projection import FEWEST
from commonspace.reporting.clouds import clouds_of
from commonspace.reporting.course import read_course, read_surface
from commonspace.reporting.items import Items, find_items
from commonspace.reporting.measured import Direction, measure
from commonspace.reporting.pictures import Drawn, draw_space, pictures
from commonspace.reporting.words import facts, figures_tables
from commonspace.space import CommonSpace

__all__ = ["PAGE", "ReportOptions", "Subject", "Watcher", "write_report"]

PAGE = "report.html"
"""The page, in the folder of a report."""
NUMBERS = "report.json"


class Watcher(Protocol):
    """Somebody who watches a report come about: a progress bar."""

    def advanced(self, what: str, share: float) -> None:
        """Hear what is being done, and which share of the whole is done, from 0 to 1."""


@dataclass(frozen=True)
class ReportOptions:
    """How a report is made.

    Args:
        formats: of the picture files: "png", "svg", "pdf".
        points: samples of each modality in the t-SNE panels, at most.
        seed: of t-SNE, of the choice of these samples, and of the bootstrap.

    Raises:
        SettingError: a value that cannot work.
    """

    formats: Sequence[str] = FORMATS
    points: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything is measured."""
        check_formats(self.formats)
        if self.points < FEWEST or self.seed < 0:
            raise SettingError(
                "the report cannot be made with these options",
                expected=f"at least {FEWEST} points, and a seed from 0",
                found=f"{self.points} points, seed {self.seed}",
                advice="leave them out to take the defaults",
            )


@dataclass(frozen=True, eq=False)
class Subject:
    """What a report is about.

    Args:
        name: what to call the run.
        space: the common space.
        data: the samples of the split.
        split: its name.
        run: the folder with history.jsonl and sensitivity.json, where there is one.
        source: the path of the feature file that ``data`` came from, where it came from one; photos
            and texts are looked for beside it.
        items: a data set with photos and texts of the same samples, as on the command line.
        notes: sentences that are already known to belong into the report.
    """

    name: str
    space: CommonSpace
    data: Dataset
    split: str = "test"
    run: Path | None = None
    source: Path | None = None
    items: str | None = None
    notes: Sequence[str] = ()


def write_report(
    subject: Subject,
    folder: Path,
    options: ReportOptions | None = None,
    watcher: Watcher | None = None,
) -> list[str]:
    """Write ``report.html``, ``report.json`` and the pictures into a new folder.

    The folder appears when all of it is there.

    Args:
        subject: what it is about.
        folder: a place that is still free.
        options: None takes the defaults.
        watcher: hears of the progress.

    Returns:
        The notes of the report, for whoever started it.

    Raises:
        SettingError: the space and the data have no two modalities in common.
        DataError: the data does not fit the space, or a file of the run is damaged.
        OutputError: something is there already, or it cannot be written.
        MissingExtraError: a package of the extra plots is not installed.
    """
    require()
    chosen = options or ReportOptions()
    with write_folder(folder) as draft:
        return _Report(subject, draft, chosen, watcher).write()


class _Report:
    """The work on one report."""

    def __init__(
        self, subject: Subject, folder: Path, options: ReportOptions, watcher: Watcher | None
    ) -> None:
        self._subject, self._folder, self._options = subject, folder, options
        self._watcher = watcher
        self._notes = [*subject.notes, *subject.data.warnings]
        self._pictures: list[Picture] = []
        self._strange: dict[str, None] = {}
        self._done, self._whole = 0.0, 1.0

    def write(self) -> list[str]:
        """Measure, draw and write everything; return the notes."""
        subject, space = self._subject, self._subject.space
        run = subject.run
        course = read_course(run, space.provenance.get("chosen", {})) if run else None
        surface = read_surface(run) if run else None
        shown, said = find_items(subject.data, subject.items, subject.source)
        found = embed_for_evaluation(space, subject.data)
        clouds = clouds_of(space, found, self._options.points, self._options.seed)
        self._estimate(found, sum(kept for kept, _ in clouds.counts.values()))
        directions = self._measure(found)
        self._notes += [said] if said else []
        if sum(kept for kept, _ in clouds.counts.values()) >= FEWEST:
            share = self._layout_cost / self._whole
            before = self._done
            names = found.data.class_names
            self._keep(draw_space(clouds, names, self._options.seed, self._within("t-SNE", share)))
            self._done = before + share
        else:
            self._notes.append("There are too few samples for a picture of the space.")
        rest = list(pictures(found, directions, Items(found.data, shown), course, surface))
        for number, draw in enumerate(rest):
            self._tell(f"picture {number + 2} of {len(rest) + 1}", self._done)
            self._keep(draw())
            self._done += (1 - self._done) / (len(rest) - number)
        self._notes += _observed(found, directions, course is None)
        if self._strange:
            self._notes.append(
                "No installed font has shapes for: "
                + "".join(list(self._strange)[:20])
                + ". PNG and PDF show boxes for them; this page and SVG use the fonts of whoever"
                " looks at it. Install a font such as Noto Sans CJK to mend it."
            )
        self._write_numbers(found, directions)
        self._write_page(found, directions)
        return self._notes

    def _estimate(self, found: EmbeddedData, points: int) -> None:
        """Guess the seconds of each part, from what they took on one core."""
        sizes = [len(vectors) for vectors in found.vectors.values()]
        pairs = sum(sizes) ** 2 - sum(size**2 for size in sizes)
        self._layout_cost = 0.008 * points
        self._measure_cost = 0.1 + 1e-7 * pairs
        drawing = 2.0 * (3 + 2 * len(sizes) * (len(sizes) - 1))
        self._whole = self._layout_cost + self._measure_cost + drawing

    def _measure(self, found: EmbeddedData) -> list[Direction]:
        directions = []
        count = len(found.vectors) * (len(found.vectors) - 1)
        for number, one in enumerate(measure(found, self._options.seed), 1):
            self._done = self._measure_cost / self._whole * number / count
            self._tell(f"measured {one.name}", self._done)
            directions.append(one)
        return directions

    def _keep(self, drawn: Drawn) -> None:
        """Write a picture as files, and keep it for the page."""
        strange = save(drawn.figure, self._folder / drawn.name, self._options.formats)
        self._strange |= dict.fromkeys(strange)
        file = self._folder / f"{drawn.name}.svg"
        if file.exists():  # drawing anew what was just written would take as long again
            svg = for_page(file.read_text("utf-8"), drawn.name)
        else:
            svg = svg_of(drawn.figure, drawn.name)
        self._pictures.append(Picture(drawn.name, drawn.title, drawn.caption, svg))

    def _write_page(self, found: EmbeddedData, directions: Sequence[Direction]) -> None:
        subject = self._subject
        method = subject.space.provenance.get("method", {}).get("name", "a space")
        page = Page(
            title=f"{subject.name}: {method} on {found.data.name}",
            subtitle=f"the {subject.split} split: {len(found.data):,} samples,"
            f" {' and '.join(found.vectors)}",
            tables=figures_tables(directions),
            facts=facts(subject.space.provenance, subject.space.dimension),
            notes=self._notes,
            pictures=self._pictures,
        )
        text = render(page)
        (self._folder / PAGE).write_bytes(text.encode("utf-8", errors="replace"))

    def _write_numbers(self, found: EmbeddedData, directions: Sequence[Direction]) -> None:
        names = found.data.class_names
        numbers = {
            "name": self._subject.name,
            "data": found.data.name,
            "split": self._subject.split,
            "options": asdict(self._options) | {"formats": list(self._options.formats)},
            "directions": {
                one.name: one.figures()
                | {"classes": {names[number]: value for number, value in one.by_class.items()}}
                for one in directions
            },
            "notes": self._notes,
            "provenance": self._subject.space.provenance,
        }
        text = json.dumps(numbers, indent=2, ensure_ascii=False)
        (self._folder / NUMBERS).write_bytes(text.encode("utf-8", errors="replace"))

    def _within(self, what: str, share: float) -> Callable[[float], None] | None:
        if self._watcher is None:
            return None
        begin = self._done
        return lambda done: self._tell(what, begin + share * done)

    def _tell(self, what: str, share: float) -> None:
        if self._watcher is not None:
            self._watcher.advanced(what, min(share, 1.0))


def _observed(
    found: EmbeddedData, directions: Sequence[Direction], without_history: bool
) -> list[str]:
    """Return what a reader should know about these samples."""
    notes = [f"{o.name} cannot be judged: {o.problem}." for o in directions if o.problem]
    if len(notes) == len(directions):
        raise DataError(
            f"nothing can be judged on these samples of {found.data.name!r}",
            expected="at least one direction with labelled queries and a gallery",
            found="; ".join(f"{one.name}: {one.problem}" for one in directions),
            advice="report on another split (--split), or on data with labels",
        )
    labels = found.data.labels
    counts = labels.sum(axis=0).tolist()
    absent = [n for n, count in zip(found.data.class_names, counts, strict=True) if not count]
    if absent:
        some = ", ".join(absent[:10]) + (
            f" and {len(absent) - 10} more" if len(absent) > 10 else ""
        )
        notes.append(f"Classes without a sample in this split: {some}.")
    unlabelled = int((~labels.any(axis=1)).sum())
    if unlabelled:
        notes.append(
            f"{unlabelled:,} samples have no label: they ask nothing, and are in the gallery, where"
            " they are never right."
        )
    if (labels.sum(axis=1) > 1).any():
        several = int((labels.sum(axis=1) > 1).sum())
        notes.append(
            f"{several:,} samples have several classes: colours show the first of them; one shared"
            " class makes a result right."
        )
    for name, rows in found.rows.items():
        lacking = len(found.data) - len(rows)
        if lacking:
            notes.append(f"{lacking:,} samples lack {name}.")
    unanswerable = {
        one.name: int(np.count_nonzero(one.precisions == 0))
        for one in directions
        if not one.problem
    }
    notes += [
        f"{count:,} queries of {name} have an average precision of 0: nothing in the gallery is"
        " relevant to them."
        for name, count in unanswerable.items()
        if count
    ]
    if without_history:
        notes.append("The run has no history.jsonl: the course of its training is not known.")
    return notes

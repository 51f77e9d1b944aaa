"""Figures of a report, with titles and captions."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from commonspace.evaluation.protocol import EmbeddedData
from commonspace.plots import (
    RankedList,
    draw_class_map,
    draw_confusion,
    draw_embedding_scatter,
    draw_learning_curves,
    draw_precision_curves,
    draw_ranked_lists,
    draw_sensitivity,
    modality_markers,
    project_panels,
)
from commonspace.plots.classes import MOST
from commonspace.plots.colors import FEW
from commonspace.plots.embedding_scatter import NAMED
from commonspace.reporting.items import Items
from commonspace.reporting.measurements import CONFUSION_DEPTH, DirectionMetrics
from commonspace.reporting.run_files import LearningCurves, Sensitivity
from commonspace.reporting.sampling import ScatterSample

if TYPE_CHECKING:
    from commonspace.plots.style import Figure

__all__ = ["QUERIES", "ReportFigure", "draw_embedding_figure", "draw_figures"]

QUERIES = 3
"""Number of best and of worst queries of each direction that are shown."""

_SHAPES = {"^": "triangles", "o": "circles", "s": "squares", "D": "diamonds", "P": "plus signs",
           "X": "crosses", "v": "downward triangles", "*": "stars",
           "<": "left triangles", ">": "right triangles"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ReportFigure:
    """A figure with its title and caption."""

    name: str
    title: str
    caption: str
    figure: "Figure"


def draw_embedding_figure(
    sample: ScatterSample,
    class_names: Sequence[str],
    seed: int,
    progress: Callable[[float], None] | None,
) -> ReportFigure:
    """Return the t-SNE panels of the common space.

    Args:
        sample: the samples to draw.
        class_names: in the order of the class numbers.
        seed: of t-SNE.
        progress: called with the share of t-SNE that is done, in [0, 1].

    Raises:
        DataError: there are fewer than five points.
        MissingExtraError: a package of the extra plots is not installed.
    """
    panels = project_panels(sample.modalities, seed, progress, sample.feature_titles)
    marks = modality_markers([one.modality for one in sample.modalities])
    shapes = "; ".join(f"{_SHAPES[mark]} are {name}" for name, mark in marks.items())
    counts = ", ".join(
        f"all {total:,} of {name}" if drawn == total else f"{drawn:,} of {total:,} of {name}"
        for name, (drawn, total) in sample.counts.items()
    )
    some = any(drawn < total for drawn, total in sample.counts.values())
    occurring = {int(number) for one in sample.modalities for number in one.classes} - {-1}
    shared = [one.title[:3] for one in panels if one.shared]
    caption = (
        f"t-SNE (perplexity 30, seed {seed}): nearby points are neighbors; large distances and the"
        f" sizes of groups have little meaning. {shapes[:1].upper()}{shapes[1:]}"
        + ("; colors are classes" if class_names else "")
        + f". Samples: {counts}"
        + (", a stratified random subset" if some else "")
        + (
            f". Panels {' '.join(shared)} show one joint layout of all modalities, on the same axes"
            if len(shared) > 1
            else ""
        )
        + (
            "; embeddings have length 1, so that neighbors by distance are neighbors by cosine."
            if sample.unit
            else "; embeddings are not normalized: the score is their inner product, while the"
            " figure shows distances."
        )
    )
    if len(panels) > len(shared):
        caption += " Features are laid out separately, without the model."
    if len(occurring) > FEW:
        caption += " Class names are above the median of their class, with a line to it"
        caption += f", for the {NAMED} largest classes." if len(occurring) > NAMED else "."
    if any((one.classes < 0).any() for one in sample.modalities):
        caption += " Samples without a label are gray."
    return ReportFigure(
        "common-space", "The common space", caption, draw_embedding_scatter(panels, class_names)
    )


def draw_figures(
    embedded: EmbeddedData,
    directions: Sequence[DirectionMetrics],
    items: Items,
    history: LearningCurves | None,
    sensitivity: Sensitivity | None,
) -> Iterator[Callable[[], ReportFigure]]:
    """Yield a function that draws it for each further figure.

    Args:
        embedded: the samples.
        directions: the metrics; those with a problem are left out.
        items: how samples are shown.
        history: of the training, if known.
        sensitivity: over lambda and eta, if measured.
    """
    judged = [one for one in directions if not one.problem]
    if history is not None:
        yield lambda: _learning_curves(history)
    if judged:
        yield lambda: _curves(judged)
        yield lambda: _classes(judged, embedded)
    for name, one in _named("confusion", judged):
        yield lambda name=name, one=one: _confusion(name, one, embedded)  # type: ignore[misc]
    for name, one in _named("queries", judged):
        yield lambda name=name, one=one: _queries(name, one, embedded, items)  # type: ignore[misc]
    if sensitivity is not None:
        yield lambda: _sensitivity(sensitivity)


def _named(
    kind: str, directions: Sequence[DirectionMetrics]
) -> Iterator[tuple[str, DirectionMetrics]]:
    """Yield a unique file name for each direction, valid on every system."""
    taken: set[str] = set()
    for one in directions:
        plain = [
            re.sub(r"[^a-z0-9]+", "-", side.lower()).strip("-") for side in (one.source, one.target)
        ]
        name = "-".join([kind, *(side or "x" for side in plain)])
        while name in taken:
            name += "-2"
        taken.add(name)
        yield name, one


def _learning_curves(history: LearningCurves) -> ReportFigure:
    caption = (
        f"{history.steps.capitalize()} {history.chosen} of {len(history.validation_score)} was"
    )
    caption += f" chosen by the validation {history.metric}, the mean over all directions."
    if history.steps == "trial":
        caption += " The method has a closed form: each trial is one setting, and their order has"
        caption += " no meaning."
    else:
        caption += " The loss and its terms are means over the samples of an epoch."
    title = "Learning curves" if history.steps == "epoch" else "Trials"
    figure = draw_learning_curves(
        history.validation_score, history.losses, history.chosen, history.steps, history.metric
    )
    return ReportFigure("learning-curves", title, caption, figure)


def _curves(judged: Sequence[DirectionMetrics]) -> ReportFigure:
    recall = {o.name: (o.recall.recall, o.recall.precision) for o in judged if o.recall}
    scope = {o.name: (o.scope.scope, o.scope.precision) for o in judged if o.scope}
    figure = draw_precision_curves(recall, scope, {one.name: one.chance for one in judged})
    caption = (
        "Left: interpolated precision at 21 levels of recall. Right: precision among the first K"
        " results, for K up to the whole gallery. Both are means over the queries; the dotted line"
        " is chance."
    )
    return ReportFigure("curves", "Precision-recall and precision-scope curves", caption, figure)


def _classes(judged: Sequence[DirectionMetrics], embedded: EmbeddedData) -> ReportFigure:
    names = embedded.data.class_names
    figures = {one.name: {names[c]: value for c, value in one.by_class.items()} for one in judged}
    counts = {
        one.name: {names[c]: int(embedded.labels[one.source][:, c].sum()) for c in one.by_class}
        for one in judged
    }
    figure = draw_class_map(figures, counts, {one.name: one.map.mean for one in judged})
    drawn = len({name for values in figures.values() for name in values})
    caption = (
        "mAP of the queries of each class, sorted by the mean over the directions; beside each bar"
        " its value and the number of queries. The dashed line and the title give the mAP over all"
        " queries. The mAP of a class with few queries is uncertain."
    )
    if drawn > MOST:
        caption += f" Of {drawn} classes, the {MOST // 2} best and the {MOST // 2} worst are shown."
    return ReportFigure("classes", "mAP of each class", caption, figure)


def _confusion(name: str, one: DirectionMetrics, embedded: EmbeddedData) -> ReportFigure:
    assert one.confusion is not None
    names = embedded.data.class_names
    depth = min(CONFUSION_DEPTH, one.gallery)
    there = np.flatnonzero(
        embedded.labels[one.source].any(axis=0) | embedded.labels[one.target].any(axis=0)
    )  # classes without a sample are left out
    figure = draw_confusion(
        one.confusion[np.ix_(there, there)],
        [names[number] for number in there],
        f"{one.name}: classes of the first {depth} results",
    )
    caption = (
        f"Each row: for queries of its class, the share of each class among the first {depth}"
        " results (an item of several classes counts in parts). The color scale is a square root,"
        " so that small shares are visible."
    )
    fewest = int(embedded.labels[one.target][:, there].sum(axis=0).min())
    if fewest < depth:
        caption += (
            f" The smallest class has {fewest} items in the gallery:"
            " its diagonal cannot reach 100%."
        )
    if not np.any(embedded.labels[one.source][:, there], axis=0).all():
        caption += " A gray row is a class without queries."
    return ReportFigure(name, f"Class confusion, {one.name}", caption, figure)


def _queries(
    name: str, one: DirectionMetrics, embedded: EmbeddedData, items: Items
) -> ReportFigure:
    judged = np.flatnonzero(~np.isnan(one.precisions))
    order = judged[np.argsort(-one.precisions[judged], kind="stable")]
    best = order[:QUERIES]
    lower = order[one.precisions[order] < one.precisions[order[0]]]  # equal queries have no worst
    worst = lower[~np.isin(lower, best)][::-1][:QUERIES]
    rows, labels = embedded.rows, embedded.labels

    def ranked_list(query: int) -> RankedList:
        hits = one.results[query]
        return RankedList(
            float(one.precisions[query]),
            items.card(int(rows[one.source][query]), one.source),
            tuple(items.card(int(rows[one.target][hit]), one.target) for hit in hits),
            tuple(
                bool((labels[one.source][query] & labels[one.target][hit]).any()) for hit in hits
            ),
        )

    figure = draw_ranked_lists(
        [ranked_list(q) for q in best], [ranked_list(q) for q in worst], one.name
    )
    caption = (
        "The queries with the highest and the lowest average precision (AP), and the first"
        f" {one.results.shape[1]} results of each. A tick and a thick frame mark results that share"
        " a class with the query."
    )
    if not lower.size:
        caption += " All queries have the same average precision."
    return ReportFigure(name, f"Best and worst queries, {one.name}", caption, figure)


def _sensitivity(sensitivity: Sensitivity) -> ReportFigure:
    figure = draw_sensitivity(
        sensitivity.lambdas, sensitivity.etas, sensitivity.maps, split=sensitivity.split
    )
    caption = (
        f"mAP on {sensitivity.split} for each lambda and eta, from sensitivity.json of the run;"
        " gray cells were not measured. The frame marks the highest mAP."
    )
    return ReportFigure("sensitivity", "Sensitivity to lambda and eta", caption, figure)

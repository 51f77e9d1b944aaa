"""Each picture of a report with its title and caption, drawn from what was measured.

It knows what the pictures mean, and neither files nor pages.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from commonspace.evaluation.protocol import EmbeddedData
from commonspace.plots import (
    Answered,
    draw_classes,
    draw_confusion,
    draw_course,
    draw_curves,
    draw_panels,
    draw_queries,
    draw_surface,
    lay_out,
    markers_of,
)
from commonspace.plots.classes import MOST
from commonspace.plots.common_space import NAMED
from commonspace.plots.palette import FEW
from commonspace.reporting.clouds import Clouds
from commonspace.reporting.course import Course, Surface
from commonspace.reporting.items import Items
from commonspace.reporting.measured import DEPTH, Direction

if TYPE_CHECKING:
    from commonspace.plots.paper import Figure

__all__ = ["SHOWN", "Drawn", "draw_space", "pictures"]

SHOWN = 3
"""Best and worst queries of each direction."""

_SHAPES = {"^": "triangles", "o": "circles", "s": "squares", "D": "diamonds", "P": "plus signs",
           "X": "crosses", "v": "triangles that stand on their tip", "*": "stars",
           "<": "triangles to the left", ">": "triangles to the right"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Drawn:
    """A picture with its words."""

    name: str
    title: str
    caption: str
    figure: "Figure"


def draw_space(
    clouds: Clouds,
    class_names: Sequence[str],
    seed: int,
    progress: Callable[[float], None] | None,
) -> Drawn:
    """Return the t-SNE panels.

    Args:
        clouds: what is drawn.
        class_names: in the order of the class numbers.
        seed: of t-SNE.
        progress: hears the share of t-SNE that is done.

    Raises:
        DataError: there are fewer than five points.
        MissingExtraError: a package of the extra plots is not installed.
    """
    panels = lay_out(clouds.clouds, seed, progress, clouds.features_called)
    marks = markers_of([one.modality for one in clouds.clouds])
    shapes = "; ".join(f"{_SHAPES[mark]} are {name}" for name, mark in marks.items())
    counts = ", ".join(
        f"all {there:,} of {name}" if kept == there else f"{kept:,} of {there:,} of {name}"
        for name, (kept, there) in clouds.counts.items()
    )
    some = any(kept < there for kept, there in clouds.counts.values())
    occurring = {int(number) for one in clouds.clouds for number in one.classes} - {-1}
    shared = [one.title[:3] for one in panels if one.shared]
    caption = (
        f"t-SNE (perplexity 30, seed {seed}): points that lie together were neighbours; far"
        f" distances and the sizes of groups mean little. {shapes[:1].upper()}{shapes[1:]}; the"
        f" colour is the class. Shown are {counts}"
        + (", drawn at random with about the same share of each class" if some else "")
        + (
            f". Panels {' '.join(shared)} are one layout of all modalities together, on the same"
            " axes"
            if len(shared) > 1
            else ""
        )
        + (
            "; the vectors have length 1, so that neighbours by distance are neighbours by cosine."
            if clouds.unit
            else "; the vectors are taken as they are, not of one length: their inner product is"
            " the score, while the picture shows distances."
        )
    )
    if len(panels) > len(shared):
        caption += " Features are laid out each by themselves, as they came."
    if len(occurring) > FEW:
        caption += " Names stand above the median of their class, with a line to it"
        caption += f", for the {NAMED} largest classes." if len(occurring) > NAMED else "."
    if any((one.classes < 0).any() for one in clouds.clouds):
        caption += " What has no label is grey."
    return Drawn("common-space", "The common space", caption, draw_panels(panels, class_names))


def pictures(
    found: EmbeddedData,
    directions: Sequence[Direction],
    items: Items,
    course: Course | None,
    surface: Surface | None,
) -> Iterator[Callable[[], Drawn]]:
    """Yield each further picture that there is, still to be drawn.

    Args:
        found: the samples.
        directions: what was measured; those with a problem are left out.
        items: how samples are shown.
        course: of the training, where it is known.
        surface: over lambda and eta, where it was measured.
    """
    judged = [one for one in directions if not one.problem]
    if course is not None:
        yield lambda: _course(course)
    if judged:
        yield lambda: _curves(judged)
        yield lambda: _classes(judged, found)
    for name, one in _named("confusion", judged):
        yield lambda name=name, one=one: _confusion(name, one, found)  # type: ignore[misc]
    for name, one in _named("queries", judged):
        yield lambda name=name, one=one: _queries(name, one, found, items)  # type: ignore[misc]
    if surface is not None:
        yield lambda: _surface(surface)


def _named(kind: str, directions: Sequence[Direction]) -> Iterator[tuple[str, Direction]]:
    """Give each direction a name that is a file name on every system, and no other's."""
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


def _course(course: Course) -> Drawn:
    caption = f"Of {len(course.validation_map)} {course.steps}s, number {course.chosen} was chosen"
    caption += " by the mAP on the validation part, the mean over all directions."
    if course.steps == "trial":
        caption += " The method has a closed form: each trial is one choice of its settings, and"
        caption += " there is no order among them."
    else:
        caption += " The loss and its parts are means over the samples of an epoch, as the method"
        caption += " records them."
    title = "The course of the training" if course.steps == "epoch" else "The trials"
    figure = draw_course(course.validation_map, course.losses, course.chosen, course.steps)
    return Drawn("course", title, caption, figure)


def _curves(judged: Sequence[Direction]) -> Drawn:
    recall = {o.name: (o.recall.recall, o.recall.precision) for o in judged if o.recall}
    scope = {o.name: (o.scope.scope, o.scope.precision) for o in judged if o.scope}
    figure = draw_curves(recall, scope, {one.name: one.chance for one in judged})
    caption = (
        "Left: interpolated precision at 21 levels of recall. Right: the share of right results"
        " among the first, down to the whole gallery. Both are means over the queries; the dotted"
        " line is chance."
    )
    return Drawn("curves", "Precision, recall and scope", caption, figure)


def _classes(judged: Sequence[Direction], found: EmbeddedData) -> Drawn:
    names = found.data.class_names
    figures = {one.name: {names[c]: value for c, value in one.by_class.items()} for one in judged}
    counts = {
        one.name: {names[c]: int(found.labels[one.source][:, c].sum()) for c in one.by_class}
        for one in judged
    }
    figure = draw_classes(figures, counts, {one.name: one.map.mean for one in judged})
    drawn = len({name for values in figures.values() for name in values})
    caption = (
        "mAP of the queries of each class, ordered by the mean over the directions; behind each bar"
        " its length and the number of queries. The dashed line and the title are the mAP over all"
        " queries. A class of few queries is little more than an anecdote."
    )
    if drawn > MOST:
        caption += f" Of {drawn} classes, the {MOST // 2} best and the {MOST // 2} worst are shown."
    return Drawn("classes", "Each class", caption, figure)


def _confusion(name: str, one: Direction, found: EmbeddedData) -> Drawn:
    assert one.confusion is not None
    names = found.data.class_names
    depth = min(DEPTH, one.gallery)
    there = np.flatnonzero(
        found.labels[one.source].any(axis=0) | found.labels[one.target].any(axis=0)
    )  # what neither asks nor answers has nothing to show
    figure = draw_confusion(
        one.confusion[np.ix_(there, there)],
        [names[number] for number in there],
        f"{one.name}: classes of the first {depth} found",
    )
    caption = (
        f"For queries of the class of a row, the share of each class among the first {depth}"
        " results (an item of several classes counts in parts). The scale is that of square roots,"
        " so that small shares are seen; below, the largest shares of a wrong class."
    )
    fewest = int(found.labels[one.target][:, there].sum(axis=0).min())
    if fewest < depth:
        caption += f" The gallery has as few as {fewest} items of a class: it cannot fill its row."
    if not np.any(found.labels[one.source][:, there], axis=0).all():
        caption += " A grey row is a class that no query has."
    return Drawn(name, f"Confusion of classes, {one.name}", caption, figure)


def _queries(name: str, one: Direction, found: EmbeddedData, items: Items) -> Drawn:
    judged = np.flatnonzero(~np.isnan(one.precisions))
    order = judged[np.argsort(-one.precisions[judged], kind="stable")]
    best = order[:SHOWN]
    worst = order[max(SHOWN, len(order) - SHOWN) :][::-1]
    rows, labels = found.rows, found.labels

    def answered(query: int) -> Answered:
        hits = one.found[query]
        return Answered(
            float(one.precisions[query]),
            items.card(int(rows[one.source][query]), one.source),
            tuple(items.card(int(rows[one.target][hit]), one.target) for hit in hits),
            tuple(
                bool((labels[one.source][query] & labels[one.target][hit]).any()) for hit in hits
            ),
        )

    figure = draw_queries([answered(q) for q in best], [answered(q) for q in worst], one.name)
    caption = (
        "The queries with the highest and the lowest average precision, the first of the data where"
        f" several are equal, and the first {one.found.shape[1]} results of each. A tick and a"
        " thick frame mark what shares a class with the query."
    )
    return Drawn(name, f"Best and worst queries, {one.name}", caption, figure)


def _surface(surface: Surface) -> Drawn:
    figure = draw_surface(surface.lambdas, surface.etas, surface.maps, part=surface.split)
    caption = (
        f"The mAP on {surface.split} for each lambda and eta, as the run's sensitivity.json has it;"
    )
    caption += " grey was not measured. The frame describes; it chose nothing."
    return Drawn("sensitivity", "Lambda and eta", caption, figure)

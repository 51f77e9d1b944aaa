"""How well each class is found: a bar for each class and direction, the best on top.

It takes figures and measures nothing.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from commonspace.errors import DataError
from commonspace.plots.lettering import shown
from commonspace.plots.palette import class_colours
from commonspace.plots.paper import MUTED, WIDTH, draw, new_figure, open_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST", "draw_classes", "order_of_classes"]

MOST = 60
"""Classes that are drawn, at most; of more, the best and the worst half of that number."""


def order_of_classes(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the classes by descending mean over the directions that have a figure for them.

    Args:
        figures: direction -> class -> figure.

    Example:
        >>> order_of_classes({"a->b": {"cat": 0.2, "dog": 0.9}, "b->a": {"cat": 0.4}})
        ['dog', 'cat']
    """
    names = dict.fromkeys(name for values in figures.values() for name in values)
    means = {n: float(np.mean([v[n] for v in figures.values() if n in v])) for n in names}
    return sorted(names, key=lambda name: -means[name])


def draw_classes(
    figures: Mapping[str, Mapping[str, float]],
    queries: Mapping[str, Mapping[str, int]],
    overall: Mapping[str, float],
) -> "Figure":
    """Return the mAP of each class, directions side by side, classes in one order.

    Args:
        figures: direction -> class -> mAP of the queries of this class; a class that no query
            has is left out.
        queries: direction -> class -> how many queries that is.
        overall: direction -> mAP over all queries, drawn as a line.

    Raises:
        DataError: there is nothing to draw.
        MissingExtraError: matplotlib is not installed.
    """
    order = order_of_classes(figures)
    if not order:
        raise DataError(
            "there is no class to draw",
            expected="the mAP of at least one class in one direction",
            found="none",
            advice="check that some queries have a label",
        )
    drawn: list[str | None] = [*order]
    if len(order) > MOST:
        drawn = [*order[: MOST // 2], None, *order[-MOST // 2 :]]
    with draw():
        columns = min(len(figures), 3)
        rows = -(-len(figures) // columns)
        height = 0.155 * len(drawn) + 0.55
        figure = new_figure(rows * height + 0.2, WIDTH)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        colours = class_colours(len(figures))
        for axes, direction, colour in zip(grid.ravel(), figures, colours, strict=False):
            _bars(axes, drawn, figures[direction], queries[direction], colour)
            axes.axvline(overall[direction], color=MUTED, lw=0.9, ls="--", zorder=0.6)
            axes.set_title(f"{shown(direction, 30)}: {overall[direction]:.3f}")
        for axes in grid.ravel()[len(figures) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("mAP; in brackets: queries")
    return figure


def _bars(
    axes: "Axes",
    drawn: Sequence[str | None],
    figures: Mapping[str, float],
    queries: Mapping[str, int],
    colour: str,
) -> None:
    at = range(len(drawn))
    axes.barh(at, [figures.get(one or "", 0.0) for one in drawn], height=0.72, color=colour)
    for place, name in zip(at, drawn, strict=True):
        if name is None:
            continue
        value = f"{figures[name]:.2f} ({queries[name]})" if name in figures else "no query"
        axes.text(1.04, place, value, va="center", size=5.8)
    axes.set_yticks(at, ["…" if one is None else shown(one) for one in drawn])
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.set_xlim(0, 1.32)  # the numbers stand in a column behind the longest bar
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    open_axes(axes, "x")

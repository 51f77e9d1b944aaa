"""Bar chart of the mAP of each class, one panel for each direction."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from commonspace.errors import DataError
from commonspace.plots.colors import class_colors
from commonspace.plots.style import MUTED, WIDTH, new_figure, open_axes, plot_style
from commonspace.plots.text import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST", "draw_class_map", "sort_classes"]

MOST = 60
"""Maximum number of classes; of more, the best and the worst half of that number are drawn."""


def sort_classes(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the classes by descending mean over the directions that have a figure for them.

    Args:
        figures: direction -> class -> figure.

    Example:
        >>> sort_classes({"a->b": {"cat": 0.2, "dog": 0.9}, "b->a": {"cat": 0.4}})
        ['dog', 'cat']
    """
    names = dict.fromkeys(name for values in figures.values() for name in values)
    means = {n: float(np.mean([v[n] for v in figures.values() if n in v])) for n in names}
    return sorted(names, key=lambda name: -means[name])


def draw_class_map(
    figures: Mapping[str, Mapping[str, float]],
    queries: Mapping[str, Mapping[str, int]],
    overall: Mapping[str, float],
) -> "Figure":
    """Return a bar chart of the mAP of each class, directions side by side.

    Args:
        figures: direction -> class -> mAP of its queries; a class without queries is left out.
        queries: direction -> class -> number of its queries.
        overall: direction -> mAP over all queries, drawn as a line.

    Raises:
        DataError: no class has a figure.
        MissingExtraError: matplotlib is not installed.
    """
    order = sort_classes(figures)
    if not order:
        raise DataError(
            "no class has a figure",
            expected="the mAP of at least one class in one direction",
            found="none",
            advice="check that some queries have a label",
        )
    drawn: list[str | None] = [*order]
    if len(order) > MOST:
        drawn = [*order[: MOST // 2], None, *order[-MOST // 2 :]]
    with plot_style():
        columns = min(len(figures), 3)
        rows = -(-len(figures) // columns)
        height = 0.155 * len(drawn) + 0.55
        figure = new_figure(rows * height + 0.2, WIDTH)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        colors = class_colors(len(figures))
        for axes, direction, color in zip(grid.ravel(), figures, colors, strict=False):
            _bars(axes, drawn, figures[direction], queries[direction], color)
            axes.axvline(overall[direction], color=MUTED, lw=0.9, ls="--", zorder=0.6)
            axes.set_title(f"{shorten(direction, 30)}: {overall[direction]:.3f}")
        for axes in grid.ravel()[len(figures) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("mAP (number of queries)")
    return figure


def _bars(
    axes: "Axes",
    drawn: Sequence[str | None],
    figures: Mapping[str, float],
    queries: Mapping[str, int],
    color: str,
) -> None:
    at = range(len(drawn))
    axes.barh(at, [figures.get(one or "", 0.0) for one in drawn], height=0.72, color=color)
    for place, name in zip(at, drawn, strict=True):
        if name is None:
            continue
        value = f"{figures[name]:.2f} ({queries[name]})" if name in figures else "no query"
        axes.text(1.04, place, value, va="center", size=5.8)
    axes.set_yticks(at, ["…" if one is None else shorten(one) for one in drawn])
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.set_xlim(0, 1.32)  # the values are in a column to the right of the bars
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    open_axes(axes, "x")

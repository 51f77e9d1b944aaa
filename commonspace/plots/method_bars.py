"""Bars of several methods with their intervals, the chosen one emphasized."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from commonspace.errors import DataError
from commonspace.plots.colors import class_colors
from commonspace.plots.style import INK, MUTED, new_figure, open_axes, plot_style
from commonspace.plots.text import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MethodBar", "draw_method_bars"]


class MethodBar(NamedTuple):
    """A method with its figure and interval, from 0 to 1."""

    name: str
    value: float
    low: float
    high: float
    strong: bool
    """Whether it is drawn in the second color."""


def draw_method_bars(bars: Sequence[MethodBar], metric: str) -> "Figure":
    """Return a horizontal bar for each method, from top to bottom, with its value beside it.

    Args:
        bars: at least one.
        metric: name of the figure.

    Raises:
        DataError: there is no bar.
        MissingExtraError: matplotlib is not installed.
    """
    if not bars:
        raise DataError(
            "there is no method to draw",
            expected="the figure of at least one method",
            found="none",
            advice="leave this figure out",
        )
    with plot_style():
        figure = new_figure(0.7 + 0.26 * len(bars))
        axes = figure.subplots()
        usual, strong = class_colors(2)
        for row, one in enumerate(bars):
            color = strong if one.strong else usual
            axes.barh(row, one.value, height=0.62, color=color, alpha=0.85)
            axes.plot([one.low, one.high], [row, row], color=INK, lw=1.2)
            edge = max(one.value, one.high) + 0.01
            weight = "bold" if one.strong else "normal"
            axes.text(edge, row, f"{one.value:.3f}", va="center", size=7, weight=weight)
        axes.set_yticks(range(len(bars)), [shorten(one.name, 42) for one in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, min(1.12, max(max(one.high, one.value) for one in bars) + 0.12))
        axes.set_xlabel(metric)
        axes.tick_params(axis="y", length=0, color=MUTED)
        open_axes(axes)
    return figure

"""Precision-recall and precision-scope curves, a line for each direction of retrieval."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from commonspace.errors import DataError
from commonspace.plots.colors import class_colors
from commonspace.plots.style import MUTED, new_figure, open_axes, plain_log_ticks, plot_style
from commonspace.plots.text import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Curves", "draw_precision_curves"]

Curves = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""Direction -> (p,) x values, (p,) precisions in [0, 1]."""

_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), "-.", (0, (7, 1.5, 1.5, 1.5)), (0, (3, 1)))
_MARKERS = "o^sDvP"


def draw_precision_curves(recall: Curves, scope: Curves, chance: Mapping[str, float]) -> "Figure":
    """Return precision-recall and precision-scope curves, side by side.

    Directions differ in color, dashes and markers; thin dotted lines are chance.

    Args:
        recall: direction -> (recall in [0, 1], interpolated precision).
        scope: direction -> (number of first results K, precision among them), on a log axis.
        chance: direction -> share of the gallery that is relevant.

    Raises:
        DataError: there is no direction, or the two have different directions.
        MissingExtraError: matplotlib is not installed.
    """
    if not recall or set(recall) != set(scope):
        raise DataError(
            "the two curves have different directions",
            expected="the same directions, at least one, in recall and scope",
            found=f"{', '.join(recall) or 'none'}; {', '.join(scope) or 'none'}",
            advice="measure both for each direction",
        )
    with plot_style():
        figure = new_figure(3.3 + 0.16 * -(-len(recall) // 3))
        left, right = figure.subplots(1, 2, sharey=True)
        _lines(left, recall, chance)
        _lines(right, scope, chance)
        left.set_title("Precision-recall curve")
        left.set_xlabel("recall")
        left.set_ylabel("precision, mean over queries")
        left.set_xlim(0, 1)
        left.set_ylim(0, 1.02)
        right.set_title("Precision-scope curve")
        right.set_xlabel("number of first results K, log scale")
        right.set_xscale("log")
        plain_log_ticks(right.xaxis)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=min(3, len(labels)), handlelength=3.2
        )
    return figure


def _lines(axes: "Axes", curves: Curves, chance: Mapping[str, float]) -> None:
    colors = class_colors(len(curves))
    for number, (direction, (at, precision)) in enumerate(curves.items()):
        x = np.asarray(at, dtype=np.float64)
        axes.plot(
            x, np.asarray(precision), color=colors[number], label=shorten(direction, 40),
            ls=_DASHES[number % len(_DASHES)], marker=_MARKERS[number % len(_MARKERS)],
            ms=3.2, markevery=max(1, len(x) // 10),
        )  # fmt: skip
    for level in {round(value, 4) for value in chance.values()}:
        axes.axhline(level, color=MUTED, lw=0.8, ls=":", zorder=0)
    open_axes(axes)

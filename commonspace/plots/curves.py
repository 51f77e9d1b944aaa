"""Precision against recall and against scope, a line for each direction of retrieval.

It takes points and measures nothing.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from commonspace.errors import DataError
from commonspace.plots.lettering import shown
from commonspace.plots.palette import class_colours
from commonspace.plots.paper import MUTED, draw, new_figure, open_axes, plain_logarithms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Curves", "draw_curves"]

Curves = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""Direction -> (p,) positions on the axis, (p,) precisions from 0 to 1."""

_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), "-.", (0, (7, 1.5, 1.5, 1.5)), (0, (3, 1)))
_MARKERS = "o^sDvP"


def draw_curves(recall: Curves, scope: Curves, chance: Mapping[str, float]) -> "Figure":
    """Return precision over recall, and precision over scope, side by side.

    Directions differ in colour, dashes and marks; the thin dotted lines are chance.

    Args:
        recall: direction -> (levels of recall from 0 to 1, interpolated precision).
        scope: direction -> (numbers of first results, precision among them), on a log axis.
        chance: direction -> share of the gallery that is relevant.

    Raises:
        DataError: there is no direction, or the two name different ones.
        MissingExtraError: matplotlib is not installed.
    """
    if not recall or set(recall) != set(scope):
        raise DataError(
            "these curves do not belong together",
            expected="the same directions, at least one, over recall and over scope",
            found=f"{', '.join(recall) or 'none'}; {', '.join(scope) or 'none'}",
            advice="measure both for each direction",
        )
    with draw():
        figure = new_figure(3.3 + 0.16 * -(-len(recall) // 3))
        left, right = figure.subplots(1, 2, sharey=True)
        _lines(left, recall, chance)
        _lines(right, scope, chance)
        left.set_title("Precision at each recall")
        left.set_xlabel("recall")
        left.set_ylabel("precision, mean over queries")
        left.set_xlim(0, 1)
        left.set_ylim(0, 1.02)
        right.set_title("Precision among the first found")
        right.set_xlabel("number of first results, log scale")
        right.set_xscale("log")
        plain_logarithms(right.xaxis)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=min(3, len(labels)), handlelength=3.2
        )
    return figure


def _lines(axes: "Axes", curves: Curves, chance: Mapping[str, float]) -> None:
    colours = class_colours(len(curves))
    for number, (direction, (at, precision)) in enumerate(curves.items()):
        x = np.asarray(at, dtype=np.float64)
        axes.plot(
            x, np.asarray(precision), color=colours[number], label=shown(direction, 40),
            ls=_DASHES[number % len(_DASHES)], marker=_MARKERS[number % len(_MARKERS)],
            ms=3.2, markevery=max(1, len(x) // 10),
        )  # fmt: skip
    for level in {round(value, 4) for value in chance.values()}:
        axes.axhline(level, color=MUTED, lw=0.8, ls=":", zorder=0)
    open_axes(axes)

"""Learning curve: a figure by number of samples, and its predicted value at twice as many."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from commonspace.errors import DataError
from commonspace.plots.colors import class_colors
from commonspace.plots.style import new_figure, open_axes, plain_log_ticks, plot_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_label_curve"]


def draw_label_curve(
    labels: ArrayLike,
    figures: ArrayLike,
    line: tuple[ArrayLike, ArrayLike],
    predicted: tuple[float, float, float, float],
    metric: str = "mAP",
    unit: str = "labeled training samples",
) -> "Figure":
    """Return the measured points, the fitted curve, and the prediction with its interval.

    Args:
        labels: (k,) numbers of labels, or of other samples.
        figures: (k,) the figure at each.
        line: numbers of labels and fitted figures, (p,) each.
        predicted: number of labels, figure, and the ends of its interval.
        metric: name of the figure.
        unit: what is counted.

    Raises:
        DataError: points and figures do not match.
        MissingExtraError: matplotlib is not installed.
    """
    x, y = np.asarray(labels, dtype=np.float64), np.asarray(figures, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or not x.size:
        raise DataError(
            "numbers of labels and figures do not match",
            expected="one figure for each number, at least one",
            found=f"shapes {x.shape} and {y.shape}",
            advice="pass the points of one learning curve",
        )
    n, value, low, high = predicted
    with plot_style():
        figure = new_figure(2.9)
        axes = figure.subplots()
        measured, future = class_colors(2)
        axes.plot(*line, color=measured, lw=1.2, ls=(0, (5, 1.5)), label="fitted curve")
        axes.plot(x, y, ls="", marker="o", ms=5, color=measured, label="measured")
        axes.errorbar(
            [n], [value], [[max(value - low, 0)], [max(high - value, 0)]], marker="D", ms=6, ls="",
            color=future, capsize=3, label=f"predicted: {value:.3f}\n({low:.3f}-{high:.3f})",
        )  # fmt: skip
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis)
        axes.set_xlabel(f"{unit}, log scale")
        axes.set_ylabel(metric)
        axes.margins(y=0.15)
        open_axes(axes)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)
    return figure

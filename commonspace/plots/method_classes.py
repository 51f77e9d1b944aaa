"""Heat map of the mAP of each class for several methods."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from commonspace.errors import DataError
from commonspace.plots.style import WIDTH, new_figure, plot_style
from commonspace.plots.text import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_method_classes"]

_WRITTEN = 14  # number of classes up to which values are written into the cells


def draw_method_classes(figures: Mapping[str, Mapping[str, float]]) -> "Figure":
    """Return a heat map: a row for each method, a column for each class.

    Args:
        figures: method -> class -> mAP in [0, 1], the same classes for all methods.

    Raises:
        DataError: there is no method or no class, or the classes differ.
        MissingExtraError: matplotlib is not installed.
    """
    classes = list(next(iter(figures.values()), {}))
    if not classes or any(set(values) != set(classes) for values in figures.values()):
        raise DataError(
            "the methods have no common classes",
            expected="the mAP of the same classes for each method, at least one",
            found=f"{len(figures)} methods, {len(classes)} classes of the first",
            advice="measure all methods on the same samples",
        )
    order = sorted(classes, key=lambda name: -np.mean([row[name] for row in figures.values()]))
    table = np.array([[row[name] for name in order] for row in figures.values()])
    with plot_style():
        from matplotlib import colormaps

        figure = new_figure(1.3 + 0.2 * len(table), WIDTH)
        axes = figure.subplots()
        picture = axes.imshow(table, cmap=colormaps["cividis"], vmin=0, vmax=1, aspect="auto")
        size = float(np.clip(230 / len(order), 4.4, 7))
        axes.set_xticks(range(len(order)), [shorten(name, 22) for name in order], rotation=90)
        axes.set_yticks(range(len(table)), [shorten(name, 24) for name in figures])
        axes.tick_params(length=0, labelsize=size)
        axes.tick_params(axis="y", labelsize=7)
        if len(order) <= _WRITTEN:
            for (i, j), value in np.ndenumerate(table):
                color = "#22252c" if value > 0.55 else "#ffffff"
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", size=6, color=color)
        bar = figure.colorbar(picture, ax=axes, pad=0.01)
        bar.outline.set_visible(False)
        axes.set_title("mAP of each class, mean over directions and seeds")
    return figure

"""Heat map of the class confusion: classes of the first results, for the queries of each class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.plots.style import INK, PAPER, WIDTH, new_figure, plot_style
from commonspace.plots.text import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = ["Confusion", "draw_confusion", "most_confused"]

_WRITTEN = 12  # number of classes up to which shares are written into the cells
_NAMED = 64  # number of classes up to which rows and columns have names
_LISTED = 16


class Confusion(NamedTuple):
    """One class retrieved in place of another."""

    query: int
    """The class of the queries."""
    result: int
    """The class of the results."""
    share: float
    """Its share of the first results, in [0, 1]."""


def most_confused(shares: ArrayLike, count: int = _LISTED) -> list[Confusion]:
    """Return the largest shares off the diagonal, the largest first; zeros are left out.

    Args:
        shares: (c, c); row i holds the share of each class among the first results for queries of
            class i; NaN where no query has this class.
        count: maximum number.

    Example:
        >>> most_confused([[0.75, 0.25], [0.0, 1.0]])
        [Confusion(query=0, result=1, share=0.25)]
    """
    table = _checked(shares).copy()
    np.fill_diagonal(table, 0)
    table[np.isnan(table)] = 0
    largest = np.argsort(-table, axis=None, kind="stable")[:count]
    pairs = [divmod(int(flat), len(table)) for flat in largest]
    return [Confusion(i, j, float(table[i, j])) for i, j in pairs if table[i, j] > 0]


def draw_confusion(shares: ArrayLike, class_names: Sequence[str], title: str) -> "Figure":
    """Return the table of shares as a heat map, with the largest confusions written beside it.

    Up to 12 classes each share is written, up to 64 each class is named at the edge; the list of
    the largest confusions names them at any number.

    Args:
        shares: (c, c) from 0 to 1; row i: of the first results for queries of class i; NaN where
            no query has the class.
        class_names: c names.
        title: such as "image->text".

    Raises:
        DataError: the table is not square, or the names do not match.
        MissingExtraError: matplotlib is not installed.
    """
    table = _checked(shares)
    if len(class_names) != len(table):
        raise DataError(
            "class confusion and class names do not match",
            expected=f"{len(table)} names",
            found=f"{len(class_names)}",
            advice="pass the names in the order of the rows",
        )
    confusions = most_confused(table)
    with plot_style():
        below = 0.16 * len(confusions) + 0.25 if confusions else 0.01
        figure = new_figure(5.0 + below, WIDTH)
        parts = figure.subfigures(2, 1, height_ratios=[5.0, below], squeeze=False)[:, 0]
        axes = parts[0].subplots()
        picture = axes.imshow(
            np.sqrt(table), cmap=_color_map(), vmin=0, vmax=1, interpolation="nearest"
        )
        axes.set_title(title)
        axes.set_xlabel("class of the result")
        axes.set_ylabel("class of the query")
        _name_edges(axes, class_names)
        if len(table) <= _WRITTEN:
            _write_shares(axes, table)
        bar = parts[0].colorbar(picture, ax=axes, shrink=0.7, pad=0.02)
        bar.set_ticks(np.sqrt([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]).tolist())
        bar.set_ticklabels(["0", "1%", "5%", "10%", "25%", "50%", "100%"])
        bar.outline.set_visible(False)
        if confusions:
            _list(parts[1].subplots(), confusions, class_names)
    return figure


def _checked(shares: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(shares, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or table.size == 0:
        raise DataError(
            "the class confusion has the wrong form",
            expected="(classes, classes) shares, a row for each class of the queries",
            found=f"an array of shape {table.shape}",
            advice="compute it with evaluation.class_confusion",
        )
    return table


def _color_map() -> "Colormap":
    from matplotlib.colors import LinearSegmentedColormap

    # Lightness decreases evenly, also in grayscale; gray: a class without queries.
    blues = ["#ffffff", "#cfe3f5", "#7fb6e2", "#2d82c4", "#0d4f8b", "#06284a"]
    return LinearSegmentedColormap.from_list("share", blues).with_extremes(bad="#b9bcc3")


def _name_edges(axes: "Axes", class_names: Sequence[str]) -> None:
    count = len(class_names)
    if count > _NAMED:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    letters = float(np.clip(230 / count, 4.4, 7))
    names = [shorten(name, 22 if count > _WRITTEN else 30) for name in class_names]
    axes.set_xticks(range(count), names, rotation=90, size=letters)
    axes.set_yticks(range(count), names, size=letters)
    axes.tick_params(length=0 if count > _WRITTEN else 2)


def _write_shares(axes: "Axes", table: NDArray[np.float64]) -> None:
    for (i, j), share in np.ndenumerate(table):
        if not np.isnan(share):
            color = "#ffffff" if share > 0.25 else "#22252c"
            axes.text(j, i, f"{share:.0%}", ha="center", va="center", size=6, color=color)


def _list(axes: "Axes", confusions: Sequence[Confusion], class_names: Sequence[str]) -> None:
    axes.axis("off")
    axes.set_title("Largest shares of a wrong class")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(confusions), 0)
    largest = confusions[0].share
    for row, (query, result, share) in enumerate(confusions):
        words = f"{shorten(class_names[query])}  →  {shorten(class_names[result])}"
        axes.text(0.49, row + 0.5, words, ha="right", va="center", size=6.5)
        axes.barh(row + 0.5, 0.4 * share / largest, left=0.5, height=0.7, color="#2d82c4")
        axes.text(
            0.51 + 0.4 * share / largest,
            row + 0.5,
            f"{share:.1%}",
            va="center",
            size=6.5,
            color=INK,
        )
    axes.set_facecolor(PAPER)

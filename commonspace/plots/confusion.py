"""What is found in place of what: the classes of the first results, for queries of each class.

It takes a table of shares and measures nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.plots.lettering import shown
from commonspace.plots.paper import INK, PAPER, WIDTH, draw, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = ["Mistake", "draw_confusion", "most_confused"]

_WRITTEN = 12  # classes up to which each share is written into its cell
_NAMED = 64  # classes up to which each row and column has its name
_LISTED = 16


class Mistake(NamedTuple):
    """One class found in place of another."""

    query: int
    """The class of the queries."""
    found: int
    """Another class."""
    share: float
    """Its share of the first results, from 0 to 1."""


def most_confused(shares: ArrayLike, count: int = _LISTED) -> list[Mistake]:
    """Return the largest shares off the diagonal, the largest first; zeros are left out.

    Args:
        shares: (c, c); row i holds the share of each class among the first results for queries of
            class i; NaN where no query has this class.
        count: how many, at most.

    Example:
        >>> most_confused([[0.75, 0.25], [0.0, 1.0]])
        [Mistake(query=0, found=1, share=0.25)]
    """
    table = _checked(shares).copy()
    np.fill_diagonal(table, 0)
    table[np.isnan(table)] = 0
    largest = np.argsort(-table, axis=None, kind="stable")[:count]
    pairs = [divmod(int(flat), len(table)) for flat in largest]
    return [Mistake(i, j, float(table[i, j])) for i, j in pairs if table[i, j] > 0]


def draw_confusion(shares: ArrayLike, class_names: Sequence[str], title: str) -> "Figure":
    """Return the table of shares as a heat map, with the largest confusions written beside it.

    Up to 12 classes each share is written, up to 64 each class is named at the edge; the list of
    the largest confusions names them at any number.

    Args:
        shares: (c, c) from 0 to 1; row i: of the first results for queries of class i; NaN where
            no query has the class.
        class_names: c names.
        title: what was asked and found, such as "image->text".

    Raises:
        DataError: the table is not square, or the names do not match.
        MissingExtraError: matplotlib is not installed.
    """
    table = _checked(shares)
    if len(class_names) != len(table):
        raise DataError(
            "the confusion has other classes than names",
            expected=f"{len(table)} names",
            found=f"{len(class_names)}",
            advice="pass the names in the order of the rows",
        )
    mistakes = most_confused(table)
    with draw():
        below = 0.16 * len(mistakes) + 0.25 if mistakes else 0.01
        figure = new_figure(5.0 + below, WIDTH)
        parts = figure.subfigures(2, 1, height_ratios=[5.0, below], squeeze=False)[:, 0]
        axes = parts[0].subplots()
        picture = axes.imshow(
            np.sqrt(table), cmap=_colour_map(), vmin=0, vmax=1, interpolation="nearest"
        )
        axes.set_title(title)
        axes.set_xlabel("class that is found")
        axes.set_ylabel("class of the query")
        _name_edges(axes, class_names)
        if len(table) <= _WRITTEN:
            _write_shares(axes, table)
        bar = parts[0].colorbar(picture, ax=axes, shrink=0.7, pad=0.02)
        bar.set_ticks(np.sqrt([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]).tolist())
        bar.set_ticklabels(["0", "1%", "5%", "10%", "25%", "50%", "100%"])
        bar.outline.set_visible(False)
        if mistakes:
            _list(parts[1].subplots(), mistakes, class_names)
    return figure


def _checked(shares: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(shares, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or table.size == 0:
        raise DataError(
            "a confusion has the wrong form",
            expected="(classes, classes) shares, a row for each class of the queries",
            found=f"an array of shape {table.shape}",
            advice="measure it with evaluation.class_confusion",
        )
    return table


def _colour_map() -> "Colormap":
    from matplotlib.colors import LinearSegmentedColormap

    # Lightness falls evenly, so that it also reads in grey; no class of a query: hatched by grey.
    blues = ["#ffffff", "#cfe3f5", "#7fb6e2", "#2d82c4", "#0d4f8b", "#06284a"]
    return LinearSegmentedColormap.from_list("share", blues).with_extremes(bad="#b9bcc3")


def _name_edges(axes: "Axes", class_names: Sequence[str]) -> None:
    count = len(class_names)
    if count > _NAMED:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    letters = float(np.clip(230 / count, 4.4, 7))
    names = [shown(name, 22 if count > _WRITTEN else 30) for name in class_names]
    axes.set_xticks(range(count), names, rotation=90, size=letters)
    axes.set_yticks(range(count), names, size=letters)
    axes.tick_params(length=0 if count > _WRITTEN else 2)


def _write_shares(axes: "Axes", table: NDArray[np.float64]) -> None:
    for (i, j), share in np.ndenumerate(table):
        if not np.isnan(share):
            colour = "#ffffff" if share > 0.25 else "#22252c"
            axes.text(j, i, f"{share:.0%}", ha="center", va="center", size=6, color=colour)


def _list(axes: "Axes", mistakes: Sequence[Mistake], class_names: Sequence[str]) -> None:
    axes.axis("off")
    axes.set_title("Found most often in place of the right class")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(mistakes), 0)
    largest = mistakes[0].share
    for row, (query, found, share) in enumerate(mistakes):
        words = f"{shown(class_names[query])}  →  {shown(class_names[found])}"
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

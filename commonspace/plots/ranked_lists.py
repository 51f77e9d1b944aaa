"""Queries with their first results: photos and texts, relevant results framed and ticked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError
from commonspace.plots.colors import class_colors
from commonspace.plots.style import FAINT, INK, MUTED, WIDTH, new_figure, plot_style
from commonspace.plots.text import shorten, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Card", "RankedList", "draw_card", "draw_ranked_lists"]

_COLUMNS, _LINES = 21, 9  # of a text on a card
_TITLE, _ABOVE, _BELOW = 0.34, 0.16, 0.3  # inches: for a title, above a card, and below it


@dataclass(frozen=True, eq=False)
class Card:
    """A sample to draw: its photo or its text."""

    id: str
    classes: tuple[str, ...]
    picture: NDArray[np.uint8] | None = None
    """(h, w, 3) uint8 RGB, or None."""
    text: str = ""
    problem: str = ""
    """Why its photo cannot be shown."""


@dataclass(frozen=True, eq=False)
class RankedList:
    """A query with its first results."""

    precision: float
    """The average precision of the query over the whole ranking."""
    query: Card
    results: tuple[Card, ...]
    relevant: tuple[bool, ...]
    """For each result, whether it shares a class with the query."""


def draw_ranked_lists(
    best: Sequence[RankedList], worst: Sequence[RankedList], direction: str
) -> "Figure":
    """Return the best and the worst queries, a row each: the query, then its results.

    Relevant results have a thick solid frame and a tick, others a thin dashed frame and a cross.

    Args:
        best: queries of high average precision, the best first.
        worst: queries of low average precision, the worst first.
        direction: such as "image->text", for the titles.

    Raises:
        DataError: there is no query.
        MissingExtraError: matplotlib is not installed.
    """
    groups = [(f"Best queries, {direction}", best), (f"Worst queries, {direction}", worst)]
    groups = [(title, rows) for title, rows in groups if rows]
    if not groups:
        raise DataError(
            "there is no query to draw",
            expected="at least one query",
            found="none",
            advice="leave this figure out",
        )
    cells = 1 + max(len(one.results) for _, rows in groups for one in rows)
    side = WIDTH / cells
    height = sum(_TITLE + len(rows) * (side + _BELOW) for _, rows in groups)
    with plot_style():
        figure = new_figure(height)
        figure.set_layout_engine("none")  # all cards have the same size
        top = height
        for title, rows in groups:
            figure.text(0.04 / WIDTH, (top - 0.2) / height, shorten(title, 90), size=9)
            top -= _TITLE
            for one in rows:
                box = (side * 0.88) / WIDTH, (side * 0.88) / height
                low = (top - _ABOVE - side * 0.88) / height
                line = [figure.add_axes((x / cells + 0.006, low, *box)) for x in range(cells)]
                _row(line, one)
                top -= side + _BELOW
    return figure


def _row(line: Sequence["Axes"], one: RankedList) -> None:
    for axes in line[1 + len(one.results) :]:
        axes.axis("off")
    draw_card(line[0], one.query)
    line[0].set_title(f"query, AP {one.precision:.3f}", size=6.5, pad=3)
    for spine in line[0].spines.values():
        spine.set(color=INK, linewidth=1.2)
    yes, no = class_colors(2)
    for axes, card, right in zip(line[1:], one.results, one.relevant, strict=False):
        draw_card(axes, card)
        mark, color = ("✓ relevant", yes) if right else ("✗ not relevant", no)
        axes.set_title(mark, size=6.5, pad=3)
        for spine in axes.spines.values():
            spine.set(
                color=color, linewidth=2.2 if right else 0.9, linestyle="-" if right else "--"
            )


def draw_card(axes: "Axes", card: Card) -> None:
    """Draw the photo or the text of a sample, with its classes below."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)
    if card.picture is not None:
        high, wide = card.picture.shape[:2]
        x, y = 0.48 * np.array([wide, high]) / max(high, wide)
        axes.imshow(card.picture, extent=(0.5 - x, 0.5 + x, 0.5 + y, 0.5 - y), aspect="auto")
        axes.set_xlim(0, 1)
        axes.set_ylim(1, 0)
    elif card.problem:
        axes.set_facecolor(FAINT)
        words = wrap(f"no photo: {card.problem}", _COLUMNS, _LINES)
        axes.text(0.5, 0.5, words, size=5.2, ha="center", va="center", color=INK)
    else:
        words = card.text or card.id
        axes.text(0.05, 0.05, wrap(words, _COLUMNS, _LINES), size=5.2, va="top", linespacing=1.25)
    classes = ", ".join(card.classes) or "no class"
    axes.set_xlabel(wrap(classes, 22, 2), size=6, labelpad=3, color=INK if card.classes else MUTED)

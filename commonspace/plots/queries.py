"""Queries with what they found first: pictures and sentences, the right ones framed and ticked.

It takes pictures as arrays and texts as strings, and knows neither files nor spaces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from commonspace.errors import DataError
from commonspace.plots.lettering import shown, wrapped
from commonspace.plots.palette import class_colours
from commonspace.plots.paper import FAINT, INK, MUTED, WIDTH, draw, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Answered", "Card", "draw_queries"]

_COLUMNS, _LINES = 21, 9  # of a text on a card
_TITLE, _ABOVE, _BELOW = 0.34, 0.16, 0.3  # inches: for a title, above a card, and below it


@dataclass(frozen=True, eq=False)
class Card:
    """One sample, as it is shown."""

    id: str
    classes: tuple[str, ...]
    picture: NDArray[np.uint8] | None = None
    """(h, w, 3) RGB, where there is one."""
    text: str = ""
    problem: str = ""
    """Why a picture that there should be cannot be shown."""


@dataclass(frozen=True, eq=False)
class Answered:
    """A query with what it found first."""

    precision: float
    """The average precision of the query over the whole ranking."""
    query: Card
    found: tuple[Card, ...]
    right: tuple[bool, ...]
    """For each that was found, whether it shares a class with the query."""


def draw_queries(best: Sequence[Answered], worst: Sequence[Answered], direction: str) -> "Figure":
    """Return the best and the worst queries, a row each: the query, then what it found.

    What is right has a thick solid frame and a tick, what is wrong a thin dashed one and a cross.

    Args:
        best: queries of high average precision, the best first.
        worst: queries of low average precision, the worst first.
        direction: what asks and what answers, for the titles.

    Raises:
        DataError: there is no query.
        MissingExtraError: matplotlib is not installed.
    """
    groups = [(f"Best queries, {direction}", best), (f"Worst queries, {direction}", worst)]
    groups = [(title, rows) for title, rows in groups if rows]
    if not groups:
        raise DataError(
            "there are no queries to draw",
            expected="at least one that was answered",
            found="none",
            advice="leave this picture out",
        )
    cells = 1 + max(len(one.found) for _, rows in groups for one in rows)
    side = WIDTH / cells
    height = sum(_TITLE + len(rows) * (side + _BELOW) for _, rows in groups)
    with draw():
        figure = new_figure(height)
        figure.set_layout_engine("none")  # every card has one size, whatever is written around it
        top = height
        for title, rows in groups:
            figure.text(0.04 / WIDTH, (top - 0.2) / height, shown(title, 90), size=9)
            top -= _TITLE
            for one in rows:
                box = (side * 0.88) / WIDTH, (side * 0.88) / height
                low = (top - _ABOVE - side * 0.88) / height
                line = [figure.add_axes((x / cells + 0.006, low, *box)) for x in range(cells)]
                _row(line, one)
                top -= side + _BELOW
    return figure


def _row(line: Sequence["Axes"], one: Answered) -> None:
    for axes in line[1 + len(one.found) :]:
        axes.axis("off")
    _card(line[0], one.query)
    line[0].set_title(f"query, AP {one.precision:.3f}", size=6.5, pad=3)
    for spine in line[0].spines.values():
        spine.set(color=INK, linewidth=1.2)
    yes, no = class_colours(2)
    for axes, card, right in zip(line[1:], one.found, one.right, strict=False):
        _card(axes, card)
        mark, colour = ("✓ right", yes) if right else ("✗ wrong", no)
        axes.set_title(mark, size=6.5, pad=3)
        for spine in axes.spines.values():
            spine.set(
                color=colour, linewidth=2.2 if right else 0.9, linestyle="-" if right else "--"
            )


def _card(axes: "Axes", card: Card) -> None:
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
        words = wrapped(f"no picture: {card.problem}", _COLUMNS, _LINES)
        axes.text(0.5, 0.5, words, size=5.2, ha="center", va="center", color=INK)
    else:
        words = card.text or card.id
        axes.text(
            0.05, 0.05, wrapped(words, _COLUMNS, _LINES), size=5.2, va="top", linespacing=1.25
        )
    classes = ", ".join(card.classes) or "no class"
    axes.set_xlabel(
        wrapped(classes, 22, 2), size=6, labelpad=3, color=INK if card.classes else MUTED
    )

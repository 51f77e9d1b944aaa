"""Samples in rows: their photos and texts as cards, with a few lines beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commonspace.errors import DataError
from commonspace.plots.ranked_lists import Card, draw_card
from commonspace.plots.style import WIDTH, new_figure, plot_style
from commonspace.plots.text import wrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CardRow", "draw_card_rows"]

_SIDE, _GAP = 1.1, 0.34  # inches
_COLUMNS = 44  # letters of a line beside the cards


@dataclass(frozen=True, eq=False)
class CardRow:
    """The modalities of one sample, and what is said about it."""

    cards: tuple[Card, ...]
    lines: tuple[str, ...]


def draw_card_rows(rows: Sequence[CardRow]) -> "Figure":
    """Return a row for each sample, two beside each other: its cards, then the lines.

    Args:
        rows: at least one; all with the same number of cards.

    Raises:
        DataError: there is no row.
        MissingExtraError: matplotlib is not installed.
    """
    if not rows:
        raise DataError(
            "there is no sample to draw",
            expected="at least one sample",
            found="none",
            advice="leave this figure out",
        )
    cards = max(len(one.cards) for one in rows)
    labeled = any(card.classes for one in rows for card in one.cards)
    across = 2 if cards <= 2 else 1
    height = -(-len(rows) // across) * (_SIDE + _GAP)
    with plot_style():
        figure = new_figure(height, WIDTH)
        figure.set_layout_engine("none")  # all cards have the same size
        for number, one in enumerate(rows):
            left = (number % across) * WIDTH / across
            low = height - (number // across + 1) * (_SIDE + _GAP) + _GAP * 0.75
            for place, card in enumerate(one.cards):
                x = left + 0.04 + place * (_SIDE + 0.06)
                box = (x / WIDTH, low / height, _SIDE / WIDTH, _SIDE / height)
                axes = figure.add_axes(box)
                draw_card(axes, card)
                if not labeled:
                    axes.set_xlabel("")
            x = left + 0.1 + cards * (_SIDE + 0.06)
            letters = int((WIDTH / across - (x - left)) / 0.058)
            text = "\n".join(wrap(line, min(letters, _COLUMNS), 3) for line in one.lines)
            figure.text(x / WIDTH, (low + _SIDE) / height, text, size=5.6, va="top")
    return figure

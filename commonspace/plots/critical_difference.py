"""Critical-difference diagram: mean ranks of methods, with bars over those that do not differ.

Demšar: Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006), figure 1.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from commonspace.errors import DataError
from commonspace.plots.style import INK, MUTED, WIDTH, new_figure, plot_style
from commonspace.plots.text import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_critical_difference", "groups_within"]


def groups_within(ranks: Mapping[str, float], difference: float) -> list[tuple[float, float]]:
    """Return the first and last rank of each maximal group whose ranks differ by less.

    Args:
        ranks: method -> mean rank.
        difference: the critical difference.

    Example:
        >>> groups_within({"a": 1.0, "b": 1.5, "c": 2.2, "d": 4.0}, 1.0)
        [(1.0, 1.5), (1.5, 2.2)]
    """
    values = sorted(ranks.values())
    groups: list[tuple[float, float]] = []
    for start in range(len(values)):
        end = max(n for n in range(start, len(values)) if values[n] - values[start] < difference)
        if end > start and (not groups or values[end] > groups[-1][1]):
            groups.append((values[start], values[end]))
    return groups


def draw_critical_difference(ranks: Mapping[str, float], difference: float) -> "Figure":
    """Return the diagram: the best ranks on the left, bars join methods that do not differ.

    Args:
        ranks: method -> mean rank, at least 1; at least two methods.
        difference: the critical difference.

    Raises:
        DataError: there are fewer than two methods.
        MissingExtraError: matplotlib is not installed.
    """
    if len(ranks) < 2:
        raise DataError(
            "a critical-difference diagram needs two methods",
            expected="the mean rank of at least two methods",
            found=f"{len(ranks)}",
            advice="leave this figure out",
        )
    order = sorted(ranks, key=lambda name: ranks[name])
    half = -(-len(order) // 2)
    groups = groups_within(ranks, difference)
    top = 0.5 + 0.22 * len(groups)
    with plot_style():
        figure = new_figure(0.75 + 0.2 * (half + len(groups)), WIDTH)
        axes = figure.subplots()
        low, high = 1, max(2, len(order))
        span = high - low
        axes.set_xlim(low - 0.42 * span, high + 0.42 * span)
        axes.set_ylim(top + 0.4 * half + 0.2, -1.1)
        axes.axis("off")
        axes.plot([low, high], [0, 0], color=INK, lw=1)
        for tick in range(low, high + 1, max(1, -(-span // 12))):
            axes.plot([tick, tick], [-0.12, 0], color=INK, lw=1)
            axes.text(tick, -0.2, str(tick), ha="center", va="bottom", size=7)
        end = min(low + difference, high)
        axes.plot([low, end], [-0.8, -0.8], color=MUTED, lw=1.5)
        label = f"critical difference {difference:.2f}"
        axes.text(low, -0.85, label, ha="left", va="bottom", size=7, color=MUTED)
        for number, (first, last) in enumerate(groups):
            height = 0.3 + 0.22 * number
            axes.plot([first - 0.02 * span, last + 0.02 * span], [height, height], color=INK, lw=3)
        for number, name in enumerate(order):
            left = number < half
            height = top + 0.4 * (number if left else len(order) - 1 - number)
            edge = low - 0.04 * span if left else high + 0.04 * span
            axes.plot([ranks[name], ranks[name], edge], [0, height, height], color=MUTED, lw=0.8)
            text = f"{shorten(name, 24)}  {ranks[name]:.2f}"
            text = text if left else f"{ranks[name]:.2f}  {shorten(name, 24)}"
            side = "right" if left else "left"
            shift = -0.01 * span if left else 0.01 * span
            axes.text(edge + shift, height, text, ha=side, va="center", size=7)
    return figure

"""How a training went: the validation mAP and the terms of the loss, epoch by epoch.

It takes numbers and knows no file and no method.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from commonspace.errors import DataError
from commonspace.plots.lettering import shown
from commonspace.plots.palette import class_colours
from commonspace.plots.paper import FAINT, INK, draw, new_figure, open_axes, plain_logarithms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Steps", "draw_course"]

Steps = Literal["epoch", "trial"]
"""What was counted: epochs of a descent, or trials of settings."""

_MANY = 60  # steps; beyond, single points would hide the line


def draw_course(
    validation_map: ArrayLike,
    losses: Mapping[str, ArrayLike],
    chosen: int,
    steps: Steps = "epoch",
) -> "Figure":
    """Return the validation mAP above the loss and its terms, with the chosen epoch marked.

    Trials have no order in which anything falls: they are single points, and there is no loss.

    Args:
        validation_map: (n,) from 0 to 1, of epoch or trial 1 to n.
        losses: name -> (n,), such as "loss" and its terms; may be empty.
        chosen: which epoch or trial was chosen, from 1.
        steps: what was counted.

    Raises:
        DataError: there is no step, or the rows do not match.
        MissingExtraError: matplotlib is not installed.
    """
    figures = np.asarray(validation_map, dtype=np.float64)
    terms = {name: np.asarray(values, dtype=np.float64) for name, values in losses.items()}
    if figures.ndim != 1 or not 1 <= chosen <= len(figures):
        raise DataError(
            f"this course of a training has no {steps} {chosen}",
            expected="one mAP for each step, at least one, and the chosen among them",
            found=f"mAPs of shape {figures.shape}",
            advice="check where the figures come from",
        )
    for name, values in terms.items():
        if values.shape != figures.shape:
            raise DataError(
                f"{name!r} does not belong to the same training",
                expected=f"{len(figures)} values, one for each {steps}",
                found=f"an array of shape {values.shape}",
                advice="check where the figures come from",
            )
    with draw():
        rows = 2 if terms else 1
        figure = new_figure(2.1 * rows + 0.3)
        grid = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        _draw_map(grid[0], figures, chosen, steps)
        if terms:
            _draw_losses(grid[1], terms, chosen)
        grid[-1].set_xlabel(f"{steps}")
        grid[-1].xaxis.get_major_locator().set_params(integer=True)
        figure.align_ylabels()
    return figure


def _draw_map(axes: "Axes", figures: "np.ndarray[tuple[int], np.dtype[np.float64]]", chosen: int,
              steps: Steps) -> None:  # fmt: skip
    at = np.arange(1, len(figures) + 1)
    colour, best = class_colours(2)
    line = "-" if steps == "epoch" else ""
    marker = "o" if len(at) <= _MANY or not line else ""
    axes.plot(at, figures, ls=line, marker=marker, ms=3, color=colour)
    axes.plot(
        [chosen], [figures[chosen - 1]], ls="", marker="D", ms=6, color=best,
        label=f"chosen: {steps} {chosen}, {figures[chosen - 1]:.3f}",
    )  # fmt: skip
    axes.set_title(f"Validation mAP of each {steps}")
    axes.set_ylabel("mAP")
    axes.margins(y=0.12)
    open_axes(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)


def _draw_losses(
    axes: "Axes", terms: "Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]", chosen: int
) -> None:
    dashes: Sequence[object] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), "-.")
    colours = dict(zip(terms, class_colours(len(terms) + 2)[2:], strict=True))
    positive = all((values > 0).all() for values in terms.values())
    for number, (name, values) in enumerate(terms.items()):
        whole = name == "loss"
        marker = "o" if len(values) == 1 else ""
        axes.plot(
            np.arange(1, len(values) + 1), values, marker=marker, ms=3,
            ls=dashes[number % len(dashes)], lw=1.8 if whole else 1.3,
            color=INK if whole else colours[name], label=shown(name),
        )  # fmt: skip
    if positive:
        axes.set_yscale("log")
        plain_logarithms(axes.yaxis)
    axes.axvline(chosen, color=FAINT, lw=1, zorder=0)
    axes.set_title("Loss and its terms on the training part, mean of each epoch")
    axes.set_ylabel("loss, log scale" if positive else "loss")
    open_axes(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)

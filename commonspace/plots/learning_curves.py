"""Learning curves: validation score and loss terms by epoch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from commonspace.errors import DataError
from commonspace.plots.colors import class_colors
from commonspace.plots.style import FAINT, INK, new_figure, open_axes, plain_log_ticks, plot_style
from commonspace.plots.text import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Steps", "draw_learning_curves"]

Steps = Literal["epoch", "trial"]
"""The x axis: epochs of a training, or trials of settings."""

_MANY = 60  # steps up to which points are marked


def draw_learning_curves(
    validation_score: ArrayLike,
    losses: Mapping[str, ArrayLike],
    chosen: int,
    steps: Steps = "epoch",
    metric: str = "mAP",
) -> "Figure":
    """Return the validation score above the loss and its terms, with the chosen epoch marked.

    Trials have no order: they are drawn as points without a line.

    Args:
        validation_score: (n,) in [0, 1], of epoch or trial 1 to n.
        losses: name -> (n,), such as "loss" and its terms; may be empty.
        chosen: number of the chosen epoch or trial, from 1.
        steps: "epoch" or "trial".
        metric: name of the score.

    Raises:
        DataError: there is no step, or the lengths differ.
        MissingExtraError: matplotlib is not installed.
    """
    figures = np.asarray(validation_score, dtype=np.float64)
    terms = {name: np.asarray(values, dtype=np.float64) for name, values in losses.items()}
    if figures.ndim != 1 or not 1 <= chosen <= len(figures):
        raise DataError(
            f"the history has no {steps} {chosen}",
            expected="one mAP for each step, at least one, including the chosen step",
            found=f"mAPs of shape {figures.shape}",
            advice="check the source of the figures",
        )
    for name, values in terms.items():
        if values.shape != figures.shape:
            raise DataError(
                f"{name!r} has another length than the validation mAP",
                expected=f"{len(figures)} values, one for each {steps}",
                found=f"an array of shape {values.shape}",
                advice="check the source of the figures",
            )
    with plot_style():
        rows = 2 if terms else 1
        figure = new_figure(2.1 * rows + 0.3)
        grid = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        _draw_score(grid[0], figures, chosen, steps, metric)
        if terms:
            _draw_losses(grid[1], terms, chosen)
        grid[-1].set_xlabel(f"{steps}")
        grid[-1].xaxis.get_major_locator().set_params(integer=True)
        figure.align_ylabels()
    return figure


def _draw_score(axes: "Axes", figures: "np.ndarray[tuple[int], np.dtype[np.float64]]", chosen: int,
              steps: Steps, metric: str) -> None:  # fmt: skip
    at = np.arange(1, len(figures) + 1)
    color, best = class_colors(2)
    line = "-" if steps == "epoch" else ""
    marker = "o" if len(at) <= _MANY or not line else ""
    axes.plot(at, figures, ls=line, marker=marker, ms=3, color=color)
    axes.plot(
        [chosen], [figures[chosen - 1]], ls="", marker="D", ms=6, color=best,
        label=f"chosen: {steps} {chosen}, {figures[chosen - 1]:.3f}",
    )  # fmt: skip
    axes.set_title(f"Validation {metric} of each {steps}")
    axes.set_ylabel(metric)
    axes.margins(y=0.12)
    open_axes(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)


def _draw_losses(
    axes: "Axes", terms: "Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]", chosen: int
) -> None:
    dashes: Sequence[object] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), "-.")
    colors = dict(zip(terms, class_colors(len(terms) + 2)[2:], strict=True))
    positive = all((values > 0).all() for values in terms.values())
    for number, (name, values) in enumerate(terms.items()):
        whole = name == "loss"
        marker = "o" if len(values) == 1 else ""
        axes.plot(
            np.arange(1, len(values) + 1), values, marker=marker, ms=3,
            ls=dashes[number % len(dashes)], lw=1.8 if whole else 1.3,
            color=INK if whole else colors[name], label=shorten(name),
        )  # fmt: skip
    if positive:
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
    axes.axvline(chosen, color=FAINT, lw=1, zorder=0)
    axes.set_title("Training loss and its terms, mean of each epoch")
    axes.set_ylabel("loss, log scale" if positive else "loss")
    open_axes(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), borderaxespad=0)

"""Heat map and surface plot of the mAP over lambda and eta, the two weights of DSCMR.

Figure 4 of Zhen et al., Deep Supervised Cross-modal Retrieval (CVPR 2019).
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonspace.errors import DataError
from commonspace.plots.colors import class_colors
from commonspace.plots.style import WIDTH, new_figure, plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_sensitivity"]


def draw_sensitivity(
    lambdas: ArrayLike, etas: ArrayLike, maps: ArrayLike, *, split: str, surface: bool = True
) -> "Figure":
    """Return the mAP over a grid of lambda and eta; the highest one is framed.

    Args:
        lambdas: (l,) ascending.
        etas: (e,) ascending.
        maps: (l, e) mAP in [0, 1]; NaN where not measured.
        split: such as "validation", for the title.
        surface: whether to draw a surface plot beside the heat map.

    Raises:
        DataError: the shapes do not match, the values do not ascend, or nothing was measured.
        MissingExtraError: matplotlib is not installed.
    """
    down, across, table = _checked(lambdas, etas, maps)
    surface = surface and min(table.shape) > 1 and not np.isnan(table).any()
    with plot_style():
        figure = new_figure(3.4, WIDTH if surface else WIDTH * 0.62)
        if surface:
            left, right = figure.subfigures(1, 2, width_ratios=[1.15, 1], squeeze=False)[0]
            _heat(left.subplots(), down, across, table, split)
            _surface(right.add_subplot(projection="3d"), down, across, table)
        else:
            _heat(figure.subplots(), down, across, table, split)
    return figure


def _checked(
    lambdas: ArrayLike, etas: ArrayLike, maps: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    down, across, table = (np.asarray(one, dtype=np.float64) for one in (lambdas, etas, maps))
    fine = down.ndim == across.ndim == 1 and table.shape == (len(down), len(across)) and table.size
    if (
        not fine
        or (np.diff(down) <= 0).any()
        or (np.diff(across) <= 0).any()
        or np.isnan(table).all()
    ):
        raise DataError(
            "the sensitivity grid has the wrong form",
            expected="ascending lambdas and etas, and an mAP for each pair of them",
            found=f"{down.shape} lambdas, {across.shape} etas, mAPs of shape {table.shape}",
            advice="pass maps[i][j] for lambda i and eta j",
        )
    return down, across, table


def _heat(
    axes: "Axes",
    down: NDArray[np.float64],
    across: NDArray[np.float64],
    table: NDArray[np.float64],
    split: str,
) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    low, high = np.nanmin(table), np.nanmax(table)
    scale = colormaps["cividis"].with_extremes(bad="#b9bcc3")
    axes.imshow(table, cmap=scale, aspect="auto", origin="lower")
    letters = float(np.clip(48 / max(table.shape), 4.5, 7))
    for (i, j), value in np.ndenumerate(table):
        if not np.isnan(value):
            light = value > (low + high) / 2
            axes.text(j, i, f"{value:.3f}", ha="center", va="center", size=letters,
                      color="#22252c" if light else "#ffffff")  # fmt: skip
    i, j = np.unravel_index(np.nanargmax(table), table.shape)
    mark = Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, lw=2.2, ec=class_colors(2)[1])
    axes.add_patch(mark)
    mark.set_clip_on(False)
    axes.set_xticks(range(len(across)), [f"{value:g}" for value in across])
    axes.set_yticks(range(len(down)), [f"{value:g}" for value in down])
    axes.set_xlabel("eta")
    axes.set_ylabel("lambda")
    axes.set_title(f"mAP on {split} (highest: {table[i, j]:.3f})")


def _surface(
    axes: "Axes", down: NDArray[np.float64], across: NDArray[np.float64], table: NDArray[np.float64]
) -> None:
    x, y = np.meshgrid(np.arange(len(across)), np.arange(len(down)))
    axes.plot_surface(x, y, table, cmap="cividis", lw=0.3, edgecolor="#ffffff")  # type: ignore[attr-defined]
    every = [max(1, -(-len(values) // 5)) for values in (across, down)]
    axes.set_xticks(range(0, len(across), every[0]), [f"{v:g}" for v in across[:: every[0]]])
    axes.set_yticks(range(0, len(down), every[1]), [f"{v:g}" for v in down[:: every[1]]])
    axes.tick_params(labelsize=6)
    axes.set_xlabel("eta")
    axes.set_ylabel("lambda")
    axes.set_title("Surface plot")

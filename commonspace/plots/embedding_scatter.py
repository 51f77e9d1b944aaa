"""Scatter plots of the common space: each modality, all together, and the features before training.

Figure 3 of Zhen et al., Deep Supervised Cross-modal Retrieval (CVPR 2019), for any number of
modalities.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from commonspace.plots.colors import FEW, class_colors, modality_markers
from commonspace.plots.projection import FEWEST, tsne
from commonspace.plots.style import INK, MUTED, PAPER, WIDTH, freeze_layout, new_figure, plot_style
from commonspace.plots.text import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ModalityPoints", "Panel", "PlacedPoints", "draw_embedding_scatter", "project_panels"]

NAMED = 60
"""Maximum number of classes whose names are drawn into a panel: the largest ones."""

_VECTOR = 3000  # points; more are rasterized, since they would make an SVG file slow to open
_NAME_SIZES = ((20, 6.0), (35, 5.2), (NAMED, 4.6))  # maximum number of names, font size


@dataclass(frozen=True, eq=False)
class ModalityPoints:
    """The samples of one modality, before projection."""

    modality: str
    vectors: NDArray[np.float32]
    """(n, d) embeddings in the common space."""
    classes: NDArray[np.intp]
    """(n,) class of each sample, -1 for none."""
    features: NDArray[np.float32] | None = None
    """(n, size) features before training, if there are any."""


@dataclass(frozen=True, eq=False)
class PlacedPoints:
    """The samples of one modality in one panel."""

    modality: str
    place: NDArray[np.float64]
    """(n, 2) positions on the plane."""
    classes: NDArray[np.intp]
    """(n,) class of each sample, -1 for none."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One panel of a scatter plot."""

    title: str
    parts: tuple[PlacedPoints, ...]
    shared: bool
    """Whether it shows the common space, and shares its axes with the other such panels."""


def project_panels(
    modalities: Sequence[ModalityPoints],
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    feature_titles: Mapping[str, str] | None = None,
) -> tuple[Panel, ...]:
    """Return the panels: each modality in the common space, all modalities, and their features.

    All modalities are projected together, once, so that the panels of the common space show the
    same points in the same places. Features are projected separately.

    Args:
        modalities: the samples of each modality.
        seed: of t-SNE.
        progress: called with the share of the work that is done, in [0, 1].
        feature_titles: modality -> title of its features (default: "raw features").

    Returns:
        (a), (b), ... in this order. A panel with fewer than five points is left out.

    Raises:
        DataError: there are fewer than five points in all.
        MissingExtraError: openTSNE is not installed.
    """
    with_features = [
        one for one in modalities if one.features is not None and len(one.features) >= FEWEST
    ]
    sizes = [
        sum(len(one.vectors) for one in modalities),
        *(len(one.vectors) for one in with_features),
    ]
    progress_of = _shares(sizes, progress)
    together = tsne(np.concatenate([one.vectors for one in modalities]), seed, progress_of(0))
    ends = np.cumsum([len(one.vectors) for one in modalities])[:-1]
    parts = [
        PlacedPoints(one.modality, place, one.classes)
        for one, place in zip(modalities, np.split(together, ends), strict=True)
    ]
    titled: list[tuple[str, tuple[PlacedPoints, ...], bool]] = [
        (f"{part.modality} in the common space", (part,), True)
        for part in parts
        if len(part.place) and len(parts) > 1
    ]
    titled.append(("all in the common space", tuple(parts), True))
    for number, one in enumerate(with_features, 1):
        assert one.features is not None
        place = tsne(one.features, seed, progress_of(number))
        called = (feature_titles or {}).get(one.modality, "raw features")
        titled.append(
            (f"{one.modality}, {called}", (PlacedPoints(one.modality, place, one.classes),), False)
        )
    return tuple(
        Panel(f"({chr(ord('a') + at)}) {title}", inside, shared)
        for at, (title, inside, shared) in enumerate(titled)
    )


def draw_embedding_scatter(panels: Sequence[Panel], class_names: Sequence[str]) -> "Figure":
    """Return the panels side by side: a marker for each modality, a color for each class.

    Up to ten classes the legend names the colors; for more, the name of each class is drawn at the
    median of its points, moved where names would overlap.

    Args:
        panels: as ``project_panels`` returns them.
        class_names: in the order of the class numbers; classes that do not occur get no color.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    occurring = sorted({int(c) for p in panels for part in p.parts for c in part.classes} - {-1})
    colors = dict(zip(occurring, class_colors(len(occurring)), strict=True))
    few = len(occurring) <= FEW
    columns = 1 if len(panels) == 1 else 3 if few else 2
    rows = -(-len(panels) // columns)
    with plot_style():
        side = WIDTH / columns
        figure = new_figure(rows * (side * 0.98 if columns > 1 else 5.0) + 0.75)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        marks = modality_markers(
            list(dict.fromkeys(p.modality for one in panels for p in one.parts))
        )
        for axes, panel in zip(grid, panels, strict=False):
            _scatter(axes, panel, colors, marks)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        _square(list(zip(grid, panels, strict=False)))
        _legend(figure, marks, {class_names[c]: colors[c] for c in occurring} if few else {})
        if not few:
            freeze_layout(figure)  # the positions of names depend on the final layout
            for axes, panel in zip(grid, panels, strict=False):
                _write_names(axes, panel, class_names, colors)
    return figure


def _scatter(
    axes: "Axes", panel: Panel, colors: Mapping[int, str], marks: Mapping[str, str]
) -> None:
    total = sum(len(part.place) for part in panel.parts)
    size = float(np.clip(7000 / max(total, 1), 3.5, 26))
    axes.set_title(shorten(panel.title, 44))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_box_aspect(1)
    for spine in axes.spines.values():
        spine.set_color(MUTED)
    for part in panel.parts:
        order = np.random.default_rng(0).permutation(
            len(part.place)
        )  # so that no class covers another
        axes.scatter(
            part.place[order, 0],
            part.place[order, 1],
            s=size,
            marker=marks[part.modality],
            c=[colors.get(int(one), MUTED) for one in part.classes[order]],
            alpha=0.8,
            linewidths=0,
            rasterized=total > _VECTOR,
        )


def _square(panels: Sequence[tuple["Axes", Panel]]) -> None:
    """Set equal scales in x and y, and the same limits for all panels of the common space."""
    together = [part.place for _, one in panels if one.shared for part in one.parts]
    for axes, panel in panels:
        points = np.concatenate(together if panel.shared else [one.place for one in panel.parts])
        low, high = points.min(axis=0), points.max(axis=0)
        half = max(float((high - low).max()) / 2 * 1.05, 1e-9)
        x, y = (low + high) / 2
        axes.set_xlim(x - half, x + half)
        axes.set_ylim(y - half, y + half)


def _legend(figure: "Figure", marks: Mapping[str, str], colors: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    def entry(marker: str, color: str, label: str) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=color, markersize=5, label=label)

    handles = [entry(marker, INK, shorten(name)) for name, marker in marks.items()]
    handles += [entry("s", color, shorten(name)) for name, color in colors.items()]
    longest = max(len(handle.get_label()) for handle in handles)  # type: ignore[arg-type]
    columns = int(np.clip(110 // (longest + 5), 1, min(6, len(handles))))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=columns,
        columnspacing=1.2,
        handletextpad=0.2,
    )


def _write_names(
    axes: "Axes", panel: Panel, class_names: Sequence[str], colors: Mapping[int, str]
) -> None:
    """Draw the name of each class above the median of its points, with a line to it."""
    place = np.concatenate([part.place for part in panel.parts])
    classes = np.concatenate([part.classes for part in panel.parts])
    numbers, counts = np.unique(classes[classes >= 0], return_counts=True)
    largest = numbers[np.argsort(-counts, kind="stable")][:NAMED]
    size = next((size for most, size in _NAME_SIZES if len(largest) <= most), _NAME_SIZES[-1][1])
    medians = np.array([np.median(place[classes == one], axis=0) for one in largest])
    texts = [
        axes.text(median[0], median[1], shorten(class_names[one], 20), size=size, ha="center",
                  va="center", bbox={"boxstyle": "round,pad=0.06", "fc": PAPER, "ec": "none",
                                     "alpha": 0.65})
        for one, median in zip(largest, medians, strict=True)
    ]  # fmt: skip
    to_pixels = axes.transData
    boxes = [text.get_window_extent() for text in texts]
    halves = np.array([[box.width / 2 + 1.5, box.height / 2 + 0.3] for box in boxes]).reshape(-1, 2)
    frame = np.asarray(axes.get_window_extent().padded(-2).extents).reshape(2, 2)
    middle = to_pixels.transform(medians)
    height = size * axes.figure.dpi / 72
    for row, one in enumerate(
        largest
    ):  # above the points that the name would cover, if they are few
        away = to_pixels.transform(place[classes == one]) - middle[row]
        covered = away[(abs(away[:, 0]) < halves[row, 0]) & (away[:, 1] < 4 * height)]
        middle[row, 1] += max(covered[:, 1].max(initial=0), 0) + 1.1 * height
    centres = _separate(middle, halves, frame)
    for one, median, text, centre in zip(
        largest, medians, texts, to_pixels.inverted().transform(centres), strict=True
    ):
        text.set_position(tuple(centre))
        text.set_in_layout(False)
        ends = np.stack([median, centre])
        axes.plot(*ends.T, color=colors[int(one)], lw=0.7, zorder=2.5, scalex=False, scaley=False)


def _separate(
    centres: NDArray[np.float64],
    halves: NDArray[np.float64],
    frame: NDArray[np.float64],
    rounds: int = 300,
) -> NDArray[np.float64]:
    """Move overlapping boxes apart, along the shorter axis, and keep them in the frame.

    Args:
        centres: (n, 2) of the boxes.
        halves: (n, 2) half of their widths and heights.
        frame: lower left and upper right corner.
        rounds: maximum number of passes.
    """
    low, high = frame[0] + halves, np.maximum(frame[1] - halves, frame[0] + halves)
    placed = np.clip(centres, low, high)
    for _ in range(rounds):
        overlap = halves[:, None] + halves - np.abs(placed[:, None] - placed)
        touching = np.argwhere(np.triu((overlap > 0).all(axis=-1), k=1))
        if not len(touching):
            break
        for i, j in touching:
            away = placed[i] - placed[j]
            over = halves[i] + halves[j] - np.abs(away)
            along = int(np.argmin(over))
            step = max(over[along], 0) / 2 * (1 if away[along] >= 0 else -1)
            placed[i, along] += step
            placed[j, along] -= step
        placed = np.clip(placed, low, high)
    return placed


def _shares(
    sizes: Sequence[int], progress: Callable[[float], None] | None
) -> Callable[[int], Callable[[float], None] | None]:
    """Return the progress callback of each of several projections; time grows with the points."""
    ends = np.cumsum(sizes) / max(sum(sizes), 1)

    def callback(number: int) -> Any:  # noqa: ANN401 - a callable or None
        if progress is None:
            return None
        begin, share = ends[number] - sizes[number] / sum(sizes), sizes[number] / sum(sizes)
        return lambda done: progress(float(begin + share * done))

    return callback

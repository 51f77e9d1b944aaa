"""The paper's panels: each modality in the common space, all on the same axes, and as it came.

Figure 3 of Zhen et al., Deep Supervised Cross-modal Retrieval (CVPR 2019), for any number of
modalities. It takes vectors and class numbers, and knows nothing of spaces or files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from commonspace.plots.lettering import shown
from commonspace.plots.palette import FEW, class_colours, markers_of
from commonspace.plots.paper import INK, MUTED, PAPER, WIDTH, draw, new_figure, settle
from commonspace.plots.projection import FEWEST, tsne

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Cloud", "Panel", "Points", "draw_panels", "lay_out"]

NAMED = 60
"""Classes whose names are written into a panel, at most: the largest ones."""

_VECTOR = 3000  # points; more would make a file of vectors slow to open
_LETTERS = ((20, 6.0), (35, 5.2), (NAMED, 4.6))  # up to so many names, so large


@dataclass(frozen=True, eq=False)
class Cloud:
    """The samples of one modality that are to be drawn."""

    modality: str
    vectors: NDArray[np.float32]
    """(n, d) in the common space."""
    classes: NDArray[np.intp]
    """(n,) the class of each, -1 for none."""
    features: NDArray[np.float32] | None = None
    """(n, size) as they came, where there are such."""


@dataclass(frozen=True, eq=False)
class Points:
    """Where the samples of one modality lie in one panel."""

    modality: str
    place: NDArray[np.float64]
    """(n, 2)"""
    classes: NDArray[np.intp]
    """(n,) the class of each, -1 for none."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One panel: its title and what lies in it."""

    title: str
    parts: tuple[Points, ...]
    shared: bool
    """Whether it shows the common space, on the axes of all panels that do."""


def lay_out(
    clouds: Sequence[Cloud],
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    features_called: Mapping[str, str] | None = None,
) -> tuple[Panel, ...]:
    """Return the panels: each modality in the common space, all in it, the features as they came.

    All modalities are laid out together, once, so that the panels of the common space show the
    same points in the same places. Features are laid out by themselves.

    Args:
        clouds: the modalities.
        seed: of t-SNE.
        progress: hears the share of the work that is done, from 0 to 1.
        features_called: modality -> what to call its features in a title; "raw features" without.

    Returns:
        (a), (b), ... in this order. A panel with fewer than five points is left out.

    Raises:
        DataError: there are fewer than five points at all.
        MissingExtraError: scikit-learn is not installed.
    """
    bare = [one for one in clouds if one.features is not None and len(one.features) >= FEWEST]
    sizes = [sum(len(one.vectors) for one in clouds), *(len(one.vectors) for one in bare)]
    heard = _shares(sizes, progress)
    together = tsne(np.concatenate([one.vectors for one in clouds]), seed, heard(0))
    ends = np.cumsum([len(one.vectors) for one in clouds])[:-1]
    parts = [
        Points(one.modality, place, one.classes)
        for one, place in zip(clouds, np.split(together, ends), strict=True)
    ]
    titled: list[tuple[str, tuple[Points, ...], bool]] = [
        (f"{part.modality} in the common space", (part,), True)
        for part in parts
        if len(part.place) and len(parts) > 1
    ]
    titled.append(("all in the common space", tuple(parts), True))
    for number, one in enumerate(bare, 1):
        assert one.features is not None
        place = tsne(one.features, seed, heard(number))
        called = (features_called or {}).get(one.modality, "raw features")
        titled.append(
            (f"{one.modality}, {called}", (Points(one.modality, place, one.classes),), False)
        )
    return tuple(
        Panel(f"({chr(ord('a') + at)}) {title}", inside, shared)
        for at, (title, inside, shared) in enumerate(titled)
    )


def draw_panels(panels: Sequence[Panel], class_names: Sequence[str]) -> "Figure":
    """Return the panels side by side: a mark for each modality, a colour for each class.

    Up to ten classes the legend below names the colours; beyond, the name of each class is
    written at the median of its points, moved apart where names would cover each other.

    Args:
        panels: as ``lay_out`` returns them.
        class_names: in the order of the class numbers; those that do not occur get no colour.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    occurring = sorted({int(c) for p in panels for part in p.parts for c in part.classes} - {-1})
    colours = dict(zip(occurring, class_colours(len(occurring)), strict=True))
    few = len(occurring) <= FEW
    columns = 1 if len(panels) == 1 else 3 if few else 2
    rows = -(-len(panels) // columns)
    with draw():
        side = WIDTH / columns
        figure = new_figure(rows * (side * 0.98 if columns > 1 else 5.0) + 0.75)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        marks = markers_of(list(dict.fromkeys(p.modality for one in panels for p in one.parts)))
        for axes, panel in zip(grid, panels, strict=False):
            _scatter(axes, panel, colours, marks)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        _square(list(zip(grid, panels, strict=False)))
        _legend(figure, marks, {class_names[c]: colours[c] for c in occurring} if few else {})
        if not few:
            settle(figure)  # names need to know how large they and the panels are
            for axes, panel in zip(grid, panels, strict=False):
                _write_names(axes, panel, class_names, colours)
    return figure


def _scatter(
    axes: "Axes", panel: Panel, colours: Mapping[int, str], marks: Mapping[str, str]
) -> None:
    total = sum(len(part.place) for part in panel.parts)
    size = float(np.clip(7000 / max(total, 1), 3.5, 26))
    axes.set_title(shown(panel.title, 44))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_box_aspect(1)
    for spine in axes.spines.values():
        spine.set_color(MUTED)
    for part in panel.parts:
        order = np.random.default_rng(0).permutation(len(part.place))  # no class covers another
        axes.scatter(
            part.place[order, 0],
            part.place[order, 1],
            s=size,
            marker=marks[part.modality],
            c=[colours.get(int(one), MUTED) for one in part.classes[order]],
            alpha=0.8,
            linewidths=0,
            rasterized=total > _VECTOR,
        )


def _square(panels: Sequence[tuple["Axes", Panel]]) -> None:
    """Give the panels one scale in both directions, and those of the common space one frame."""
    together = [part.place for _, one in panels if one.shared for part in one.parts]
    for axes, panel in panels:
        points = np.concatenate(together if panel.shared else [one.place for one in panel.parts])
        low, high = points.min(axis=0), points.max(axis=0)
        half = max(float((high - low).max()) / 2 * 1.05, 1e-9)
        x, y = (low + high) / 2
        axes.set_xlim(x - half, x + half)
        axes.set_ylim(y - half, y + half)


def _legend(figure: "Figure", marks: Mapping[str, str], colours: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    def entry(marker: str, colour: str, label: str) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=colour, markersize=5, label=label)

    handles = [entry(marker, INK, shown(name)) for name, marker in marks.items()]
    handles += [entry("s", colour, shown(name)) for name, colour in colours.items()]
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
    axes: "Axes", panel: Panel, class_names: Sequence[str], colours: Mapping[int, str]
) -> None:
    """Write the name of each class above the median of its points, with a line to it."""
    place = np.concatenate([part.place for part in panel.parts])
    classes = np.concatenate([part.classes for part in panel.parts])
    numbers, counts = np.unique(classes[classes >= 0], return_counts=True)
    largest = numbers[np.argsort(-counts, kind="stable")][:NAMED]
    letters = next((size for most, size in _LETTERS if len(largest) <= most), _LETTERS[-1][1])
    medians = np.array([np.median(place[classes == one], axis=0) for one in largest])
    texts = [
        axes.text(median[0], median[1], shown(class_names[one], 20), size=letters, ha="center",
                  va="center", bbox={"boxstyle": "round,pad=0.06", "fc": PAPER, "ec": "none",
                                     "alpha": 0.65})
        for one, median in zip(largest, medians, strict=True)
    ]  # fmt: skip
    to_pixels = axes.transData
    boxes = [text.get_window_extent() for text in texts]
    halves = np.array([[box.width / 2 + 1.5, box.height / 2 + 0.3] for box in boxes]).reshape(-1, 2)
    frame = np.asarray(axes.get_window_extent().padded(-2).extents).reshape(2, 2)
    middle = to_pixels.transform(medians)
    letter = letters * axes.figure.dpi / 72
    for row, one in enumerate(largest):  # above the points that a name would cover, if they are few
        away = to_pixels.transform(place[classes == one]) - middle[row]
        covered = away[(abs(away[:, 0]) < halves[row, 0]) & (away[:, 1] < 4 * letter)]
        middle[row, 1] += max(covered[:, 1].max(initial=0), 0) + 1.1 * letter
    centres = _apart(middle, halves, frame)
    for one, median, text, centre in zip(
        largest, medians, texts, to_pixels.inverted().transform(centres), strict=True
    ):
        text.set_position(tuple(centre))
        text.set_in_layout(False)
        ends = np.stack([median, centre])
        axes.plot(*ends.T, color=colours[int(one)], lw=0.7, zorder=2.5, scalex=False, scaley=False)


def _apart(
    centres: NDArray[np.float64],
    halves: NDArray[np.float64],
    frame: NDArray[np.float64],
    rounds: int = 300,
) -> NDArray[np.float64]:
    """Push boxes that cover each other apart, along the shorter way, and keep them in the frame.

    Args:
        centres: (n, 2) of the boxes.
        halves: (n, 2) half of their widths and heights.
        frame: lower left and upper right corner.
        rounds: after which what still touches is left as it is.
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
    """Return, for each of several t-SNEs, who hears of it; time grows with the points."""
    ends = np.cumsum(sizes) / max(sum(sizes), 1)

    def hearing(number: int) -> Any:  # noqa: ANN401 - a callable or None
        if progress is None:
            return None
        begin, share = ends[number] - sizes[number] / sum(sizes), sizes[number] / sum(sizes)
        return lambda done: progress(float(begin + share * done))

    return hearing

"""What is drawn is what was given: positions, heights, colors, marks; legends lie outside."""

from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from commonspace.errors import DataError
from commonspace.plots import (
    Card,
    CardRow,
    MethodBar,
    ModalityPoints,
    RankedList,
    draw_card_rows,
    draw_class_map,
    draw_confusion,
    draw_critical_difference,
    draw_embedding_scatter,
    draw_label_curve,
    draw_learning_curves,
    draw_method_bars,
    draw_method_classes,
    draw_precision_curves,
    draw_ranked_lists,
    draw_sensitivity,
    most_confused,
    project_panels,
    sort_classes,
)
from commonspace.plots.style import plot_style


def clouds(
    classes: int, n: int = 48, modalities: Sequence[str] = ("image", "text")
) -> list[ModalityPoints]:
    random = np.random.default_rng(0)
    numbers = np.arange(n) % classes
    centres = 5 * random.normal(size=(classes, 6))
    return [
        ModalityPoints(
            name,
            (centres[numbers] + random.normal(size=(n, 6))).astype(np.float32),
            numbers,
            random.normal(size=(n, 9)).astype(np.float32) if name != "bare" else None,
        )
        for name in modalities
    ]


def placed(axes: Axes) -> NDArray[np.float64]:
    """Return all points of a panel, in an order of their own."""
    points = np.concatenate([np.asarray(one.get_offsets()) for one in axes.collections])
    return np.asarray(points[np.lexsort(points.T)])


def colors(axes: Axes) -> set[str]:
    faces = np.atleast_2d(np.asarray(axes.collections[0].get_facecolor()))
    return {"#" + bytes(face).hex() for face in np.rint(faces[:, :3] * 255).astype(np.uint8)}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text"))]  # type: ignore[attr-defined]


def seen(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def test_the_common_panel_shows_the_points_of_the_others_in_their_places() -> None:
    panels = project_panels(clouds(4), seed=3)
    assert [panel.title[:3] for panel in panels] == ["(a)", "(b)", "(c)", "(d)", "(e)"]
    a, b, c = panels[:3]
    for single, part in zip((a, b), c.parts, strict=True):
        np.testing.assert_array_equal(single.parts[0].place, part.place)
    figure = draw_embedding_scatter(panels, list("wxyz"))
    axes = seen(figure)
    both = np.concatenate([placed(axes[0]), placed(axes[1])])
    np.testing.assert_array_equal(placed(axes[2]), both[np.lexsort(both.T)])
    assert len({(*one.get_xlim(), *one.get_ylim()) for one in axes[:3]}) == 1
    again = project_panels(clouds(4), seed=3)
    np.testing.assert_array_equal(again[4].parts[0].place, panels[4].parts[0].place)


def test_three_modalities_have_a_mark_each_and_bare_ones_no_panel_of_features() -> None:
    panels = project_panels(clouds(3, 24, ("image", "text", "bare")))
    assert [panel.shared for panel in panels] == [True, True, True, True, False, False]
    figure = draw_embedding_scatter(panels, list("abc"))
    handles = figure.legends[0].legend_handles
    assert [handle.get_marker() for handle in handles if handle][:3] == ["^", "o", "s"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("classes", [3, 10])
def test_each_class_has_a_colour_of_its_own_and_the_legend_lies_outside(classes: int) -> None:
    names = [f"class {number}" for number in range(classes)]
    figure = draw_embedding_scatter(project_panels(clouds(classes, 50)), names)
    with plot_style():
        figure.draw_without_rendering()
    (legend,) = figure.legends
    named = {
        text.get_text(): to_hex(handle.get_color())  # type: ignore[union-attr]
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }
    assert len({named[name] for name in names}) == classes
    drawn = colors(seen(figure)[0])
    assert drawn == {named[name] for name in names}
    box = legend.get_window_extent()
    assert not any(box.overlaps(axes.get_window_extent()) for axes in seen(figure))


def test_beyond_ten_classes_names_stand_in_the_panels_and_do_not_cover_each_other() -> None:
    names = [f"class {number}" for number in range(24)]
    figure = draw_embedding_scatter(project_panels(clouds(24, 96)), names)
    with plot_style():
        figure.draw_without_rendering()
    for axes in seen(figure):
        assert sorted(text.get_text() for text in axes.texts) == sorted(names)
        boxes = [text.get_window_extent() for text in axes.texts]
        frame = axes.get_window_extent().padded(1)
        assert all(frame.contains(*box.min) and frame.contains(*box.max) for box in boxes)
        cover = [
            (i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes[:i]) if a.overlaps(b)
        ]
        assert not cover


def test_unlabelled_points_are_grey_and_in_no_legend() -> None:
    one = clouds(2, 20)[0]
    bare = ModalityPoints("image", one.vectors, np.full(20, -1), None)
    figure = draw_embedding_scatter(project_panels([bare]), ["a", "b"])
    assert len(figure.legends[0].get_texts()) == 1
    assert len(colors(seen(figure)[0])) == 1


def test_the_chosen_epoch_is_marked_where_it_lies() -> None:
    maps = [0.2, 0.5, 0.4]
    figure = draw_learning_curves(maps, {"loss": [3.0, 2.0, 1.0], "J1": [0.3, 0.2, 0.1]}, chosen=2)
    above, below = figure.axes
    line, mark = above.get_lines()
    np.testing.assert_array_equal(line.get_ydata(), maps)
    assert (mark.get_xdata(), mark.get_ydata()) == ([2], [0.5])
    assert below.get_yscale() == "log"
    assert [line.get_label() for line in below.get_lines()][:2] == ["loss", "J1"]
    assert figure.axes[-1].get_xlabel() == "epoch"


def test_trials_are_single_points_on_a_named_axis() -> None:
    figure = draw_learning_curves([0.2, 0.5], {}, chosen=1, steps="trial")
    assert figure.axes[0].get_lines()[0].get_linestyle() == "None"
    assert figure.axes[0].get_xlabel() == "trial"
    negative = draw_learning_curves([0.2, 0.5], {"loss": [0.0, -1.0]}, chosen=2)
    assert negative.axes[1].get_yscale() == "linear"


@pytest.mark.parametrize(
    ("maps", "losses", "chosen"),
    [([], {}, 1), ([0.5], {}, 2), ([0.5], {}, 0), ([0.5, 0.6], {"loss": [1.0]}, 1)],
)
def test_a_course_that_does_not_fit_is_refused(
    maps: list[float], losses: dict[str, list[float]], chosen: int
) -> None:
    with pytest.raises(DataError):
        draw_learning_curves(maps, losses, chosen)


def test_curves_are_the_given_points_and_chance_is_drawn_once() -> None:
    recall = {"a->b": ([0, 1], [0.9, 0.1]), "b->a": ([0, 1], [0.8, 0.2])}
    scope = {"a->b": ([1, 10], [0.9, 0.3]), "b->a": ([1, 10], [0.7, 0.3])}
    figure = draw_precision_curves(recall, scope, {"a->b": 0.25, "b->a": 0.25})
    left, right = figure.axes
    assert len(left.get_lines()) == len(right.get_lines()) == 3
    np.testing.assert_array_equal(left.get_lines()[1].get_ydata(), [0.8, 0.2])
    np.testing.assert_array_equal(right.get_lines()[0].get_xdata(), [1, 10])
    assert left.get_lines()[0].get_linestyle() != left.get_lines()[1].get_linestyle()
    with pytest.raises(DataError, match="different directions"):
        draw_precision_curves(recall, {}, {})


def test_bars_are_sorted_and_as_long_as_the_figures() -> None:
    figures = {"a->b": {"cat": 0.2, "dog": 0.9}, "b->a": {"cat": 0.4, "dog": 0.7, "owl": 0.1}}
    queries = {"a->b": {"cat": 3, "dog": 4}, "b->a": {"cat": 3, "dog": 4, "owl": 1}}
    figure = draw_class_map(figures, queries, {"a->b": 0.5, "b->a": 0.4})
    assert sort_classes(figures) == ["dog", "cat", "owl"]
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == [0.9, 0.2, 0]  # type: ignore[attr-defined]
    assert [bar.get_width() for bar in right.patches] == [0.7, 0.4, 0.1]  # type: ignore[attr-defined]
    assert [text.get_text() for text in left.texts] == ["0.90 (4)", "0.20 (3)", "no query"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["dog", "cat", "owl"]


def test_of_very_many_classes_the_best_and_the_worst_are_drawn() -> None:
    values = {f"class {number}": number / 200 for number in range(200)}
    figure = draw_class_map({"a->b": values}, {"a->b": dict.fromkeys(values, 1)}, {"a->b": 0.5})
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["class 199", "class 198"]
    assert labels[-1] == "class 0"
    assert labels[30] == "…"
    assert len(labels) == 61


def test_the_heat_map_holds_the_shares_and_the_list_the_largest_mistakes() -> None:
    table = np.array([[0.5, 0.5, 0.0], [0.1, 0.8, 0.1], [np.nan] * 3])
    figure = draw_confusion(table, ["ant", "bee", "cat"], "a->b")
    image = figure.axes[0].images[0].get_array()
    assert image is not None
    np.testing.assert_allclose(np.ma.filled(image, np.nan) ** 2, table, rtol=1e-12)
    assert [tuple(one) for one in most_confused(table)] == [(0, 1, 0.5), (1, 0, 0.1), (1, 2, 0.1)]
    said = texts(figure)
    assert "ant  →  bee" in said
    assert {"50%", "80%", "10%"} <= set(said)


@pytest.mark.parametrize(("count", "labels"), [(55, 55), (200, 0)])
def test_names_at_the_edge_as_long_as_they_can_be_read(count: int, labels: int) -> None:
    figure = draw_confusion(np.eye(count), [f"class {i}" for i in range(count)], "a->b")
    assert len(figure.axes[0].get_yticklabels()) == labels


def test_relevance_is_visible_without_color() -> None:
    query = Card("q", ("cat",), picture=np.zeros((4, 8, 3), np.uint8))
    found = (Card("a", ("cat",), text="a cat"), Card("b", ("dog",), problem="b.jpg: cut short"))
    figure = draw_ranked_lists([RankedList(0.75, query, found, (True, False))], [], "image->text")
    asking, right, wrong = figure.axes
    assert (right.get_title(loc="left"), wrong.get_title(loc="left")) == (
        "✓ relevant",
        "✗ not relevant",
    )
    assert asking.get_title(loc="left") == "query, AP 0.750"
    widths = [axes.spines["left"].get_linewidth() for axes in (right, wrong)]
    assert widths[0] > 2 * widths[1]
    assert wrong.spines["left"].get_linestyle() == "--"
    assert len(asking.images) == 1
    assert right.texts[0].get_text() == "a cat"
    assert "b.jpg" in wrong.texts[0].get_text()
    with pytest.raises(DataError, match="no query"):
        draw_ranked_lists([], [], "image->text")


def test_cards_are_of_one_size_and_lie_inside_the_picture() -> None:
    long = Card("x" * 90, ("a very long name of a class, and another",), text="word " * 200)
    row = RankedList(0.5, long, (long,) * 5, (True,) * 5)
    figure = draw_ranked_lists([row] * 3, [row] * 3, "image->text")
    with plot_style():
        figure.draw_without_rendering()
    boxes = [axes.get_window_extent() for axes in figure.axes]
    assert len({(round(box.width), round(box.height)) for box in boxes}) == 1
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    for axes, box in zip(figure.axes, boxes, strict=True):
        for text in axes.texts:
            inside = text.get_window_extent()
            assert inside.x0 >= box.x0
            assert inside.x1 <= box.x1 + 1
            assert inside.y0 >= box.y0 - 1
            assert inside.y1 <= box.y1


def test_the_highest_cell_is_framed_and_rows_are_lambdas() -> None:
    maps = np.array([[0.1, 0.2, 0.3], [0.4, 0.9, 0.5]])
    figure = draw_sensitivity([0.01, 1], [0.1, 1, 10], maps, split="validation")
    heat, surface = figure.axes
    np.testing.assert_array_equal(np.asarray(heat.images[0].get_array()), maps)
    (frame,) = heat.patches
    assert frame.get_xy() == (0.5, 0.5)  # type: ignore[attr-defined] # around column 1, row 1
    assert [t.get_text() for t in heat.get_yticklabels()] == ["0.01", "1"]
    assert surface.name == "3d"
    holes = maps.copy()
    holes[0, 0] = np.nan
    assert len(draw_sensitivity([0.01, 1], [0.1, 1, 10], holes, split="validation").axes) == 1
    for wrong in (maps.T, np.full((2, 3), np.nan)):
        with pytest.raises(DataError, match="sensitivity grid"):
            draw_sensitivity([0.01, 1], [0.1, 1, 10], wrong, split="validation")


def test_bars_join_the_methods_within_the_critical_difference() -> None:
    ranks = {"best": 1.2, "second": 1.9, "third": 2.9, "last": 4.0}
    figure = draw_critical_difference(ranks, 1.5)
    (axes,) = figure.axes
    thick = [line for line in axes.get_lines() if line.get_linewidth() == 3]
    ends = [np.asarray(line.get_xdata(), dtype=float) for line in thick]
    assert [(round(a + 0.06, 9), round(b - 0.06, 9)) for a, b in ends] == [
        (1.2, 1.9),
        (1.9, 2.9),
        (2.9, 4.0),
    ]
    written = " ".join(text.get_text() for text in axes.texts)
    assert "best  1.20" in written
    assert "4.00  last" in written
    with pytest.raises(DataError, match="two methods"):
        draw_critical_difference({"one": 1.0}, 1.0)


def test_a_heat_map_has_a_row_for_each_method_and_sorted_classes() -> None:
    figures = {"a": {"cat": 0.2, "dog": 0.9}, "b": {"cat": 0.4, "dog": 0.7}}
    axes = draw_method_classes(figures).axes[0]
    np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), [[0.9, 0.2], [0.7, 0.4]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["dog", "cat"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    with pytest.raises(DataError, match="no common classes"):
        draw_method_classes({"a": {"cat": 0.2}, "b": {"dog": 0.4}})


def test_each_method_has_a_bar_of_its_value_and_its_interval() -> None:
    bars = [MethodBar("plain", 0.25, 0.2, 0.3, False), MethodBar("best", 0.5, 0.4, 0.6, True)]
    axes = draw_method_bars(bars, "mAP").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0.5]  # type: ignore[attr-defined]
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0.2, 0.3], [0.4, 0.6]]  # type: ignore[union-attr]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["plain", "best"]
    assert axes.patches[0].get_facecolor() != axes.patches[1].get_facecolor()
    with pytest.raises(DataError, match="no method"):
        draw_method_bars([], "mAP")


def test_the_label_curve_shows_points_line_and_prediction() -> None:
    figure = draw_label_curve(
        [10, 20], [0.5, 0.6], ([10, 20, 40], [0.5, 0.6, 0.65]), (40, 0.66, 0.6, 0.7)
    )
    axes = figure.axes[0]
    drawn = [np.column_stack([line.get_xdata(), line.get_ydata()]).tolist() for line in axes.lines]
    assert [[10, 0.5], [20, 0.6], [40, 0.65]] in drawn
    assert [[10, 0.5], [20, 0.6]] in drawn
    assert [[40, 0.66]] in drawn
    assert "predicted: 0.660\n(0.600-0.700)" in texts(figure)
    with pytest.raises(DataError, match="do not match"):
        draw_label_curve([1, 2], [0.5], ([], []), (4, 0.5, 0.5, 0.5))


def test_each_sample_has_its_cards_and_lines() -> None:
    cards = (Card("a", ("cat",), np.zeros((4, 6, 3), np.uint8)), Card("a", ("cat",), text="a cat"))
    figure = draw_card_rows([CardRow(cards, ("first line", "second"))] * 3)
    assert len(figure.axes) == 6
    assert sum("first line" in text for text in texts(figure)) == 3
    boxes = [axes.get_position().bounds for axes in figure.axes]
    assert len({(round(x, 4), round(y, 4)) for x, y, _, _ in boxes}) == 6
    assert all(x >= 0 and y >= 0 and x + w <= 1 and y + h <= 1.0001 for x, y, w, h in boxes)
    assert {axes.get_xlabel() for axes in figure.axes} == {"cat"}
    unlabeled = draw_card_rows([CardRow((Card("a", (), text="a cat"),), ("first",))])
    assert unlabeled.axes[0].get_xlabel() == ""
    with pytest.raises(DataError, match="no sample"):
        draw_card_rows([])

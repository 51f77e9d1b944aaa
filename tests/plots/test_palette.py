"""Colours are distinct for all eyes, the same for any count, and marks are those of the paper."""

import pytest

from commonspace.errors import SettingError
from commonspace.plots import class_colours, markers_of
from commonspace.plots.palette import MARKERS, separation

OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")


@pytest.mark.parametrize("count", [1, 7, 10, 55, 200])
def test_all_colours_are_distinct_and_begin_alike(count: int) -> None:
    colours = class_colours(count)
    assert len(set(colours)) == count
    assert colours == class_colours(200)[:count]


def test_ten_are_further_apart_than_the_seven_of_a_palette_for_the_colour_blind() -> None:
    assert separation(class_colours(10)) > separation([one.lower() for one in OKABE_ITO]) > 0.07


def test_fifty_five_can_be_told_apart_side_by_side() -> None:
    assert separation(class_colours(55)) > 0.03  # a just noticeable difference is about 0.02


def test_red_and_green_of_one_lightness_are_seen_to_be_one_for_some() -> None:
    assert separation(("#a08020", "#909020")) < separation(("#2d96e1", "#a51e00"))
    assert separation(("#ff0000", "#ff0000")) == 0


@pytest.mark.parametrize("count", [-1, 501])
def test_too_many_are_refused(count: int) -> None:
    with pytest.raises(SettingError, match="not so many colours"):
        class_colours(count)


def test_triangles_are_images_and_circles_texts() -> None:
    assert markers_of(["image", "text"]) == {"image": "^", "text": "o"}
    assert markers_of(["text", "image"]) == {"text": "o", "image": "^"}
    assert list(markers_of(["fou", "kar", "pix"]).values()) == ["^", "o", "s"]
    many = [f"m{i}" for i in range(len(MARKERS) - 1)]
    assert len(set(markers_of([*many, "text"]).values())) == len(MARKERS)
    with pytest.raises(SettingError, match="marks"):
        markers_of([*many, "text", "image"])

"""Colors are distinct for all eyes, the same for any count, and marks are those of the paper."""

import pytest

from commonspace.errors import SettingError
from commonspace.plots import class_colors, modality_markers
from commonspace.plots.colors import MARKERS, separation

OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")


@pytest.mark.parametrize("count", [1, 7, 10, 55, 200])
def test_all_colours_are_distinct_and_begin_alike(count: int) -> None:
    colors = class_colors(count)
    assert len(set(colors)) == count
    assert colors == class_colors(200)[:count]


def test_ten_are_further_apart_than_the_seven_of_a_palette_for_the_colour_blind() -> None:
    assert separation(class_colors(10)) > separation([one.lower() for one in OKABE_ITO]) > 0.07


def test_fifty_five_are_distinct_side_by_side() -> None:
    assert separation(class_colors(55)) > 0.03  # a just noticeable difference is about 0.02


def test_red_and_green_of_one_lightness_are_seen_to_be_one_for_some() -> None:
    assert separation(("#a08020", "#909020")) < separation(("#2d96e1", "#a51e00"))
    assert separation(("#ff0000", "#ff0000")) == 0


@pytest.mark.parametrize("count", [-1, 501])
def test_too_many_are_refused(count: int) -> None:
    with pytest.raises(SettingError, match="`count` must be in"):
        class_colors(count)


def test_triangles_are_images_and_circles_texts() -> None:
    assert modality_markers(["image", "text"]) == {"image": "^", "text": "o"}
    assert modality_markers(["text", "image"]) == {"text": "o", "image": "^"}
    assert list(modality_markers(["fou", "kar", "pix"]).values()) == ["^", "o", "s"]
    many = [f"m{i}" for i in range(len(MARKERS) - 1)]
    assert len(set(modality_markers([*many, "text"]).values())) == len(MARKERS)
    with pytest.raises(SettingError, match="markers"):
        modality_markers([*many, "text", "image"])

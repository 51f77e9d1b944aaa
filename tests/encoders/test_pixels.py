"""Pictures to bytes: what passes unchanged, what is cut and scaled, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from commonspace.data import Images
from commonspace.encoders import Pixels, input_from_config
from commonspace.errors import DataError, FileFormatError, SettingError


def _picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _rows(pixels: torch.Tensor) -> NDArray[np.uint8]:
    """Return the tensor as pictures again: (n, side, side, 3)."""
    rows: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).numpy()
    return rows


def test_pictures_of_the_right_form_pass_bit_for_bit_and_in_order() -> None:
    pictures = [_picture(seed, 8, 8) for seed in range(40)]
    pixels = Pixels(side=8)(Images(pictures))
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (40, 3, 8, 8)
    np.testing.assert_array_equal(_rows(pixels), pictures)


@pytest.mark.parametrize(("height", "width"), [(8, 20), (20, 8), (8, 14)])
def test_the_centre_square_is_cut_out_of_a_picture_whose_shorter_side_fits(
    height: int, width: int
) -> None:
    picture = _picture(0, height, width)
    top, left = (height - 8) // 2, (width - 8) // 2
    expected = picture[top : top + 8, left : left + 8]
    np.testing.assert_array_equal(_rows(Pixels(side=8)([picture]))[0], expected)


@pytest.mark.parametrize("side", [4, 16, 32])
def test_a_plane_of_rising_grey_keeps_its_values_at_every_scale(side: int) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (64, 64, 3)).copy()
    expected = ramp.reshape(side, -1).mean(axis=1)
    scaled = _rows(Pixels(side)([picture]))[0].astype(float)
    np.testing.assert_allclose(scaled[:, 1:-1, 0].mean(axis=0), expected[1:-1], atol=2)
    assert not np.ptp(scaled, axis=0).any()


def test_scaling_down_averages_instead_of_picking_pixels() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    picture = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    np.testing.assert_allclose(_rows(Pixels(side=8)([picture])), 127.5, atol=6)


@settings(deadline=None, max_examples=25)
@given(height=st.integers(1, 40), width=st.integers(1, 40), side=st.integers(1, 20))
def test_a_picture_of_one_colour_keeps_it_whatever_its_form(
    height: int, width: int, side: int
) -> None:
    picture = np.full((height, width, 3), (200, 30, 7), dtype=np.uint8)
    pixels = Pixels(side)([picture])
    assert (_rows(pixels) == (200, 30, 7)).all()
    assert pixels.shape == (1, 3, side, side)


def test_a_path_an_array_and_a_pillow_image_are_the_same_picture(tmp_path: Path) -> None:
    picture = _picture(1, 11, 9)
    file = tmp_path / "picture.png"
    Image.fromarray(picture).save(file)
    pixels = Pixels(side=6)([file, str(file), picture, Image.fromarray(picture)])
    assert (pixels == pixels[0]).all()


def test_transparency_is_laid_on_white_in_files_and_in_pillow_images(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (6, 6), (255, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    assert (Pixels(side=6)([clear, tmp_path / "clear.png"]) == 255).all()


def test_missing_pictures_are_zero_and_the_rest_stay_in_their_rows() -> None:
    picture = _picture(2, 5, 5)
    for items in (Images([None, picture, None]), [None, picture, None]):
        pixels = Pixels(side=5)(items)
        assert not pixels[[0, 2]].any()
        np.testing.assert_array_equal(_rows(pixels)[1], picture)


def test_an_array_of_four_dimensions_is_as_many_pictures() -> None:
    pictures = np.stack([_picture(seed, 7, 7) for seed in range(3)])
    np.testing.assert_array_equal(_rows(Pixels(side=7)(pictures)), pictures)


def test_no_pictures_make_an_empty_tensor() -> None:
    assert Pixels(side=4)([]).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("single", ["a.png", Path("a.png"), _picture(0, 4, 4)])
def test_a_single_picture_is_refused_with_the_way_to_write_it(
    single: str | Path | NDArray[np.uint8],
) -> None:
    with pytest.raises(DataError, match=r"\[image\]"):
        Pixels()(single)  # type: ignore[arg-type]


def test_an_item_that_is_no_picture_is_named_by_its_row() -> None:
    with pytest.raises(DataError, match=r"item 1 is not an image\n.*\n +found: +int"):
        Pixels()([None, 3])  # type: ignore[list-item]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(FileFormatError, match=r"broken\.png"):
        Pixels()([tmp_path / "broken.png"])


def test_a_side_of_nothing_is_refused() -> None:
    with pytest.raises(SettingError, match="at least 1 pixel"):
        Pixels(side=0)


def test_a_config_through_json_reads_pictures_the_same_way() -> None:
    pixels = Pixels(side=12)
    again = input_from_config(json.loads(json.dumps(pixels.to_config())))
    picture = _picture(3, 30, 20)
    assert torch.equal(again([picture]), pixels([picture]))

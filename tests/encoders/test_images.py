"""Images to bytes: crop, pad and stretch, kinds of files, and images that are refused."""

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
from commonspace.encoders import Photos, Pixels, input_from_config
from commonspace.errors import DataError, FileFormatError, SettingError


def picture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


@settings(deadline=None, max_examples=25)
@given(width=st.integers(1, 400), height=st.integers(1, 400))
def test_it_is_the_usual_evaluation_of_imagenet(width: int, height: int) -> None:
    if max(width, height) > 100 * min(width, height):
        return
    pixels = picture(width, height)
    # Written from the definition: the shorter side to 32, the longer one in proportion, rounded
    # down; then 28 pixels from half of what is left over, rounded to even.
    shorter = min(width, height)
    size = (int(32 * width / shorter), int(32 * height / shorter))
    scaled = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    top, left = round((size[1] - 28) / 2), round((size[0] - 28) / 2)
    expected = scaled[top : top + 28, left : left + 28].transpose(2, 0, 1)
    found = Photos(resize=32, side=28)([pixels])
    assert np.array_equal(found[0].numpy(), expected)


def test_defaults_are_those_of_vgg19_and_missing_ones_are_zero() -> None:
    found = Photos()([picture(300, 280), None])
    assert found.shape == (2, 3, 224, 224)
    assert found.dtype == torch.uint8
    assert found[0].any()
    assert not found[1].any()


def test_it_is_built_again_from_its_config() -> None:
    twin = input_from_config(Photos(resize=40, side=30).to_config())
    assert torch.equal(twin([picture(60, 50)]), Photos(resize=40, side=30)([picture(60, 50)]))


def test_kinds_of_files(tmp_path: Path) -> None:
    pixels = picture(90, 60)
    image = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright: to be turned clockwise
    image.save(tmp_path / "plain.png")
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=turned)
    see_through = image.convert("RGBA")
    see_through.putalpha(Image.fromarray(np.tile(np.array([0, 255], np.uint8), (60, 45))))
    see_through.save(tmp_path / "alpha.png")
    image.quantize(200).save(tmp_path / "palette.png")
    grey = np.asarray(image.convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    image.convert("CMYK").save(tmp_path / "cmyk.tif")
    Image.fromarray(picture(1, 1)).save(tmp_path / "point.png")
    photos = Photos(resize=40, side=32)

    def read(name: str) -> torch.Tensor:
        return photos([tmp_path / f"{name}"])[0]

    plain = read("plain.png")
    assert torch.equal(plain, photos([pixels])[0])
    assert torch.equal(read("turned.png"), plain)
    on_white = np.where(np.tile([False, True], (60, 45))[:, :, None], pixels, np.uint8(255))
    assert torch.equal(read("alpha.png"), photos([on_white])[0])
    palette = np.asarray(image.quantize(200).convert("RGB"))
    assert torch.equal(read("palette.png"), photos([palette])[0])
    assert torch.equal(read("deep.png"), photos([np.repeat(grey[:, :, None], 3, 2)])[0])
    assert torch.equal(read("cmyk.tif"), plain)
    assert (read("point.png") == torch.tensor(picture(1, 1)[0, 0])[:, None, None]).all()


def test_what_is_no_photo_is_refused(tmp_path: Path) -> None:
    photos = Photos(resize=40, side=32)
    (tmp_path / "text.jpg").write_text("I am a text", "utf-8")
    Image.fromarray(picture(80, 80)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "short.jpg").write_bytes(whole[: len(whole) // 2])
    for name in ("text.jpg", "short.jpg"):
        with pytest.raises(FileFormatError, match=name):
            photos([tmp_path / name])
    with pytest.raises(DataError, match="narrow"):
        photos([picture(1, 101)])
    with pytest.raises(DataError, match="sequence"):
        photos("one.jpg")
    with pytest.raises(DataError, match="item 1"):
        photos([picture(4, 4), 7])  # type: ignore[list-item]
    with pytest.raises(SettingError):
        Photos(resize=10, side=11)


@pytest.mark.parametrize(("width", "height"), [(60, 30), (30, 60), (7, 400), (20, 20), (1, 900)])
def test_padding_shows_the_whole_photo_on_white(width: int, height: int) -> None:
    pixels = picture(width, height)
    photos = Photos(side=20, form="pad")
    found = photos([pixels])[0].permute(1, 2, 0).numpy()
    size = (
        max(1, round(20 * width / max(width, height))),
        max(1, round(20 * height / max(width, height))),
    )
    scaled = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    top, left = (20 - size[1]) // 2, (20 - size[0]) // 2
    inside = np.zeros((20, 20), dtype=bool)
    inside[top : top + size[1], left : left + size[0]] = True
    assert np.array_equal(found[inside].reshape(scaled.shape), scaled)
    assert (found[~inside] == 255).all()
    twin = input_from_config(json.loads(json.dumps(photos.to_config())))
    assert torch.equal(twin([pixels]), photos([pixels]))


def test_stretching_scales_both_sides() -> None:
    pixels = picture(60, 31)
    found = Photos(side=20, form="stretch")([pixels])[0].permute(1, 2, 0)
    expected = Image.fromarray(pixels).resize((20, 20), Image.Resampling.BILINEAR)
    assert np.array_equal(found, np.asarray(expected))
    with pytest.raises(SettingError, match="unknown form"):
        Photos(form="zoom")  # type: ignore[arg-type]


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

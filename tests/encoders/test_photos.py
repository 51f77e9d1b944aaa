"""Photos: resize and crop against Pillow by hand, and the kinds of file that photos come in."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from commonspace.encoders import Photos, input_from_config
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

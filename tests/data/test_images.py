"""Decoding: every mode becomes the RGB that a person would see; what is broken is named."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from commonspace.data import images
from commonspace.data.images import decode_image
from commonspace.errors import DataError, FileFormatError

GENERATOR = np.random.default_rng(0)
RGB: NDArray[np.uint8] = GENERATOR.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GRAY: NDArray[np.uint8] = RGB[:, :, 0]


def saved(path: Path, image: Image.Image, **options: object) -> NDArray[np.uint8]:
    image.save(path, **options)  # type: ignore[arg-type]
    decoded = decode_image(path)
    assert decoded.dtype == np.uint8
    assert decoded.shape[2] == 3
    return decoded


def test_rgb_is_exact(tmp_path: Path) -> None:
    assert (saved(tmp_path / "x.png", Image.fromarray(RGB)) == RGB).all()
    assert (decode_image(str(tmp_path / "x.png")) == RGB).all()
    assert (saved(tmp_path / "x.bmp", Image.fromarray(RGB)) == RGB).all()
    assert decode_image(RGB) is RGB


def test_gray_fills_three_channels(tmp_path: Path) -> None:
    assert (saved(tmp_path / "x.png", Image.fromarray(GRAY)) == GRAY[:, :, None]).all()


def test_black_and_white(tmp_path: Path) -> None:
    decoded = saved(tmp_path / "x.png", Image.fromarray(GRAY > 127))
    assert (decoded == np.where(GRAY > 127, 255, 0)[:, :, None]).all()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    deep = GENERATOR.integers(0, 65536, (5, 7), dtype=np.uint16)
    decoded = saved(tmp_path / "x.png", Image.fromarray(deep))
    assert (decoded == np.round(deep / 65535 * 255).astype(np.uint8)[:, :, None]).all()
    assert (saved(tmp_path / "x.tiff", Image.fromarray(deep)) == decoded).all()


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert saved(tmp_path / "x.png", image).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    alpha = GENERATOR.integers(0, 256, (5, 7), dtype=np.uint8)
    image = Image.fromarray(np.dstack([RGB, alpha]))
    share = alpha[:, :, None] / 255
    expected = RGB * share + 255 * (1 - share)
    assert np.abs(saved(tmp_path / "x.png", image) - expected).max() <= 1
    image = Image.fromarray(np.dstack([GRAY, alpha]))
    expected = (GRAY[:, :, None] * share + 255 * (1 - share)).repeat(3, axis=2)
    assert np.abs(saved(tmp_path / "y.png", image) - expected).max() <= 1


def test_a_transparent_color_of_a_palette_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    decoded = saved(tmp_path / "x.png", image, transparency=0)
    assert decoded.tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_cmyk_is_converted(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    decoded = saved(tmp_path / "x.jpg", image, quality=100)
    assert np.abs(decoded.astype(int) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.transpose(1, 0, 2)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: x[::-1, ::-1].transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
def test_orientation_is_applied(tmp_path: Path, orientation: int, upright: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = saved(tmp_path / "x.png", Image.fromarray(RGB), exif=exif)
    assert callable(upright)
    assert (decoded == upright(RGB)).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif",
    [b"", b"not EXIF", b"Exif\0\0MM\0*\0\0\0\x08", b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(9)],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_an_image_with_damaged_exif_data_is_shown_as_it_is(
    tmp_path: Path, suffix: str, exif: bytes
) -> None:
    path = tmp_path / f"photo{suffix}"
    image = Image.new("RGB", (30, 20), (200, 10, 10))
    image.save(path)
    plain = decode_image(path)
    image.save(path, exif=exif)
    np.testing.assert_array_equal(decode_image(path), plain)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_a_file_cut_short_is_named(tmp_path: Path, suffix: str) -> None:
    noise = GENERATOR.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = tmp_path / f"whole.{suffix}"
    Image.fromarray(noise).save(whole)
    content = whole.read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9):
        path = tmp_path / f"cut.{suffix}"
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(FileFormatError, match=f"cut.{suffix}"):
            decode_image(path)


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_text("<html>not found</html>")
    with pytest.raises(FileFormatError, match=r"x.jpg is corrupt.*\n  expected: an image file"):
        decode_image(path)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"x\.jpg"):
        decode_image(path)
    with pytest.raises(DataError, match=r"absent.jpg cannot be opened\n.*\n.*No such file"):
        decode_image(tmp_path / "absent.jpg")
    with pytest.raises(DataError, match="Is a directory"):
        decode_image(tmp_path)


def test_a_bomb_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (100, 100)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(FileFormatError, match="too many pixels"):
        decode_image(path)


def test_a_large_jpeg_is_decoded_at_a_fraction_and_other_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_MEMORY", 8 * 100 * 100)
    image = Image.new("RGB", (400, 200), (200, 100, 50))
    for part, scale in ((1, 4), (2, 2), (4, 1)):
        smaller = image.resize((400 // part, 200 // part))
        decoded = saved(tmp_path / "x.jpg", smaller, quality=95)
        assert decoded.shape == (200 // part // scale, 400 // part // scale, 3)
        assert np.abs(decoded.astype(int) - [200, 100, 50]).max() <= 3
    with pytest.raises(FileFormatError, match="too many pixels") as caught:
        saved(tmp_path / "x.png", image)
    assert caught.value.found == "400 x 200"
    assert saved(tmp_path / "y.png", image.resize((100, 100))).shape == (100, 100, 3)
    for name, options in (("x.webp", {}), ("y.webp", {"save_all": True})):
        frames = [image.resize((60, 60)), image.resize((60, 60)).rotate(90)]
        frames[0].putpixel((0, 0), (0, 0, 0))
        more = {"append_images": frames[1:]} if options else {}
        monkeypatch.setattr(images, "_MEMORY", 60 * 60 * (27 if options else 17))
        assert saved(tmp_path / name, frames[0], **options, **more).shape == (60, 60, 3)
        monkeypatch.setattr(images, "_MEMORY", 60 * 60 * (27 if options else 17) - 1)
        with pytest.raises(FileFormatError, match="too many pixels"):
            decode_image(tmp_path / name)


def test_images_of_many_rows_are_converted_whole(tmp_path: Path) -> None:
    """Rows are converted some at a time."""
    tall = GENERATOR.integers(0, 256, (1000, 3, 3), dtype=np.uint8)
    assert (saved(tmp_path / "x.png", Image.fromarray(tall)) == tall).all()
    deep = GENERATOR.integers(0, 65536, (600, 2), dtype=np.uint16)
    expected = ((deep.astype(int) * 255 + 32767) // 65535)[:, :, None]
    assert (saved(tmp_path / "y.png", Image.fromarray(deep)) == expected).all()
    alpha = np.dstack([tall, GENERATOR.integers(0, 256, (1000, 3), dtype=np.uint8)])
    share = alpha[:, :, 3:] / 255
    shown = tall * share + 255 * (1 - share)
    assert np.abs(saved(tmp_path / "z.png", Image.fromarray(alpha)) - shown).max() <= 1


@pytest.mark.parametrize(
    ("mode", "message"), [("F", "floating-point"), ("I", "outside the range of 16 bits")]
)
def test_pixels_without_an_agreed_range_are_refused(
    tmp_path: Path, mode: str, message: str
) -> None:
    path = tmp_path / "x.tiff"
    Image.new(mode, (2, 2), 70000).save(path)
    with pytest.raises(FileFormatError, match=message):
        decode_image(path)


def test_arrays_of_another_form_are_refused() -> None:
    with pytest.raises(DataError, match="float64 of shape"):
        decode_image(np.zeros((2, 2, 3)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"\(2, 2\)"):
        decode_image(GRAY[:2, :2])

"""Photos that go out have no private metadata, and thumbnails follow their files."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from commonspace.serve.errors import RequestError
from commonspace.serve.images import ORIENTATION, Thumbnails, read_photo

SECRETS = (b"Secret Author", b"secret comment", b"GPS", b"secret xmp")


def private_photo(path: Path, format: str, orientation: int) -> Image.Image:
    """Write a photo with a place, an author, comments and a color profile."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8))
    exif = Image.Exif()
    exif[0x013B] = "Secret Author"
    exif[0x010E] = "secret comment"
    exif[ORIENTATION] = orientation
    exif.get_ifd(0x8825)[29] = "GPS 2026"
    options: dict[str, object] = {"exif": exif, "icc_profile": b"profile" * 20}
    if format == "JPEG":
        options |= {"comment": b"secret comment", "xmp": b"secret xmp", "quality": 90}
    elif format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Author", "Secret Author")
        info.add_itxt("XML:com.adobe.xmp", "secret xmp")
        options |= {"pnginfo": info}
    else:
        options |= {"xmp": b"secret xmp", "lossless": True}
    image.save(path, format, **options)
    with path.open("ab") as file:
        file.write(b"secret comment after the end")
    return image


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_photos_go_out_without_metadata(tmp_path: Path, format: str, orientation: int) -> None:
    path = tmp_path / "photo"
    private_photo(path, format, orientation)
    content, media_type = read_photo(path)
    assert media_type == f"image/{format.lower()}"
    assert any(secret in path.read_bytes() for secret in SECRETS)
    assert not [secret for secret in SECRETS if secret in content]
    with Image.open(path) as before, Image.open(BytesIO(content)) as after:
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before))
        assert after.info.get("icc_profile") == b"profile" * 20
        exif = dict(after.getexif())
        assert exif == ({ORIENTATION: 6} if orientation == 6 else {})
        assert not after.getexif().get_ifd(0x8825)


def test_progressive_photos_keep_every_scan(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    image = Image.fromarray(pixels)
    image.save(path, "JPEG", progressive=True, restart_marker_rows=1)
    with Image.open(path) as before, Image.open(BytesIO(read_photo(path)[0])) as after:
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before))


@pytest.mark.parametrize("format", ["avif", "jp2", "ppm", "tga", "ico", "tiff", "bmp", "gif"])
def test_every_format_that_can_be_indexed_can_be_shown(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"photo.{format}"
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    content, media_type = read_photo(path)
    assert media_type == "image/png"
    with Image.open(BytesIO(content)) as image, Image.open(path) as stored:
        assert image.size == stored.size
    small = Thumbnails().get(path, 40)
    with Image.open(BytesIO(small)) as image:
        assert max(image.size) <= 40


def test_photos_above_40_megapixels_are_shown(tmp_path: Path) -> None:
    Image.new("RGB", (8000, 6000), (9, 90, 190)).save(tmp_path / "large.jpg", quality=50)
    with Image.open(BytesIO(Thumbnails().get(tmp_path / "large.jpg", 256))) as image:
        assert image.size == (256, 192)
    assert read_photo(tmp_path / "large.jpg")[1] == "image/jpeg"


def test_the_cache_of_thumbnails_is_bounded_and_follows_the_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), np.uint8)
    first = Thumbnails(capacity=0).get(noise[0], 32)
    cache = Thumbnails(capacity=3 * len(first))
    for picture in noise:
        cache.get(picture, 32)
    assert sum(map(len, cache._cache.values())) == cache._size <= 3 * len(first)
    assert cache.get(noise[0], 32) == first
    Image.fromarray(noise[1]).save(tmp_path / "a.png")
    before = cache.get(tmp_path / "a.png", 32)
    Image.fromarray(noise[2][:40]).save(tmp_path / "a.png")
    assert cache.get(tmp_path / "a.png", 32) != before
    (tmp_path / "a.png").unlink()
    with pytest.raises(RequestError, match="not available"):
        cache.get(tmp_path / "a.png", 32)


def test_a_missing_or_damaged_photo_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    for name in ("a.png", "absent.png"):
        with pytest.raises(RequestError, match="not available"):
            read_photo(tmp_path / name)

"""Photos that go out have no private metadata, and thumbnails follow their files."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from commonspace.data.images import ORIENTATION, decode_image
from commonspace.errors import FileFormatError
from commonspace.serve.errors import RequestError
from commonspace.serve.images import Thumbnails, read_photo

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
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
    options: dict[str, object] = {"exif": exif, "icc_profile": PROFILE}
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
        assert after.info.get("icc_profile") == PROFILE
        exif = dict(after.getexif())
        assert exif == ({ORIENTATION: 6} if orientation == 6 else {})
        assert not after.getexif().get_ifd(0x8825)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def hidden(format: str) -> Iterator[bytes]:
    """Yield photos with a secret in every place of a file that decoders skip."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8))
    secret = b"Secret Author"
    if format == "JPEG":
        for progressive in (False, True):
            file = BytesIO()
            image.save(file, "JPEG", progressive=progressive)
            data = file.getvalue()
            jfif = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\2\2" + secret)  # with a thumbnail
            yield data[:2] + jfif + data[20:]
            scan = data.rfind(b"\xff\xda")  # the last one
            bodies = (b"", b"JFXX\0\x13", b"Adobe\0\x64\0\0\0\0\1", b"ICC_PROFILE\0\1\1")
            for marker in (*range(0xE0, 0xF0), 0xFE):
                for body in bodies:
                    yield data[:20] + segment(marker, body + secret) + data[20:]
                    yield data[:scan] + segment(marker, body + secret) + data[scan:]
            yield data + data[:2] + segment(0xFE, secret) + data[2:]
    elif format == "PNG":
        file = BytesIO()
        image.save(file, "PNG")
        data = file.getvalue()
        packed = zlib.compress(secret)
        kinds = b"tEXt zTXt iTXt eXIf tIME prVt sPLT caBX pHYs sBIT gAMA bKGD iCCP".split()
        for kind in kinds:
            yield data[:33] + chunk(kind, b"x\0" + secret) + data[33:]
            yield data[:33] + chunk(kind, b"x\0\0" + packed) + data[33:]
        yield data[:33] + chunk(b"iCCP", secret + b"\0\0" + zlib.compress(PROFILE)) + data[33:]
    else:
        file = BytesIO()
        image.save(file, "WEBP", lossless=True, xmp=secret, icc_profile=secret, exif=secret)
        data = file.getvalue()
        yield data
        more = data + b"UNKN" + struct.pack("<I", 14) + secret + b"\0"
        yield more[:4] + struct.pack("<I", len(more) - 8) + more[8:]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_nothing_is_hidden_in_the_parts_that_decoders_skip(tmp_path: Path, format: str) -> None:
    path, count = tmp_path / "photo", 0
    for data in hidden(format):
        path.write_bytes(data)
        try:
            decode_image(path)
        except FileFormatError:  # cannot be indexed
            continue
        content, _ = read_photo(path)
        assert b"Secret" not in content
        assert zlib.compress(b"Secret Author")[2:-4] not in content
        with Image.open(BytesIO(data)) as before, Image.open(BytesIO(content)) as after:
            np.testing.assert_array_equal(np.asarray(after), np.asarray(before))
            assert after.info.get("icc_profile") in (None, PROFILE)
        count += 1
    assert count >= {"JPEG": 200, "PNG": 20, "WEBP": 2}[format]


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

"""What somebody sends as a picture is decoded in limits, or refused in time."""

import struct
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from commonspace.serve.pictures import Decoder, Thumbnails
from commonspace.serve.refusals import RefusedError

Serve = Callable[..., AbstractContextManager[TestClient]]


def enormous() -> bytes:
    """Return a whole PNG of 100 megapixels, all black, in a hundred kilobytes."""
    side = 10_000
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (side + 1) * side, 9)
    chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def zipped() -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("a.png", "no picture")
    return file.getvalue()


def cut() -> bytes:
    file = BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()[:5000]


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (enormous, 413, "too many pixels"),
        (zipped, 415, "cannot be read"),
        (cut, 415, "cannot be read"),
        (lambda: b"", 415, "cannot be read"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", 415, "cannot be read"),
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "cannot be read"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_next_one_is_answered(
    client: TestClient, data: Callable[[], bytes], status: int, said: str
) -> None:
    began = time.perf_counter()
    answer = client.post("/search", files={"image": ("photo.png", data())})
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]["problem"]
    assert time.perf_counter() - began < 5
    assert client.post("/search", json={"text": "a red wall"}).status_code == 200


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_picture_without_loss_is_decoded_to_its_pixels(form: str) -> None:
    pixels = np.zeros((5, 7, 3), dtype=np.uint8)
    pixels[:, 3:] = (255, 0, 0)
    file = BytesIO()
    Image.fromarray(pixels).save(file, form, **({"lossless": True} if form == "WEBP" else {}))
    decoder = Decoder(1000, 5.0)
    np.testing.assert_array_equal(decoder.decode(file.getvalue()), pixels)
    decoder.close()


def test_a_slow_picture_is_given_up(
    monkeypatch: pytest.MonkeyPatch, png: Callable[..., bytes]
) -> None:
    decoder = Decoder(1000, 0.05)
    monkeypatch.setattr(Decoder, "_decoded", lambda self, data: time.sleep(0.3))
    began = time.perf_counter()
    with pytest.raises(RefusedError, match="takes too long") as refused:
        decoder.decode(b"")
    assert refused.value.status == 413
    assert time.perf_counter() - began < 0.25
    decoder.close()


def test_thumbnails_are_kept_within_their_room_and_follow_the_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), np.uint8)
    alone = Thumbnails(room=0).of(noise[0], 32, 10**6)
    kept = Thumbnails(room=3 * len(alone))
    for picture in noise:
        kept.of(picture, 32, 10**6)
    assert sum(map(len, kept._kept.values())) == kept._size <= 3 * len(alone)
    assert kept.of(noise[0], 32, 10**6) == alone
    Image.fromarray(noise[1]).save(tmp_path / "a.png")
    first = kept.of(tmp_path / "a.png", 32, 10**6)
    Image.fromarray(noise[2][:40]).save(tmp_path / "a.png")
    assert kept.of(tmp_path / "a.png", 32, 10**6) != first
    (tmp_path / "a.png").unlink()
    with pytest.raises(RefusedError, match="cannot be read any more"):
        kept.of(tmp_path / "a.png", 32, 10**6)

"""Uploaded photos are decoded within limits, or refused with the right status in time."""

import asyncio
import os
import signal
import struct
import sys
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from commonspace.serve import decode_worker, decoding
from commonspace.serve.decode_worker import ImageError, decode
from commonspace.serve.decoding import DecodePool
from commonspace.serve.errors import RequestError

Serve = Callable[..., AbstractContextManager[TestClient]]
SIDE, PIXELS = 1600, 40_000_000


def huge_png() -> bytes:
    """Return a valid PNG of 100 megapixels, all black, in a hundred kilobytes."""
    side = 10_000
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (side + 1) * side, 9)
    chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def png_of_many_chunks() -> bytes:
    """Return a small PNG with 30,000 empty chunks."""
    file = BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    data = file.getvalue()
    empty = struct.pack(">I", 0) + b"teSt" + struct.pack(">I", zlib.crc32(b"teSt"))
    return data[:33] + empty * 30_000 + data[33:]


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def scan_bomb(side: int = 6300, size: int = 2_000_000) -> bytes:
    """Return a progressive JPEG with very many scans, whose decoding takes minutes."""
    blocks = ((side + 7) // 8) ** 2
    out = b"\xff\xd8" + segment(0xDB, b"\x00" + bytes([1] * 64))
    out += segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0]))
    out += segment(0xC4, b"\x00" + bytes([1] + [0] * 15) + b"\x00")
    out += segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\xe0")
    out += segment(0xDA, bytes([1, 1, 0x00, 0, 0, 0])) + bytes((blocks + 7) // 8)
    bits, left = "", blocks
    while left > 0:
        run = max(min(left, 32767), 16384)
        bits += "0" + format(run - 16384, "014b")
        left -= run
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    scan = segment(0xDA, bytes([1, 1, 0x00, 1, 63, 0])) + data
    return out + scan * ((size - len(out) - 2) // len(scan)) + b"\xff\xd9"


def jpeg_of_many_segments() -> bytes:
    return b"\xff\xd8" + segment(0xFE, b"") * 300_000 + noise_jpeg()[2:]


def noise_jpeg(width: int = 200, height: int = 200) -> bytes:
    file = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def archive() -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as zipped:
        zipped.writestr("a.png", "not an image")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (huge_png, 413, "image_too_large"),
        (scan_bomb, 413, "image_too_large"),
        (png_of_many_chunks, 413, "image_too_large"),
        (jpeg_of_many_segments, 413, "image_too_large"),
        (lambda: noise_jpeg()[:5000], 415, "image_truncated"),
        (archive, 415, "image_unreadable"),
        (lambda: b"", 415, "image_unreadable"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", 415, "image_unreadable"),
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "image_unreadable"),
    ],
)
def test_bad_images_are_refused_in_time_and_the_next_request_is_answered(
    client: TestClient, data: Callable[[], bytes], status: int, code: str
) -> None:
    content = data()
    start = time.perf_counter()
    response = client.post("/search", files={"image": ("photo.png", content)})
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code
    assert time.perf_counter() - start < 8
    assert client.post("/search", json={"text": "a red wall"}).status_code == 200


def test_a_truncated_image_is_reported_as_such(client: TestClient) -> None:
    file = BytesIO()
    Image.effect_noise((400, 300), 60).save(file, "JPEG")
    for data in (file.getvalue()[:-2000], file.getvalue()[: len(file.getvalue()) // 2]):
        error = client.post("/search", files={"image": ("a.jpg", data)}).json()["error"]
        assert (error["problem"], error["advice"]) == (
            "the image file is cut short",
            "send it again",
        )


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_lossless_images_keep_their_pixels(format: str) -> None:
    pixels = np.zeros((5, 7, 3), dtype=np.uint8)
    pixels[:, 3:] = (255, 0, 0)
    file = BytesIO()
    options = {"lossless": True} if format == "WEBP" else {}
    Image.fromarray(pixels).save(file, format, **options)
    np.testing.assert_array_equal(decode(file.getvalue(), SIDE, PIXELS), pixels)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_large_images_are_scaled_and_turned_upright(format: str, orientation: int) -> None:
    image = Image.new("RGB", (3000, 2000), (0, 0, 200))
    image.paste((200, 0, 0), (0, 0, 1000, 2000))  # red on the left before turning
    file = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(file, format, exif=exif)
    pixels = decode(file.getvalue(), 600, PIXELS)
    assert pixels.shape == ((600, 400, 3) if orientation in (6, 8) else (400, 600, 3))
    corner = {1: (200, 50), 3: (200, 550), 6: (50, 200), 8: (550, 200)}[orientation]
    assert pixels[corner][0] > 150


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "I;16"])
def test_every_mode_is_scaled(mode: str) -> None:
    image = Image.new(mode, (900, 300)) if mode != "P" else Image.new("RGB", (900, 300)).quantize()
    file = BytesIO()
    image.save(file, "TIFF")
    assert decode(file.getvalue(), 300, PIXELS).shape == (100, 300, 3)


def test_jpegs_are_decoded_at_a_fraction_of_their_size() -> None:
    data = noise_jpeg(4000, 3000)
    with Image.open(BytesIO(data)) as image:
        image.draft(None, (800, 600))
        assert image.size == (1000, 750)
        image.thumbnail((800, 600), decode_worker.SCALING)
        wanted = np.asarray(image)
    np.testing.assert_array_equal(decode(data, 800, PIXELS), wanted)
    assert decode(data, 800, 750_000).shape == (600, 800, 3)  # counts what is decoded
    with pytest.raises(ImageError, match="too large"):
        decode(data, 800, 100_000)


@pytest.fixture
def pool() -> Iterator[Callable[..., DecodePool]]:
    """Create pools, which are closed at the end."""
    pools: list[DecodePool] = []

    def create(**options: int) -> DecodePool:
        defaults = {"workers": 1, "max_photos": 4, "max_pixels": PIXELS, "seconds": 5}
        pools.append(DecodePool(**{**defaults, "memory": 2**30, **options}))
        return pools[-1]

    yield create
    for each in pools:
        each.close()


def reader(data: bytes) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return data

    return read


def processes(pool: DecodePool) -> list[int]:
    return [worker.start().pid for worker in pool._workers]


def test_a_worker_at_its_limit_of_processor_time_is_replaced(
    pool: Callable[..., DecodePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "WALL_FACTOR", 100)  # however busy the machine is
    made = pool(seconds=1, max_pixels=10**12)
    data = scan_bomb(size=8_000_000)

    async def run() -> None:
        before = processes(made)
        with pytest.raises(RequestError, match="takes too long") as error:
            await made.decode(reader(data))
        assert error.value.status == 413
        assert (await made.decode(reader(noise_jpeg()))).shape == (200, 200, 3)
        assert processes(made) != before

    asyncio.run(run())


def test_a_stopped_worker_is_killed_and_the_machine_is_blamed(
    pool: Callable[..., DecodePool],
) -> None:
    made = pool(seconds=1)

    async def run() -> None:
        await made.decode(reader(noise_jpeg()))
        os.kill(processes(made)[0], signal.SIGSTOP)  # it uses no processor time
        with pytest.raises(RequestError, match="not finished in time") as error:
            await made.decode(reader(noise_jpeg()))
        assert (error.value.status, error.value.retry_after) == (503, 2)
        assert (await made.decode(reader(noise_jpeg()))).shape == (200, 200, 3)

    asyncio.run(run())


def test_a_crashed_worker_is_replaced(pool: Callable[..., DecodePool]) -> None:
    made = pool()

    async def run() -> None:
        await made.decode(reader(noise_jpeg()))
        pid = processes(made)[0]
        os.kill(pid, signal.SIGSTOP)
        task = asyncio.create_task(made.decode(reader(noise_jpeg())))
        await asyncio.sleep(0.2)
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)
        with pytest.raises(RequestError) as error:
            await task
        assert error.value.status == 415
        assert (await made.decode(reader(noise_jpeg()))).shape == (200, 200, 3)

    asyncio.run(run())


def test_memory_of_a_worker_is_limited(pool: Callable[..., DecodePool]) -> None:
    file = BytesIO()
    Image.new("RGBA", (8000, 8000)).save(file, "PNG")
    made = pool(memory=2**29, max_pixels=10**9)

    async def run() -> None:
        with pytest.raises(RequestError, match="too large") as error:
            await made.decode(reader(file.getvalue()))
        assert error.value.status == 413
        assert (await made.decode(reader(noise_jpeg()))).shape == (200, 200, 3)

    asyncio.run(run())


def test_waiting_work_is_dropped_when_its_task_is_cancelled(
    pool: Callable[..., DecodePool],
) -> None:
    made = pool(seconds=20)
    reads: list[int] = []

    async def read() -> bytes:
        reads.append(1)
        return noise_jpeg()

    async def run() -> None:
        await made.decode(reader(noise_jpeg()))
        os.kill(processes(made)[0], signal.SIGSTOP)
        running = asyncio.create_task(made.decode(reader(noise_jpeg())))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(made.decode(read))
        await asyncio.sleep(0.1)
        waiting.cancel()
        running.cancel()  # its worker is killed a second later
        await asyncio.gather(waiting, running, return_exceptions=True)
        assert reads == []
        start = time.perf_counter()
        assert (await made.decode(reader(noise_jpeg()))).shape == (200, 200, 3)
        assert time.perf_counter() - start < 10

    asyncio.run(run())


def test_too_many_photos_are_refused_as_busy(pool: Callable[..., DecodePool]) -> None:
    made = pool(max_photos=2)

    async def run() -> None:
        with made.admit(), made.admit():
            with pytest.raises(RequestError, match="too many photos") as error, made.admit():
                pass
            assert (error.value.status, error.value.retry_after) == (503, 2)
        with made.admit():
            pass

    asyncio.run(run())


def test_memory_is_returned_a_moment_after_the_last_photo(
    pool: Callable[..., DecodePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    trimmed: list[float] = []
    monkeypatch.setattr(decoding, "IDLE_SECONDS", 0.2)
    monkeypatch.setattr(decoding, "trim_memory", lambda: trimmed.append(time.perf_counter()))
    made = pool()

    async def run() -> None:
        for _ in range(3):  # one after the other: there is no moment without a photo
            with made.admit():
                await asyncio.sleep(0.01)
        with made.admit():
            await asyncio.sleep(0.4)
            assert trimmed == []
        last = time.perf_counter()
        await asyncio.sleep(0.5)
        assert len(trimmed) == 1
        assert trimmed[0] - last >= 0.19

    asyncio.run(run())


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is needed")
def test_a_worker_returns_the_memory_of_a_photo(pool: Callable[..., DecodePool]) -> None:
    made = pool()

    def resident() -> int:
        pages = Path(f"/proc/{processes(made)[0]}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    file = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (1600, 4000, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)

    async def run() -> None:
        await made.decode(reader(noise_jpeg()))
        await asyncio.sleep(1.5)
        before = resident()
        for _ in range(3):
            await made.decode(reader(file.getvalue()))  # 19 MB, and as much when decoded
        for _ in range(50):
            await asyncio.sleep(0.2)
            if resident() - before < 4_000_000:
                return
        raise AssertionError(f"{(resident() - before) / 1e6:.0f} MB stay")

    asyncio.run(run())


def test_closing_ends_every_process_at_once(pool: Callable[..., DecodePool]) -> None:
    made = pool(workers=2, seconds=60)

    async def run() -> None:
        await made.decode(reader(noise_jpeg()))
        pids = processes(made)
        os.kill(pids[0], signal.SIGSTOP)
        os.kill(pids[1], signal.SIGSTOP)
        tasks = [asyncio.create_task(made.decode(reader(noise_jpeg()))) for _ in range(3)]
        await asyncio.sleep(0.2)
        start = time.perf_counter()
        made.close()
        errors = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert time.perf_counter() - start < 5
        assert all(isinstance(each, RequestError | RuntimeError) for each in errors)
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    asyncio.run(run())


def test_two_bombs_do_not_stop_photo_search(
    serve: Serve, index: Path, png: Callable[[NDArray[np.uint8]], bytes]
) -> None:
    with serve(index, decode_workers=2) as client:
        data = scan_bomb(size=19_900_000)
        for _ in range(2):
            response = client.post("/search", files={"image": ("a.jpg", data)})
            assert response.status_code == 413
        photo = png(np.full((64, 64, 3), 90, dtype=np.uint8))
        start = time.perf_counter()
        assert client.post("/search", files={"image": ("a.png", photo)}).status_code == 200
        assert time.perf_counter() - start < 5


def test_formats_are_those_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "service.md").read_text("utf-8")
    assert ", ".join(decode_worker.FORMATS) in text

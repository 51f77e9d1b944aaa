"""Extraction against a loop over items; the cache, broken items, and what stays behind."""

import multiprocessing
import signal
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from commonspace.data import Column, Dataset, Features, Images, Texts
from commonspace.encoders import Encoder, Extraction, Photos, Words, extract
from commonspace.encoders.encoder import describe
from commonspace.encoders.loading import prepared
from commonspace.errors import DataError, SettingError
from commonspace.networks.backbones.text_cnn import TextCNN


class Sums(nn.Module):
    """Sums of colours under fixed weights, and a count of the items that it saw."""

    size = 4

    def __init__(self, failing_at: int | None = None) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.arange(12.0).reshape(3, 4) / 7)
        self.seen: list[int] = []
        self.failing_at = failing_at

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.failing_at is not None and len(self.seen) >= self.failing_at:
            raise KeyboardInterrupt
        self.seen.append(len(images))
        return images.float().mean((2, 3)) @ self.weights


def pictures(failing_at: int | None = None) -> Encoder:
    return describe(
        Photos(resize=12, side=10),
        Sums(failing_at),
        {"kind": "sums"},
        spec="sums",
        name="sums",
        preprocessing="small",
        fitted_on="nothing",
    )


def sentences() -> Encoder:
    torch.manual_seed(0)
    words = Words(["red", "green", "wall", "door"])
    config: dict[str, Any] = {"vocabulary": words.size, "size": 5, "word_size": 6, "maps": 4}
    return describe(
        words,
        TextCNN(**config),
        {"kind": "text_cnn", **config},
        spec="words",
        name="words",
        preprocessing="words",
        fitted_on="nothing",
    )


def folder_data(folder: Path, n: int = 11) -> Dataset:
    """Return n photos as files, of which two are equal, one is missing; and texts."""
    draw = np.random.default_rng(0)
    items: list[Path | None] = []
    for number in range(n):
        pixels = draw.integers(0, 256, (14 + number, 20, 3), dtype=np.uint8)
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        items.append(path)
    items[4] = folder / "twin.png"
    (folder / "twin.png").write_bytes((folder / "3.png").read_bytes())
    items[7] = None
    texts = [(("red wall", "green"), ("door door red",), ("green",), ())[k % 4] for k in range(n)]
    texts[7] = ("a door",)
    return Dataset(
        name="photos",
        ids=tuple(f"p{number}" for number in range(n)),
        columns={"image": Images(items), "text": Texts(texts)},
        labels=np.ones((n, 1), bool),
        class_names=("any",),
        splits=np.array(["train"] * n),
    )


def seen(encoder: Encoder) -> list[int]:
    """Return how many items the network saw in each of its batches."""
    assert isinstance(encoder.backbone, Sums)
    return encoder.backbone.seen


def values(data: Dataset, name: str = "image") -> NDArray[np.float32]:
    column = data.columns[name]
    assert isinstance(column, Features)
    return column.values


def loop(encoder: Encoder, column: Column) -> NDArray[np.float32]:
    """Encode one item after the other."""
    assert isinstance(column, Images | Texts)
    rows = [
        encoder([item])[0].numpy() if item else np.zeros(encoder.size, np.float32)
        for item in column.items
    ]
    return np.stack(rows)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (4, 0), (3, 2), (64, 1)])
def test_it_equals_a_loop(batch_size: int, workers: int, tmp_path: Path) -> None:
    data = folder_data(tmp_path)
    encoders = {"image": pictures(), "text": sentences()}
    found = extract(data, encoders, Extraction(batch_size=batch_size, workers=workers))
    assert sum(seen(encoders["image"])) == 9  # of ten: the twins count once
    for name, encoder in encoders.items():
        assert np.array_equal(found.columns[name].present, data.columns[name].present)
        expected = loop(encoder, data.columns[name])
        np.testing.assert_allclose(values(found, name), expected, atol=1e-5)
    assert found.ids == data.ids
    assert found.warnings == ()
    assert found.provenance["encoders"]["image"]["sha256"] == encoders["image"].provenance["sha256"]


def test_bfloat16_is_close_and_named(tmp_path: Path) -> None:
    data = folder_data(tmp_path)
    exact = extract(data, {"text": sentences()}, Extraction())
    coarse = extract(data, {"text": sentences()}, Extraction(precision="bfloat16"))
    one, other = values(exact, "text"), values(coarse, "text")
    np.testing.assert_allclose(one, other, atol=0.02)
    assert not np.array_equal(one, other)
    assert coarse.provenance["encoders"]["text"]["precision"] == "bfloat16"


def test_a_second_run_computes_nothing_and_a_changed_item_alone_is_new(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    data = folder_data(tmp_path / "photos")
    settings = Extraction(workers=0, cache=tmp_path / "cache")
    first, second, third = pictures(), pictures(), pictures()
    one = extract(data, {"image": first}, settings)
    two = extract(data.take(np.arange(10, -1, -1)), {"image": second}, settings)
    assert seen(second) == []
    assert np.array_equal(values(one), values(two)[::-1])
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "photos" / "2.png")
    changed = extract(data, {"image": third}, settings)
    assert seen(third) == [1]
    assert not values(changed)[2].any()
    chunks = list((tmp_path / "cache").rglob("*.safetensors"))
    chunks[0].write_bytes(chunks[0].read_bytes()[:100])  # damaged: computed and written again
    extract(data, {"image": pictures()}, settings)
    last = pictures()
    extract(data, {"image": last}, settings)
    assert seen(last) == []


def broken_data(folder: Path) -> Dataset:
    data = folder_data(folder)
    (folder / "0.png").write_text("I am a text", "utf-8")
    whole = (folder / "5.png").read_bytes()
    (folder / "5.png").write_bytes(whole[: len(whole) // 2])
    (folder / "6.png").unlink()
    (folder / "8.png").write_bytes(huge_png())
    return data


def huge_png() -> bytes:
    """Return a small file that says it has 3.6 thousand million pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_items_are_listed_and_left_out(workers: int, tmp_path: Path) -> None:
    data = broken_data(tmp_path)
    settings = Extraction(batch_size=4, workers=workers, on_error="skip")
    found = extract(data, {"image": pictures(), "text": sentences()}, settings)
    assert found.columns["image"].present.tolist() == [k not in (0, 5, 6, 7, 8) for k in range(11)]
    named = [text.split(",")[0] for text in found.warnings]
    assert named == [f"sample 'p{number}'" for number in (0, 5, 6, 8)]
    assert "too many pixels" in found.warnings[3]
    some = data.take(np.array([0, 1, 5]))
    images = replace(some, columns={"image": some.columns["image"]})
    alone = extract(images, {"image": pictures()}, settings)
    assert alone.ids == ("p1",)
    assert "sample 'p0' is left out: nothing of it could be read" in alone.warnings
    with pytest.raises(DataError, match="no sample"):
        extract(images.take(np.array([0, 2])), {"image": pictures()}, settings)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_item_stops_the_run_and_nothing_is_lost(workers: int, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    data = folder_data(tmp_path / "photos")
    whole = (tmp_path / "photos" / "9.png").read_bytes()
    (tmp_path / "photos" / "9.png").write_text("I am a text", "utf-8")
    settings = Extraction(batch_size=2, workers=workers, cache=tmp_path / "cache")
    with pytest.raises(DataError, match="sample 'p9'"):
        extract(data, {"image": pictures()}, settings)
    assert multiprocessing.active_children() == []
    (tmp_path / "photos" / "9.png").write_bytes(whole)
    again = pictures()
    extract(data, {"image": again}, settings)
    assert sum(seen(again)) < 9


def test_no_process_stays_behind_an_interrupt(tmp_path: Path) -> None:
    data = folder_data(tmp_path)
    with pytest.raises(KeyboardInterrupt) as kept:  # whose traceback is still here below
        extract(data, {"image": pictures(failing_at=1)}, Extraction(batch_size=2, workers=2))
    assert multiprocessing.active_children() == []
    assert kept.tb is not None


def test_no_process_stays_behind_who_stops_listening() -> None:
    items = [np.zeros((20, 20, 3), np.uint8)] * 8
    batches = prepared(Photos(resize=12, side=10), items, [[0, 1], [2, 3], [4, 5], [6, 7]], 2)
    assert next(batches).rows == [0, 1]
    assert multiprocessing.active_children() != []
    batches.close()
    assert multiprocessing.active_children() == []


KILLED = """
    import sys, time
    from dataclasses import replace
    from pathlib import Path
    folder = Path(sys.argv[1])
    sys.path.insert(0, sys.argv[2])
    import test_extract as tests
    sys.modules["commonspace.encoders.extract"].WRITE_EVERY = 0.0
    class Slow(tests.Sums):
        def forward(self, images):
            if len(self.seen) == 3:
                print("three", flush=True)
                time.sleep(60)
            return super().forward(images)
    encoder = replace(tests.pictures(), backbone=Slow())
    settings = tests.Extraction(batch_size=2, workers=2, cache=folder / "cache")
    tests.extract(tests.folder_data(folder / "photos"), {"image": encoder}, settings)
"""


def test_a_killed_run_continues_and_its_workers_end(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    here = str(Path(__file__).parent)
    run = subprocess.Popen(
        [sys.executable, "-c", dedent(KILLED), str(tmp_path), here],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "three\n"
    workers = _children(run.pid)
    assert len(workers) == 2
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    data = folder_data(tmp_path / "photos")
    encoder = pictures()
    found = extract(data, {"image": encoder}, Extraction(workers=0, cache=tmp_path / "cache"))
    assert sum(seen(encoder)) == 3  # six of nine were kept
    expected = loop(pictures(), data.columns["image"])
    np.testing.assert_allclose(values(found), expected, atol=1e-5)
    until = time.monotonic() + 20  # a worker looks for its parent every five seconds
    while any(map(_alive, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(_alive, workers))


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_invalid_settings_and_columns_of_features_are_refused() -> None:
    for bad in ({"batch_size": 0}, {"workers": -1}, {"precision": "half"}, {"on_error": "ignore"}):
        with pytest.raises(SettingError, match=next(iter(bad))):
            Extraction(**bad)
    data = Dataset(
        name="done",
        ids=("a",),
        columns={"image": Features([[1.0]])},
        labels=np.ones((1, 1), bool),
        class_names=("any",),
        splits=np.array(["train"]),
    )
    for name in ("image", "text"):
        with pytest.raises(DataError, match="nothing to extract"):
            extract(data, {name: pictures()})

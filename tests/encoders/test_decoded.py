"""Photos decoded into a memory-mapped file: the same bytes, once, and no half-written file."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from commonspace.encoders import Photos
from commonspace.encoders.decoded import DecodedPhotos, decode_photos
from commonspace.errors import DataError


def photos(folder: Path, n: int = 9) -> list[Path | None]:
    draw = np.random.default_rng(2)
    paths: list[Path | None] = []
    for row in range(n):
        paths.append(folder / f"{row}.png")
        pixels = draw.integers(0, 256, (30, 20 + row, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[-1])  # type: ignore[arg-type]
    paths[4] = None
    return paths


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_read_is_what_was_decoded(workers: int, tmp_path: Path) -> None:
    paths, make = photos(tmp_path), Photos(side=16, resize=16, form="pad")
    path = decode_photos(make, paths, tmp_path / "cache", workers)
    assert path is not None
    read = DecodedPhotos(path)
    assert torch.equal(read(range(9)), make(paths))
    assert torch.equal(read([7, 2]), make([paths[7], paths[2]]))


def test_a_second_reading_decodes_nothing(tmp_path: Path) -> None:
    paths, make = photos(tmp_path), Photos(side=16, resize=16, form="pad")
    first = decode_photos(make, paths, tmp_path / "cache", 0)
    assert first is not None
    time = first.stat().st_mtime_ns
    for path in paths:  # the content counts, not the place
        if path is not None:
            path.rename(path.with_suffix(".moved"))
    moved = [path and path.with_suffix(".moved") for path in paths]
    assert decode_photos(make, moved, tmp_path / "cache", 0) == first
    assert first.stat().st_mtime_ns == time
    other = Photos(side=16, resize=16, form="stretch")
    assert decode_photos(other, moved, tmp_path / "cache", 0) != first
    assert decode_photos(make, moved[::-1], tmp_path / "cache", 0) != first


def test_a_broken_photo_leaves_no_file(tmp_path: Path) -> None:
    paths = photos(tmp_path)
    assert paths[8] is not None
    paths[8].write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"8\.png"):
        decode_photos(Photos(side=16, resize=16), paths, tmp_path / "cache", 0)
    assert list((tmp_path / "cache" / "photos").iterdir()) == []


def test_a_small_disk_gets_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 9 * 3 * 16 * 16
    usage = SimpleNamespace(free=2 * size - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    make, paths = Photos(side=16, resize=16), photos(tmp_path)
    assert decode_photos(make, paths, tmp_path / "cache", 0) is None
    usage.free = 2 * size
    assert decode_photos(make, paths, tmp_path / "cache", 0) is not None

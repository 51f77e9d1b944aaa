"""WebDataset archives: members that share a name are one sample."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commonspace.data import Images, Texts
from commonspace.datasets import load_dataset
from commonspace.errors import FileFormatError


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 3), (value, 0, 0)).save(stream, "png")
    return stream.getvalue()


def write(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def samples(start: int, stop: int) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for row in range(start, stop):
        members[f"{row:04}.png"] = png(row)
        members[f"{row:04}.txt"] = f"number {row}\n".encode()
        members[f"{row:04}.cls"] = str(row % 2).encode()
    return members


def test_an_archive(tmp_path: Path) -> None:
    data = load_dataset(write(tmp_path / "a.tar", samples(0, 20)))
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Images)
    assert isinstance(text, Texts)
    assert data.ids[:2] == ("0000", "0001")
    assert np.asarray(image.items[7])[0, 0].tolist() == [7, 0, 0]
    assert text.items[7] == ("number 7",)
    assert data.class_names == ("0", "1")


def test_shards_of_splits_and_json_members(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    for name, start, stop in (
        ("train-0", 0, 10),
        ("train-1", 10, 20),
        ("val-0", 20, 24),
        ("test-0", 24, 30),
    ):
        members: dict[str, bytes] = {}
        for row in range(start, stop):
            record: dict[str, Any] = {
                "text": ["one", f"number {row}"],
                "label": ["cat", "dog"][row % 2],
                "price": row,
            }
            members |= {
                f"x/{row:04}.png": png(row),
                f"x/{row:04}.json": json.dumps(record).encode(),
            }
        write(folder / f"{name}.tar", members)
    data = load_dataset(folder)
    assert [(data.splits == s).sum() for s in ("train", "validation", "test")] == [20, 4, 6]
    assert data.class_names == ("cat", "dog")
    assert data.fields["price"] != []
    text = data.columns["text"]
    assert isinstance(text, Texts)
    assert ("one", "number 3") in text.items


def test_damaged_members_are_named(tmp_path: Path) -> None:
    members = samples(0, 20) | {"0003.png": b"\x89PNG no more"}
    path = write(tmp_path / "a.tar", members)
    with pytest.raises(FileFormatError, match=r"a\.tar, 0003 is corrupt"):
        load_dataset(path)
    data = load_dataset(path, partial=True)
    assert data.columns["image"].present.sum() == 19
    assert "0003" in data.warnings[0]
    (tmp_path / "b.tar").write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match=r"b\.tar"):
        load_dataset(tmp_path / "b.tar")

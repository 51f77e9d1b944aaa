"""WebDataset archives: members that share a name are one sample."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from commonspace.data import Images, Texts
from commonspace.datasets import load_dataset
from commonspace.errors import DataError, FileFormatError


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
    with pytest.raises(FileFormatError, match=r"a\.tar, 0003 is no image"):
        load_dataset(path)
    data = load_dataset(path, partial=True)
    assert data.columns["image"].present.sum() == 19
    assert "0003" in data.warnings[0]
    (tmp_path / "b.tar").write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match=r"b\.tar"):
        load_dataset(tmp_path / "b.tar")


def with_json(record: dict[str, Any], count: int = 20) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for row in range(count):
        values = {key: value[row % len(value)] for key, value in record.items()}
        members |= {f"{row:04}.png": png(row), f"{row:04}.json": json.dumps(values).encode()}
    return members


def test_values_of_json_members_are_those_of_a_metadata_file(tmp_path: Path) -> None:
    record = {
        "Label": [[1, 0], [0, 1]],
        "text": ["one", ["two", None]],
        "split": ["NA"],
        "id": [*range(100, 120)],
        "group": ["a", "a", "b", "b"],
    }
    data = load_dataset(write(tmp_path / "a.tar", with_json(record)))
    assert data.labels.astype(int).tolist() == [[1, 0], [0, 1]] * 10
    assert data.ids[:2] == ("100", "101")
    assert data.provenance["split"] == "drawn: stratified, grouped, seed 0"
    text = data.columns["text"]
    assert isinstance(text, Texts)
    assert text.items[:2] == (("one",), ("two",))


@pytest.mark.parametrize("record", [{"text": [3]}, {"label": [{"a": 1}]}, {"label": [0.5]}])
def test_wrong_types_in_json_members_are_named(record: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", samples(0, 20) | with_json(record, 1))
    with pytest.raises(FileFormatError, match=r"0000\.json: '(text|label)' has a wrong type"):
        load_dataset(path)
    assert "member left out" in load_dataset(path, partial=True).warnings[0]


def test_a_split_may_be_the_first_folder(tmp_path: Path) -> None:
    members = {
        f"{'train' if row < 14 else 'test'}/{name}": content
        for row in range(20)
        for name, content in samples(row, row + 1).items()
    }
    data = load_dataset(write(tmp_path / "a.tar", members))
    assert (data.splits == "test").sum() == 6


def test_what_has_no_label_and_what_comes_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for row in range(20):
            info = tarfile.TarInfo(f"cat/{row // 2:04}.png")
            info.size = len(png(row))
            archive.addfile(info, io.BytesIO(png(row)))
    data = load_dataset(path)
    assert "10 members of a name that came before, such as cat/0000.png" in data.warnings[0]
    assert "no sample has a label" in data.warnings[1]
    assert "label" not in data.provenance["keys"]


def test_members_that_are_not_used_are_the_reason_for_an_empty_set(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", {"1.input.png": png(1), "1.cls": b"0"})
    with pytest.raises(DataError, match=r"members \*\.input\.png are not used"):
        load_dataset(path)


@pytest.mark.parametrize(("mode", "tool"), [("w:gz", "gzip"), ("w:bz2", "bzip2"), ("w:xz", "xz")])
def test_compressed_archives_say_what_to_do(
    mode: Literal["w:gz", "w:bz2", "w:xz"], tool: str, tmp_path: Path
) -> None:
    for name in ("a.tar", "a.tar.gz", "a.tgz"):
        with tarfile.open(tmp_path / name, mode):
            pass
    with pytest.raises(FileFormatError, match=f"decompress it: {tool}"):
        load_dataset(tmp_path / "a.tar")
    with pytest.raises(FileFormatError, match="decompress it first"):
        load_dataset(tmp_path / "a.tar.gz")

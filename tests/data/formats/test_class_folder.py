"""Folders of images with one folder for each class."""

from pathlib import Path

import pytest
from PIL import Image

from commonspace.data import Texts
from commonspace.datasets import load_dataset
from commonspace.errors import DataError, FileFormatError


def paint(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (9, 9, 9)).save(path)
    if text:
        path.with_suffix(".txt").write_text(text, "utf-8")


def test_one_folder_for_each_class(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for row in range(10):
            paint(tmp_path / f"{name}/{row}.jpg", f"a {name}\nnumber {row}\n" if row else "")
    data = load_dataset(tmp_path)
    assert data.ids[:2] == ("cat/0.jpg", "cat/1.jpg")
    assert data.class_names == ("cat", "dog")
    assert data.labels.sum(axis=0).tolist() == [10, 10]
    text = data.columns["text"]
    assert isinstance(text, Texts)
    assert text.items[:2] == ((), ("a cat", "number 1"))
    assert data.provenance["format"] == "classes"
    assert data.provenance["keys"]["label"] == "folder names"


def test_classes_inside_splits(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        for name in ("cat", "dog"):
            for row in range(count):
                paint(tmp_path / f"{split}/{name}/{row}.png")
    data = load_dataset(tmp_path)
    assert [(data.splits == s).sum() for s in ("train", "validation", "test")] == [12, 4, 6]
    assert data.modalities == ("image",)
    assert data.class_names == ("cat", "dog")


def test_a_metadata_file_takes_precedence(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for row in range(4):
            paint(tmp_path / f"{name}/{row}.png")
    lines = "".join(
        f'{{"file_name": "{name}/{row}.png", "label": "pet"}}\n'
        for name in ("cat", "dog")
        for row in range(4)
    )
    (tmp_path / "metadata.jsonl").write_text(lines)
    assert load_dataset(tmp_path).class_names == ("pet",)


def test_folders_without_images_and_images_without_folder_are_named(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for row in range(10):
            paint(tmp_path / f"{name}/{row}.png")
    (tmp_path / "annotations").mkdir()
    paint(tmp_path / "stray.png")
    data = load_dataset(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert data.warnings == (
        f"{tmp_path / 'annotations'} holds no image: it is no class",
        f"1 image file of {tmp_path} is in no class folder and not used, for example stray.png",
    )


def test_a_folder_beside_the_splits_is_no_class(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for row in range(12):
            paint(tmp_path / f"{split}/{('cat', 'dog')[row % 2]}/{row}.png")
    paint(tmp_path / "unlabeled/x/1.png")
    data = load_dataset(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert (data.splits == "test").sum() == 12
    assert "for example unlabeled/x/1.png" in data.warnings[0]


def test_splits_are_no_classes(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        for row in range(4):
            paint(tmp_path / f"{split}/{row}.jpg")
    with pytest.raises(DataError, match=r"(?s)found: +train2017/, val2017/.*a metadata\.jsonl"):
        load_dataset(tmp_path)


def test_a_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for row in range(10):
            paint(tmp_path / f"{name}/{row}.png", "a text")
    (tmp_path / "cat/3.txt").write_bytes("une fête".encode("latin-1"))
    with pytest.raises(FileFormatError, match=r"3\.txt, line 1, is not UTF-8"):
        load_dataset(tmp_path)
    data = load_dataset(tmp_path, partial=True)
    assert data.columns["text"].present.sum() == 19
    assert "this sample has no text" in data.warnings[0]


def test_folders_with_metadata_are_no_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for row in range(4):
            paint(tmp_path / f"{name}/{row}.png")
        (tmp_path / name / "metadata.csv").write_text("file_name,text\n0.png,a text\n")
    with pytest.raises(DataError, match=r"did you mean .*cat or .*dog\?"):
        load_dataset(tmp_path)

"""Folders of images with one folder for each class."""

from pathlib import Path

from PIL import Image

from commonspace.data import Texts
from commonspace.datasets import load_dataset


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

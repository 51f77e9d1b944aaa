"""Photos and texts are those of the samples; an unreadable photo is shown as its error."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commonspace.data import Dataset, Features, Images, Texts
from commonspace.datasets import load_dataset
from commonspace.errors import DataError
from commonspace.reporting.items import THUMBNAIL, Items, find_item_data

LINES = (
    '{"file_name": "a.png", "text": "a cat", "label": "cat", "split": "train", "id": "a"}\n'
    '{"file_name": "b.png", "text": ["a dog", "some dog"], "label": "dog", "split": "validation",'
    ' "id": "b"}\n'
    '{"file_name": "c.png", "label": "cat", "split": "test", "id": "c"}\n'
    '{"file_name": "d.png", "label": "dog", "split": "train", "id": "d"}\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with four photos, one of them broken."""
    for name in "abcd":
        Image.new("RGB", (400, 100), "red").save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "c.png").read_bytes()[:40])
    (tmp_path / "metadata.jsonl").write_text(LINES)
    return tmp_path


def write_features(path: Path, labels: tuple[str, ...] = ("cat", "dog", "cat", "dog")) -> Dataset:
    np.savez(
        path,
        image=np.eye(4),
        text=np.eye(4),
        label=np.array(labels),
        id=np.array(["a", "b", "c", "d"]),
        splits=np.array(["train", "validation", "test", "train"]),
    )
    return load_dataset(path)


def test_a_feature_file_finds_the_photos_beside_it(folder: Path) -> None:
    data = write_features(folder / "features.npz")
    item_data, said = find_item_data(data, None, folder / "features.npz")
    assert item_data is not None
    assert folder.name in said
    items = Items(data, item_data)
    card = items.card(0, "image")
    assert card.picture is not None
    assert card.picture.shape == (THUMBNAIL // 4, THUMBNAIL, 3)
    assert card.picture[0, 0].tolist() == [255, 0, 0]
    assert items.card(1, "text").text == "a dog / some dog"
    assert items.card(1, "text").classes == ("dog",)
    assert items.card(2, "text").text == ""
    broken = items.card(2, "image")
    assert broken.picture is None
    assert broken.problem.startswith("c.png: ")


def test_photos_of_other_samples_are_not_taken(folder: Path) -> None:
    other = write_features(folder / "features.npz", labels=("dog", "dog", "dog", "dog"))
    item_data, said = find_item_data(other, None, folder / "features.npz")
    assert item_data is None
    assert "by their ids" in said
    assert Items(other).card(0, "image").picture is None
    assert Items(other).card(0, "image").id == "a"


def test_a_sample_without_a_class_may_be_of_any(folder: Path) -> None:
    """Features without labels belong to the photos of the same ids, also if those have labels."""
    data = write_features(folder / "features.npz")
    unlabeled = replace(data, labels=np.zeros_like(data.labels))
    assert find_item_data(unlabeled, None, folder / "features.npz")[0] is not None
    assert find_item_data(unlabeled, str(folder), None)[0] is not None
    renamed = replace(unlabeled, ids=("e", "f", "g", "h"))
    assert find_item_data(renamed, None, folder / "features.npz")[0] is None


def test_photos_that_are_missing_are_in_the_note(folder: Path) -> None:
    data = write_features(folder / "features.npz")
    (folder / "b.png").unlink()
    for named, beside in ((str(folder), None), (None, folder / "features.npz")):
        item_data, note = find_item_data(data, named, beside)
        assert item_data is not None
        assert "1 image file is missing" in note
        assert note.endswith("these samples have no image.")


def test_the_named_source_beside_the_file_is_found(folder: Path) -> None:
    place = folder.parent / f"{folder.name}-features"
    place.mkdir()
    data = write_features(place / "features.npz")
    (place / "photos").symlink_to(folder)
    assert find_item_data(data, None, place / "features.npz")[0] is None
    made = replace(data, provenance={**data.provenance, "made_from": {"source": "photos"}})
    assert find_item_data(made, None, place / "features.npz")[0] is not None
    assert find_item_data(made, None, None)[0] is None


def test_a_named_data_set_must_have_some_of_the_samples(folder: Path) -> None:
    data = write_features(folder / "features.npz")
    item_data, said = find_item_data(data, str(folder), None)
    assert item_data is not None
    assert "100%" in said
    strangers = replace(data, ids=("w", "x", "y", "z"))
    with pytest.raises(DataError, match="has none of these samples"):
        find_item_data(strangers, str(folder), None)


def test_raw_items_show_themselves(raw_dataset: Dataset) -> None:
    assert find_item_data(raw_dataset, None, None) == (None, "")
    items = Items(raw_dataset)
    card = items.card(0, "image")
    assert card.picture is not None
    assert card.picture.shape == (64, 64, 3)
    texts = raw_dataset.columns["text"]
    assert isinstance(texts, Texts)
    assert items.card(0, "text").text == texts.items[0][0]


def test_a_picture_that_is_gone_gives_its_reason(raw_dataset: Dataset, tmp_path: Path) -> None:
    gone = replace(
        raw_dataset, columns={"image": Images([tmp_path / "gone.png"] * len(raw_dataset))}
    )
    assert Items(gone).card(0, "image").problem.startswith("gone.png: ")
    bare = replace(raw_dataset, columns={"image": Features(np.eye(len(raw_dataset)))})
    assert Items(bare).card(0, "image").problem == ""

"""XMediaNet in miniature: lists, raw files, rows of features; pairs that are none."""

from pathlib import Path

import numpy as np
import pytest

from commonspace.data import Features, Images, Texts
from commonspace.datasets import load_dataset
from commonspace.errors import DataError, FileFormatError

COUNTS = {"train": 24, "test": 12}


def save_lists(folder: Path, counts: dict[str, int] = COUNTS) -> Path:
    folder.mkdir(exist_ok=True)
    for split, count in counts.items():
        for short, suffix in (("img", "jpg"), ("txt", "txt")):
            lines = [
                f"class {row % 3}/{split} {row}.{suffix} {row % 3 + 1}" for row in range(count)
            ]
            (folder / f"{short}_{split}_list.txt").write_text("\n".join(lines) + "\n")
    return folder


def save_files(folder: Path, images: str = "image", texts: str = "text") -> Path:
    for split, count in COUNTS.items():
        for row in range(count):
            for base, suffix, content in (
                (images, "jpg", ""),
                (texts, "txt", f"Paragraph\n {row} of {split}.\n"),
            ):
                file = folder / base / f"class {row % 3}" / f"{split} {row}.{suffix}"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
    return folder


def save_features(folder: Path, counts: dict[str, int] = COUNTS) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in counts.items():
        for short, size in (("img", 5), ("txt", 3)):
            values = generator.normal(size=(count, size)).astype(np.float32)
            np.savetxt(folder / f"{short}_{split}_fea.txt", values)
            arrays[f"{short}_{split}"] = values
    return arrays


@pytest.mark.parametrize("bases", [("image", "text"), ("images", "texts"), ("", "")])
def test_raw_files(bases: tuple[str, str], tmp_path: Path) -> None:
    data = load_dataset(f"xmedianet:{save_files(save_lists(tmp_path), *bases)}")
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Images)
    assert isinstance(text, Texts)
    rows = [(split, row) for split, count in COUNTS.items() for row in range(count)]
    assert text.items == tuple((f"Paragraph {row} of {split}.",) for split, row in rows)
    assert [file.name for file in image.items if isinstance(file, Path)] == [
        f"{split} {row}.jpg" for split, row in rows
    ]
    assert data.labels.argmax(axis=1).tolist() == [row % 3 for _, row in rows]
    assert data.class_names == ("0", "1", "2")
    assert data.provenance["files"] == "images and texts"


def test_half_of_the_test_list_is_validation(tmp_path: Path) -> None:
    data = load_dataset(f"xmedianet:{save_files(save_lists(tmp_path))}", seed=1)
    assert (data.splits[:24] == "train").all()
    for k in range(3):
        own = data.splits[24:][data.labels[24:, k]].tolist()
        assert own.count("validation") == own.count("test") == 2
    assert "as in the paper (4000 and 4000)" in data.provenance["split"]


@pytest.mark.parametrize("spelled", ["val", "valid", "validation"])
def test_a_list_of_validation_is_kept(spelled: str, tmp_path: Path) -> None:
    counts = {"train": 24, spelled: 6, "test": 12}
    arrays = save_features(save_lists(tmp_path, counts), counts)
    data = load_dataset(f"xmedianet:{tmp_path}")
    assert [(data.splits == s).sum() for s in ("train", "validation", "test")] == [24, 6, 12]
    assert data.provenance["split"] == "as given"
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Features)
    assert isinstance(text, Features)
    validation = data.splits == "validation"
    np.testing.assert_allclose(image.values[validation], arrays[f"img_{spelled}"], rtol=1e-6)
    np.testing.assert_allclose(text.values[data.splits == "test"], arrays["txt_test"], rtol=1e-6)


def test_raw_files_and_features_are_split_alike(tmp_path: Path) -> None:
    raw, features = tmp_path / "raw", tmp_path / "features"
    save_files(save_lists(raw))
    save_features(save_lists(features))
    save_features(raw)
    first, second = load_dataset(f"xmedianet:{raw}"), load_dataset(f"xmedianet:{features}")
    assert isinstance(first.columns["image"], Images)
    assert isinstance(second.columns["image"], Features)
    assert first.ids == second.ids
    assert first.splits.tolist() == second.splits.tolist()


def test_an_image_of_several_pairs(tmp_path: Path) -> None:
    save_features(save_lists(tmp_path))
    file = tmp_path / "img_test_list.txt"
    file.write_text(file.read_text().replace("test 3.jpg", "test 0.jpg"))
    data = load_dataset(f"xmedianet:{tmp_path}")
    assert data.ids[24] == "class 0/test 0.jpg"
    assert data.ids[27] == "class 0/test 0.jpg#2"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("txt_test_list.txt", "test 2.txt 3", "test 2.txt 1", "class 3 and class 1 in line 3"),
        ("txt_train_list.txt", "class 0/train 0.txt 1\n", "", r"expected: 24 lines in txt_train"),
        ("img_train_list.txt", "train 4.jpg 2", "train 4.jpg 0", r"line 5, cannot be read"),
        ("img_train_list.txt", "train 4.jpg 2", "train 4.jpg", r"line 5, cannot be read"),
    ],
)
def test_lists_that_contradict(file: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    save_features(save_lists(tmp_path))
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    with pytest.raises(DataError, match=message):
        load_dataset(f"xmedianet:{tmp_path}")


def test_features_that_do_not_match_their_list(tmp_path: Path) -> None:
    save_features(save_lists(tmp_path))
    file = tmp_path / "img_test_fea.txt"
    whole = file.read_text()
    file.write_text("".join(whole.splitlines(keepends=True)[1:]))
    with pytest.raises(DataError, match=r"expected: \(12, 5\)(.|\n)*found: +\(11, 5\)"):
        load_dataset(f"xmedianet:{tmp_path}")
    file.write_text(whole.replace("e", "x", 1))
    with pytest.raises(FileFormatError, match=r"img_test_fea\.txt is corrupt"):
        load_dataset(f"xmedianet:{tmp_path}")
    file.unlink()
    with pytest.raises(DataError, match=r"img_test_fea\.txt"):
        load_dataset(f"xmedianet:{tmp_path}")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    save_files(save_lists(tmp_path))
    (tmp_path / "image" / "class 1" / "train 4.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 36 image files are missing(.|\n)*train 4\.jpg"):
        load_dataset(f"xmedianet:{tmp_path}")
    (tmp_path / "text" / "class 2" / "train 5.txt").write_text(" \n")
    data = load_dataset(f"xmedianet:{tmp_path}", partial=True)
    assert np.flatnonzero(~data.columns["image"].present).tolist() == [4]
    assert np.flatnonzero(~data.columns["text"].present).tolist() == [5]
    (tmp_path / "txt_test_list.txt").unlink()
    with pytest.raises(DataError, match=r"txt_test_list\.txt is missing(.|\n)*Peking University"):
        load_dataset(f"xmedianet:{tmp_path}")

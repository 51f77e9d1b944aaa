"""Folders of images with metadata: the convention, its variants, and what breaks it."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from commonspace.data import Images, Texts, check_images, drop_unreadable_images
from commonspace.data.formats.metadata import read_records
from commonspace.data.reading import WarningLog
from commonspace.datasets import load_dataset
from commonspace.errors import DataError, FileFormatError, SplitError

Line = dict[str, Any]
LINES: list[Line] = [
    {"file_name": "a.png", "text": "a cat", "label": "cat", "split": "train", "price": 1.5},
    {"file_name": "b.png", "text": ["a dog", "it barks"], "label": "dog", "split": "train"},
    {"file_name": "c.png", "text": None, "label": "dog", "split": "val", "price": 3},
    {"file_name": None, "text": "a cat", "label": ["cat", "dog"], "split": "test"},
    {"file_name": "e.png", "label": None, "split": "test"},
]


def make(folder: Path, lines: Sequence[Line | str], *, images: bool = True) -> Path:
    """Write metadata.jsonl, and a small image for each file_name."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "metadata.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")
    for line in lines:
        if images and isinstance(line, dict) and isinstance(line.get("file_name"), str):
            paint(folder / line["file_name"])
    return folder


def paint(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 2), (9, 8, 7)).save(path)


def test_every_column_of_the_convention(tmp_path: Path) -> None:
    data = load_dataset(make(tmp_path / "pets", LINES))
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Images)
    assert isinstance(text, Texts)
    assert data.name == "pets"
    assert data.ids == ("a.png", "b.png", "c.png", "line-4", "e.png")
    assert [None if p is None else str(p) for p in image.items] == [
        *(str(tmp_path / "pets" / name) for name in ("a.png", "b.png", "c.png")),
        None,
        str(tmp_path / "pets" / "e.png"),
    ]
    assert text.items == (("a cat",), ("a dog", "it barks"), (), ("a cat",), ())
    assert data.class_names == ("cat", "dog")
    assert data.labels.astype(int).tolist() == [[1, 0], [0, 1], [0, 1], [1, 1], [0, 0]]
    assert data.splits.tolist() == ["train", "train", "validation", "test", "test"]
    assert dict(data.fields) == {"price": [1.5, None, 3, None, None]}
    assert dict(data.provenance) == {
        "source": "pets",
        "format": "imagefolder",
        "keys": {"image": "file_name", "text": "text", "label": "label", "split": "split"},
        "split": "as given",
    }
    assert data.warnings == ()


def test_lines_of_one_image_are_one_sample(tmp_path: Path) -> None:
    lines = [
        {"file_name": "a.png", "text": "one", "label": "cat", "split": "train", "n": 1, "id": "i"},
        {"file_name": "b.png", "text": "two", "label": "cat", "split": "test", "n": 1, "id": "k"},
        {"file_name": "a.png", "text": "three", "label": "cat", "split": "train", "n": 2},
    ]
    data = load_dataset(make(tmp_path, lines))
    text = data.columns["text"]
    assert isinstance(text, Texts)
    assert text.items == (("one", "three"), ("two",))
    assert data.ids == ("i", "k")
    assert data.warnings[:1] == (
        "the field 'n' differs between lines of one image: the first was kept",
    )
    assert "have the one class 'cat'" in data.warnings[1]
    assert len(data.warnings) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "dog"}, r"line 3: a.png has two different labels\n  expected: .*cat.*line 1"),
        ({"split": "test"}, r"line 3: a.png has two different splits\n  expected: 'train'.*line 1"),
    ],
)
def test_lines_of_one_image_that_contradict(tmp_path: Path, change: Line, message: str) -> None:
    line = {"file_name": "a.png", "text": "one", "label": "cat", "split": "train"}
    other = {"file_name": "b.png", "text": "two", "label": "cat", "split": "test"}
    folder = make(tmp_path, [line, other, {**line, "text": "three", **change}])
    with pytest.raises(DataError, match=message):
        load_dataset(folder)
    data = load_dataset(folder, partial=True)
    assert len(data) == 2
    assert "line left out" in data.warnings[0]


def test_the_line_that_gave_the_label_is_named(tmp_path: Path) -> None:
    first = {"file_name": "a.png", "text": "one"}
    lines = [
        first,
        {**first, "label": "cat"},
        {**first, "split": "test"},
        {**first, "label": "dog", "split": "test"},
    ]
    message = r"line 4: a.png has two different labels\n  expected: .*cat.*, as in line 2"
    with pytest.raises(DataError, match=message):
        load_dataset(make(tmp_path, lines))
    with pytest.raises(DataError, match=r"two different splits\n  expected: 'test', as in line 3"):
        load_dataset(make(tmp_path, [*lines[:3], {**first, "split": "train"}]))


def test_a_further_line_needs_the_image_and_a_text_alone(tmp_path: Path) -> None:
    """What a line does not say is taken from the other lines of its image, in any order."""
    lines: list[Line | str] = [
        {"file_name": "b.png", "text": "zero"},
        {"file_name": "a.png", "text": "one", "label": "cat", "split": "test", "id": "i"},
        {"file_name": "b.png", "text": "two", "label": ["dog", "cat"], "split": "train", "id": "k"},
        {"file_name": str(tmp_path / "a.png"), "text": "three"},
        {"file_name": "./b.png", "text": "four", "label": ["cat", "dog"]},
        {"file_name": "a.png", "text": "five", "id": "other"},
    ]
    data = load_dataset(make(tmp_path, lines))
    text = data.columns["text"]
    assert isinstance(text, Texts)
    assert text.items == (("zero", "two", "four"), ("one", "three", "five"))
    assert data.ids == ("k", "a.png")  # two ids name one image
    assert data.splits.tolist() == ["train", "test"]
    assert data.labels.astype(int).tolist() == [[1, 1], [1, 0]]


def test_numbers_are_labels_and_csv_is_typed(tmp_path: Path) -> None:
    for name in "abc":
        paint(tmp_path / f"{name}.png")
    with (tmp_path / "metadata.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "text", "label", "split", "count", "size", "code", "id"])
        writer.writerow(["a.png", 'red, "bright"', 10, "train", 3, 0.5, "007", 1])
        writer.writerow(["b.png", "two\nlines", 2, "train", "", 2, "123", 2])
        writer.writerow(["c.png", "", 10, "test", 5, "1e3", "456", 3])
    data = load_dataset(tmp_path)
    text = data.columns["text"]
    assert isinstance(text, Texts)
    assert text.items == (('red, "bright"',), ("two\nlines",), ())
    assert data.class_names == ("2", "10")
    assert dict(data.fields) == {
        "count": [3, None, 5],
        "size": [0.5, 2.0, 1000.0],
        "code": ["007", "123", "456"],
    }
    assert data.ids == ("1", "2", "3")
    assert load_dataset(tmp_path / "metadata.csv").fingerprint == data.fingerprint


def test_splits_by_folder_with_metadata_in_each(tmp_path: Path) -> None:
    make(tmp_path / "train", [{"file_name": "1.png", "text": "x", "label": "a"}])
    make(tmp_path / "test", [{"file_name": "1.png", "text": "y", "label": "a"}])
    data = load_dataset(tmp_path)
    assert data.ids == ("test/1.png", "train/1.png")
    assert data.splits.tolist() == ["test", "train"]


def test_splits_by_folder_with_one_metadata_file(tmp_path: Path) -> None:
    names = ("train/1.png", "train/2.png", "val/1.png", "test/1.png")
    lines = [{"file_name": name, "text": "x", "label": "a"} for name in names]
    data = load_dataset(make(tmp_path, lines))
    assert data.splits.tolist() == ["train", "train", "validation", "test"]


def test_without_splits_they_are_drawn_and_groups_stay_whole(tmp_path: Path) -> None:
    lines = [
        {"file_name": f"{row}.png", "text": "x", "label": "ab"[row % 2], "group": row // 4}
        for row in range(80)
    ]
    folder = make(tmp_path, lines)
    data = load_dataset(folder, seed=3)
    assert data.provenance["split"] == "drawn: stratified, grouped, seed 3"
    for start in range(0, 80, 4):
        assert len(set(data.splits[start : start + 4].tolist())) == 1
    assert [(data.splits == s).sum() for s in ("train", "validation", "test")] == [56, 8, 16]
    assert load_dataset(folder, seed=3).fingerprint == data.fingerprint
    assert load_dataset(folder, seed=4).fingerprint != data.fingerprint


def test_a_missing_image_is_named_with_its_line(tmp_path: Path) -> None:
    folder = make(tmp_path, LINES)
    (folder / "b.png").unlink()
    with pytest.raises(DataError, match=r"1 image file is missing\n.*\n.*b.png .*jsonl, line 2"):
        load_dataset(folder)
    data = load_dataset(folder, partial=True)
    assert data.columns["image"].present.tolist() == [True, False, True, False, True]
    assert "b.png" in data.warnings[0]
    (folder / "e.png").unlink()  # this one has no text either: nothing is left of the sample
    data = load_dataset(folder, partial=True)
    assert data.ids == ("a.png", "b.png", "c.png", "line-4")
    assert "1 sample left out" in data.warnings[1]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"file_name": "a.png", "te', "Unterminated string"),
        ("[1, 2]", "a JSON array"),
        ("3", "a JSON int"),
        ('{"file_name": 3}', "3"),
        ('{"file_name": "a.png", "text": {"en": "x"}}', "{'en': 'x'}"),
        ('{"file_name": "a.png", "label": [["x"]]}', r"\[\['x'\]\]"),
        ('{"file_name": "a.png", "label": 0.5}', "0.5"),
        ('{"file_name": "a.png", "split": 1}', "1"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, found: str) -> None:
    folder = make(tmp_path, [*LINES, "", line])
    with pytest.raises(FileFormatError, match=r"metadata.jsonl, line 7[^0-9]") as caught:
        load_dataset(folder)
    assert caught.match(f"found:    {found}")
    data = load_dataset(folder, partial=True)
    assert len(data) == 5
    assert len(data.warnings) == 1
    assert "line left out" in data.warnings[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file_name,text\na.png,x\nb.png\n", r"line 3, .*\n  expected: 2 values.*\n  found:    1"),
        ('file_name,text\na.png,"x\n', "line 2, cannot be read"),
    ],
)
def test_a_damaged_csv_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        load_dataset(tmp_path)


def test_metadata_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match=r"metadata.jsonl.*\n.*UTF-8"):
        load_dataset(tmp_path)


def test_two_metadata_files_are_one_too_many(tmp_path: Path) -> None:
    make(tmp_path, LINES)
    (tmp_path / "metadata.csv").write_text("file_name\n")
    with pytest.raises(DataError, match="two metadata files"):
        load_dataset(tmp_path)


def test_an_empty_metadata_file_holds_no_sample(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").touch()
    with pytest.raises(DataError, match="holds no sample"):
        load_dataset(tmp_path)


def test_a_label_that_train_lacks_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path, [*LINES, {"file_name": "f.png", "label": "owl", "split": "test"}])
    with pytest.raises(SplitError, match=r"test of .* holds the label 'owl'"):
        load_dataset(folder)
    data = load_dataset(folder, partial=True)
    assert len(data) == 6
    assert "'owl'" in data.warnings[0]


def test_a_class_of_one_sample_cannot_be_divided(tmp_path: Path) -> None:
    lines = [{"file_name": f"{row}.png", "label": "cat"} for row in range(10)]
    folder = make(tmp_path, [*lines, {"file_name": "z.png", "label": "owl"}])
    with pytest.raises(SplitError, match=r"'owl' .* cannot be divided\n.*\n  found:    one sample"):
        load_dataset(folder)
    data = load_dataset(folder, partial=True)
    assert data.splits[10] == "train"
    assert "in train only" in data.warnings[0]


@pytest.mark.parametrize(("split", "empty"), [("train", "test"), ("test", "train")])
def test_an_empty_split_is_named(tmp_path: Path, split: str, empty: str) -> None:
    lines = [{"file_name": f"{row}.png", "label": "cat", "split": split} for row in range(10)]
    folder = make(tmp_path, lines)
    with pytest.raises(SplitError, match=f"the split '{empty}' of"):
        load_dataset(folder)
    assert len(load_dataset(folder, partial=True)) == 10


def test_train_and_validation_alone_leave_test_empty(tmp_path: Path) -> None:
    lines = [
        {"file_name": f"{row}.png", "label": "cat", "split": "train" if row else "dev"}
        for row in range(10)
    ]
    data = load_dataset(make(tmp_path, lines))
    assert (data.splits == "train").sum() == 9
    with pytest.raises(SplitError, match="'test'"):
        data.split("test")


def test_a_split_of_unknown_name_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path, [*LINES, {"file_name": "f.png", "label": "cat", "split": "holdout"}])
    with pytest.raises(SplitError, match=r"1 row of no known split\n.*\n.*'holdout' .*'f.png'"):
        load_dataset(folder)
    assert len(load_dataset(folder, partial=True)) == 5


def test_given_splits_that_divide_a_group_are_noted(tmp_path: Path) -> None:
    lines = [{**line, "group": 1} for line in LINES]
    data = load_dataset(make(tmp_path, lines))
    assert "1 group of" in data.warnings[0]


def test_unreadable_images_are_listed(tmp_path: Path) -> None:
    folder = make(tmp_path, LINES)
    assert check_images(load_dataset(folder)) == []
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:50])
    (folder / "e.png").write_text("no image")
    problems = check_images(load_dataset(folder))
    assert [problem.split(":")[0] for problem in problems] == ["sample 'b.png'", "sample 'e.png'"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
records = st.lists(
    st.dictionaries(st.sampled_from(["text", "label", "split", "id", "x"]), json_values),
    max_size=5,
)


@given(drawn=records)
@settings(deadline=None, max_examples=80)
def test_any_json_comes_back_or_is_refused_politely(
    drawn: list[Line], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("json") / "metadata.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in drawn), encoding="utf-8")
    read = read_records(path, WarningLog(partial=False))
    assert [number for number, _ in read] == list(range(1, len(drawn) + 1))
    assert repr([record for _, record in read]) == repr(drawn)
    for partial in (False, True):
        try:
            data = load_dataset(path, partial=partial)
        except DataError:
            continue
        assert np.isin(data.splits, ["train", "validation", "test"]).all()


@given(rows=st.lists(st.lists(st.text("ab ,\"'\r\nä\u2028", max_size=6), min_size=3, max_size=3)))
@settings(deadline=None, max_examples=60)
def test_csv_cells_come_back(
    rows: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "metadata.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file_name", "text", "x"], *rows])
    read = read_records(path, WarningLog(partial=False))
    cells = [[record[name] or "" for name in ("file_name", "text", "x")] for _, record in read]
    assert cells == rows


def test_odd_file_names_are_missing_files_not_crashes(tmp_path: Path) -> None:
    for name in ("x" * 5000, "a\0b"):
        lines = [{"file_name": f"{s}{name}", "split": s} for s in ("train", "val", "test")]
        with pytest.raises(DataError, match="3 image files are missing"):
            load_dataset(make(tmp_path, lines, images=False))


def test_half_a_surrogate_pair_has_a_fingerprint(tmp_path: Path) -> None:
    lines = [
        {"id": f"\ud800{s}", "text": "\udfff", "label": "\ud801", "split": s}
        for s in ("train", "val", "test")
    ]
    data = load_dataset(make(tmp_path, lines, images=False))
    assert data.fingerprint == load_dataset(tmp_path).fingerprint


def test_unreadable_images_are_dropped_and_named(tmp_path: Path) -> None:
    folder = make(
        tmp_path / "set", [*LINES, {"file_name": "f.png", "label": "cat", "split": "test"}]
    )
    given = load_dataset(folder)
    assert drop_unreadable_images(given) is given
    for name in ("b.png", "f.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:40])
    kept = drop_unreadable_images(load_dataset(folder))
    assert kept.ids == tuple(name for name in given.ids if name != "f.png")  # it had no text
    assert kept.columns["image"].present.tolist() == [True, False, True, False, True]
    assert kept.columns["text"].present.tolist() == [True, True, False, True, False]
    assert kept.labels.tolist() == given.labels[:5].tolist()
    named, also, left_out = kept.warnings
    assert "b.png is corrupt" in named
    assert named.endswith("it has no image")
    assert "f.png is corrupt" in also
    assert left_out == "samples left without any modality: 1, left out"


def test_a_key_of_another_name_is_noted(tmp_path: Path) -> None:
    lines = [
        {"file_name": f"{n}.png", "caption": "a cat", "label": "ab"[n % 2], "image": "x"}
        for n in range(6)
    ]
    folder = make(tmp_path / "set", lines)
    (note,) = load_dataset(folder).warnings
    assert note == (
        f"{folder}: no line has 'text', but 'caption': rename it if meant so,"
        " or give --modality text=caption"
    )
    assert load_dataset(folder, modalities={"text": "caption"}).columns["text"].present.all()
    assert load_dataset(f"{folder}?text=caption").columns["text"].present.all()
    lines[0]["text"] = "a cat"
    assert load_dataset(make(folder, lines)).warnings == ()


def test_a_line_with_several_photos_is_one_sample_for_each(tmp_path: Path) -> None:
    lines: list[Line] = [
        {"id": "m1", "photos": ["a.png", "b.png", "a.png"], "text": "a mug", "label": "mug"},
        {"id": "m2", "photos": "c.png", "text": "a cup", "label": "mug"},
        {"photos": ["d.png", "e.png"], "text": ["a hat", "a cap"], "label": "hat", "price": 3},
        {"id": "m4", "photos": [], "text": "no photo", "label": "hat"},
    ]
    folder = make(tmp_path / "shop", lines, images=False)
    for name in "abcde":
        paint(folder / f"{name}.png")
    data = load_dataset(folder, need_splits=False)
    image, text = data.columns["image"], data.columns["text"]
    assert isinstance(image, Images)
    assert isinstance(text, Texts)
    assert data.ids == ("m1", "m1#2", "m2", "d.png", "e.png", "m4")
    assert [p if p is None else Path(str(p)).name for p in image.items] == [
        *("a.png", "b.png", "c.png", "d.png", "e.png"),
        None,
    ]
    two = ("a hat", "a cap")
    assert text.items == (("a mug",), ("a mug",), ("a cup",), two, two, ("no photo",))
    assert data.fields["item_group"] == ["m1", "m1", None, "d.png", "d.png", None]
    assert data.fields["price"] == [None, None, None, 3, 3, None]
    assert data.provenance["keys"]["image"] == "photos"
    assert not data.warnings


def test_photos_of_one_line_are_in_one_split(tmp_path: Path) -> None:
    lines: list[Line] = [
        {"id": str(n), "file_name": [f"{n}-{k}.png" for k in range(3)], "label": "xy"[n % 2]}
        for n in range(20)
    ]
    folder = make(tmp_path / "shop", lines, images=False)
    for line in lines:
        for name in line["file_name"]:
            paint(folder / name)
    data = load_dataset(folder)
    assert len(data) == 60
    splits = data.splits.reshape(20, 3)
    assert (splits == splits[:, :1]).all()
    assert set(splits[:, 0]) == {"train", "validation", "test"}


@pytest.mark.parametrize("column", ["file_name", "file_names", "photos", "images"])
def test_lists_of_photos_in_a_table(column: str, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    for name in "abc":
        paint(folder / f"{name}.png")
    rows = [[column, "text"], ['["a.png", "b.png"]', "one"], ["c.png", "two"], ["", "three"]]
    with (folder / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    data = load_dataset(folder, need_splits=False)
    assert data.ids == ("a.png", "b.png", "c.png", "line-4")
    assert data.fields["item_group"] == ["a.png", "a.png", None, None]

"""Parquet files of other programs: lists, nulls, several labels."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from commonspace.data import Features, Images, Texts
from commonspace.datasets import load_dataset
from commonspace.errors import DataError


def test_parquet_as_others_write_it(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    columns: dict[str, Any] = {
        "image": [[1.0, 2.0], None, [3.0, 4.0], [5.0, 6.0]],
        "text": pa.array([["a cat", "it sits"], ["a dog"], None, []]),
        "label": pa.array(["cat", "dog", None, "cat"]).dictionary_encode(),
        "split": ["train", "train", "val", "test"],
        "price": pa.array([1, None, 3, 4]),
        "shop": ["x", None, "y", "z"],
        "when": pa.array([0, 0, 0, 0], pa.timestamp("ms")),
        "where": pa.array([[("x", 1)]] * 4, pa.map_(pa.string(), pa.int64())),
    }
    pq.write_table(pa.table(columns), path, row_group_size=2)
    read = load_dataset(path)
    image, text = read.columns["image"], read.columns["text"]
    assert isinstance(image, Features)
    assert isinstance(text, Texts)
    assert image.values.tolist() == [[1, 2], [0, 0], [3, 4], [5, 6]]
    assert image.present.tolist() == [True, False, True, True]
    assert text.items == (("a cat", "it sits"), ("a dog",), (), ())
    assert read.class_names == ("cat", "dog")
    assert read.labels.astype(int).tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]
    assert dict(read.fields) == {
        "price": [1, None, 3, 4],
        "shop": ["x", None, "y", "z"],
        "when": ["1970-01-01 00:00:00"] * 4,
    }
    (warning,) = read.warnings
    assert warning.startswith(f"{path}: column 'where' of type map<string, int64")
    assert warning.endswith("is not used")


def test_parquet_lists_that_differ_in_length_name_the_row(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": [[1.0, 2.0], None, [3.0]]}), path)
    with pytest.raises(DataError, match="found:    1 in row 2"):
        load_dataset(path)


def test_parquet_null_inside_a_vector_is_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": [[1.0, 2.0], [None, 2.0]]}), path)
    with pytest.raises(DataError, match="nan in row 1, column 0"):
        load_dataset(path)


def test_parquet_several_labels(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    labels = [["sky", "sea"], ["sea"], [], ["sky"]]
    table = {"image": [[1.0]] * 4, "label": labels, "split": ["train", "train", "val", "test"]}
    pq.write_table(pa.table(table), path)
    read = load_dataset(path)
    assert read.class_names == ("sea", "sky")
    assert read.labels.astype(int).tolist() == [[1, 1], [1, 0], [0, 0], [0, 1]]


def test_one_hot_decimal_and_truth_value_labels(tmp_path: Path) -> None:
    image = [[float(row), 1.0] for row in range(30)]
    marks = [[int(row % 3 == k) for k in range(3)] for row in range(30)]
    labels = {
        "marks": pa.array(marks),
        "floats": pa.array(marks, pa.list_(pa.float32())),
        "decimal": pa.array([row % 3 for row in range(30)], pa.decimal128(5, 0)),
    }
    for name, label in labels.items():
        pq.write_table(pa.table({"image": image, "label": label}), tmp_path / f"{name}.parquet")
        data = load_dataset(tmp_path / f"{name}.parquet")
        assert data.class_names == ("0", "1", "2")
        assert data.labels.astype(int).tolist() == marks
    truth = [row % 3 == 0 for row in range(30)]
    pq.write_table(pa.table({"image": image, "label": truth}), tmp_path / "truth.parquet")
    assert load_dataset(tmp_path / "truth.parquet").class_names == ("False", "True")


def test_images_of_another_name_are_named_and_mapped(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (4, 3), (9, 0, 0)).save(stream, "png")
    images = [{"bytes": stream.getvalue(), "path": None}] * 30
    table = pa.table({"jpg": images, "caption": ["a"] * 30, "cls": [row % 3 for row in range(30)]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no key that is a modality"):
        load_dataset(tmp_path / "a.parquet")
    for name in ("image", "photo"):
        mapped = {name: "jpg", "text": "caption"}
        data = load_dataset(tmp_path / "a.parquet", modalities=mapped, label="cls")
        assert isinstance(data.columns[name], Images)
        assert data.columns[name].present.all()
    data = load_dataset(tmp_path / "a.parquet", modalities={"text": "caption"})
    assert "'jpg' holds images and is not used" in data.warnings[0]
    assert "jpg" not in data.fields


def test_an_arrow_file(tmp_path: Path) -> None:
    table = pa.table({"image": [[1.0, 2.0]] * 30, "label": [row % 3 for row in range(30)]})
    with (
        pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as writer,
    ):
        writer.write_table(table)
    assert load_dataset(tmp_path / "a.arrow").class_names == ("0", "1", "2")

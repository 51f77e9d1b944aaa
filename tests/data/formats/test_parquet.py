"""Parquet files of other programs: lists, nulls, several labels."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commonspace.data import Features, Texts
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
    assert dict(read.fields) == {"price": [1, None, 3, 4], "shop": ["x", None, "y", "z"]}
    assert read.warnings == (f"{path}: column 'when' of type timestamp[ms] is not used",)


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

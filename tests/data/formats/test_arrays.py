"""Named arrays: what each key means, and what is said when rows or values are wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.data.assemble import Table
from commonspace.data.columns import Features, Texts
from commonspace.data.formats.arrays import table_from_arrays
from commonspace.data.reading import WarningLog
from commonspace.datasets import load_dataset
from commonspace.errors import DataError

IMAGE = np.arange(12, dtype=np.float64).reshape(4, 3)
TEXT = np.arange(8, dtype=np.float32).reshape(4, 2)
LABEL = np.array([0, 1, 1, 0])


def read(**arrays: NDArray[Any]) -> tuple[Table, list[str]]:
    warnings = WarningLog(partial=False)
    return table_from_arrays(arrays, source="x.npz", warnings=warnings), warnings.sentences


def read_partly(**arrays: NDArray[Any]) -> tuple[Table, list[str]]:
    warnings = WarningLog(partial=True)
    return table_from_arrays(arrays, source="x.npz", warnings=warnings), warnings.sentences


def values(table: Table, name: str) -> list[list[float]]:
    column = table.columns[name]
    assert isinstance(column, Features)
    assert column.values.dtype == np.float32
    rows: list[list[float]] = column.values.tolist()
    return rows


def test_plain_keys() -> None:
    table, notes = read(
        image=IMAGE,
        text=TEXT,
        label=LABEL,
        class_names=np.array(["cat", "dog"]),
        split=np.array(["train", "val", "test", "train"]),
        id=np.array(["a", "b", "c", "d"]),
        group=np.array([7, 7, 8, 9]),
        price=np.array([1.5, 2, 3, 4]),
        shop=np.array([b"x", b"y", b"x", b"y"]),
    )
    assert values(table, "image") == IMAGE.tolist()
    assert values(table, "text") == TEXT.tolist()
    assert table.labels.argmax(axis=1).tolist() == LABEL.tolist()
    assert table.class_names == ("cat", "dog")
    assert table.splits == ["train", "val", "test", "train"]
    assert table.ids == ["a", "b", "c", "d"]
    assert table.groups == [7, 7, 8, 9]
    assert dict(table.fields) == {
        "group": [7, 7, 8, 9],
        "price": [1.5, 2.0, 3.0, 4.0],
        "shop": ["x", "y", "x", "y"],
    }
    assert notes == []


def test_a_file_of_splits_is_the_same_as_one_with_a_split_key() -> None:
    whole, _ = read(
        image=IMAGE, text=TEXT, label=LABEL, split=np.array(["train", "train", "test", "test"])
    )
    for keys in (
        ("img_train", "txt_train", "label_train", "img_test", "txt_test", "label_test"),
        ("train_img", "train_txt", "train_img_lab", "test_img", "test_txt", "test_img_lab"),
        ("image_train", "text_train", "labels_train", "image_test", "text_test", "labels_test"),
    ):
        parts: list[NDArray[Any]] = [
            IMAGE[:2],
            TEXT[:2],
            LABEL[:2, None],
            IMAGE[2:],
            TEXT[2:],
            LABEL[2:, None],
        ]
        table, _ = read(**dict(zip(keys, parts, strict=True)))
        assert table.splits == whole.splits
        assert list(table.columns) == ["image", "text"]
        assert values(table, "image") == values(whole, "image")
        assert values(table, "text") == values(whole, "text")
        assert (table.labels == whole.labels).all()
        assert table.ids == ["train-0", "train-1", "test-0", "test-1"]


def test_any_number_of_modalities_in_the_order_of_the_file() -> None:
    table, _ = read(zebra=IMAGE, giraffe=TEXT, lion=IMAGE)
    assert list(table.columns) == ["zebra", "giraffe", "lion"]
    table, notes = read(audio=IMAGE, giraffe=TEXT, image=IMAGE)
    assert list(table.columns) == ["audio", "image"]
    assert "'giraffe'" in notes[0]
    assert "--modality NAME=KEY" in notes[0]
    table, notes = read(giraffe=TEXT, image=IMAGE)
    assert list(table.columns) == ["giraffe", "image"]
    assert notes == [
        "x.npz: 'giraffe' taken as a modality, because 'image' is the only key of a usual name"
    ]
    table, _ = read(zebra=IMAGE, giraffe=TEXT, lion=IMAGE)
    assert table.splits is None
    assert table.labels.shape == (4, 0)


def test_the_first_key_of_distinct_ids_names_the_samples() -> None:
    table, _ = read(image=IMAGE, image_id=np.array(list("aabc")), text_id=np.array(list("wxyz")))
    assert table.ids == ["w", "x", "y", "z"]
    assert table.fields["image_id"] == ["a", "a", "b", "c"]


def test_texts_are_strings_under_the_name_text() -> None:
    table, _ = read(image=IMAGE, text=np.array(["a cat", "", "a dog", "one more"]))
    column = table.columns["text"]
    assert isinstance(column, Texts)
    assert column.items == (("a cat",), (), ("a dog",), ("one more",))


def test_facts_about_the_file_are_noted_not_refused() -> None:
    _, notes = read(image=IMAGE, mean=np.zeros(3), date=np.array("2020"))
    assert [note.split("'")[1] for note in notes] == ["mean", "date"]


def test_rows_that_do_not_match_name_the_odd_one_out() -> None:
    with pytest.raises(DataError, match="4 rows in 'text', as in 'image', 'label'") as caught:
        read(image=IMAGE, text=TEXT[:3], label=LABEL)
    assert caught.match("found:    3")
    table, sentences = read_partly(image=IMAGE, text=TEXT[:3], label=LABEL)
    assert list(table.columns) == ["image"]
    assert len(sentences) == 1
    assert "'text' left out" in sentences[0]
    with pytest.raises(DataError, match="4 rows in 'label'"):
        read(image=IMAGE, text=TEXT, label=LABEL[:3])


def test_a_split_that_lacks_a_modality_is_named() -> None:
    arrays: dict[str, NDArray[Any]] = {"image_train": IMAGE, "text_train": TEXT, "text_test": TEXT}
    with pytest.raises(DataError, match="key 'image_test' is missing"):
        read(**arrays)
    table, sentences = read_partly(**arrays)
    assert table.columns["image"].present.tolist() == [True] * 4 + [False] * 4
    assert "the 4 rows of test have no image" in sentences[0]


def test_a_split_that_lacks_labels_is_named() -> None:
    arrays: dict[str, NDArray[Any]] = {
        "image_train": IMAGE,
        "label_train": LABEL,
        "image_val": IMAGE,
    }
    with pytest.raises(DataError, match="key 'label_validation' is missing"):
        read(**arrays)
    table, _ = read_partly(**arrays)
    assert table.labels.any(axis=1).tolist() == [True] * 4 + [False] * 4


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": IMAGE, "img": IMAGE + 1}, "'image' and 'img'"),
        ({"image": IMAGE, "text_train": TEXT}, "'image' beside 'text_train'"),
        ({"image_train": IMAGE, "image_test": IMAGE[:, :2]}, "expected: \\(rows, 3\\) numbers"),
        ({"image_train": IMAGE, "label_train": LABEL, "image_val": IMAGE,
          "label_val": np.array(list("abcd"))}, "another form in each split"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(arrays: dict[str, NDArray[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(**arrays)


def test_one_row_is_a_data_set_too() -> None:
    table, _ = read(image=IMAGE[:1], label=np.array([[0, 1, 1]]), id=np.array([["a"]]))
    assert table.labels.tolist() == [[False, True, True]]
    assert table.ids == ["a"]


def test_lists_that_matlab_made_rows_or_columns() -> None:
    for shape in ((1, 4), (4, 1)):
        table, _ = read(image=IMAGE, label=LABEL.reshape(shape), id=np.arange(4).reshape(shape))
        assert table.labels.argmax(axis=1).tolist() == LABEL.tolist()
        assert table.ids == ["0", "1", "2", "3"]


def odd(draw: np.random.Generator) -> dict[str, tuple[dict[str, NDArray[Any]], str]]:
    """Return keys that are easily written wrongly, each with a part of the problem it gets."""
    return {
        "numbers as strings": (
            {"image": draw.normal(size=(30, 4)).astype(str)},
            "'image' holds several strings in each row",
        ),
        "one number a sample": ({"image": draw.normal(size=30)}, "'image', float64 of shape (30,)"),
        "no sample present": ({"image_present": np.zeros(30, bool)}, "no sample has 'image'"),
        "a mask of floats": ({"image_present": draw.normal(size=30)}, "'image_present' is no mask"),
        "a mask of words": ({"image_present": np.array(["yes", "no"] * 15)}, "is no mask"),
    }


@pytest.mark.parametrize("name", odd(np.random.default_rng(0)))
def test_keys_that_are_easily_written_wrongly_are_named(name: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    changes, problem = odd(draw)[name]
    arrays: dict[str, Any] = {"image": draw.normal(size=(30, 4)), "text": np.ones((30, 3))}
    np.savez(tmp_path / "x.npz", label=np.arange(30) % 3, **(arrays | changes))
    data = load_dataset(tmp_path / "x.npz", partial=True)
    assert len(data) == 30
    assert any(problem in warning for warning in data.warnings), data.warnings


def test_a_mask_of_ones_and_zeros_is_one(tmp_path: Path) -> None:
    here = np.arange(30) % 2
    arrays: dict[str, Any] = {"image": np.ones((30, 4)), "text": np.ones((30, 3))}
    arrays |= {"label": np.arange(30) % 3, "image_present": here.astype(float)}
    np.savez(tmp_path / "x.npz", **arrays)
    data = load_dataset(tmp_path / "x.npz")
    np.testing.assert_array_equal(data.columns["image"].present, here == 1)

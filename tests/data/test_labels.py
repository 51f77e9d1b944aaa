"""Labels: every spelling of the same labels reads the same; what is no label is named."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.data.labels import decode_labels, labels_from_names, no_labels
from commonspace.data.reading import WarningLog
from commonspace.errors import DataError

NAMES = ["cat", "dog", "owl"]
MARKS = [[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 0, -1, 2]),
        np.array([1, 0, -1, 2], dtype=np.int8),
        np.array([[1], [0], [-1], [2]]),
        np.array([1.0, 0.0, np.nan, 2.0]),
        np.array([2, 1, -1, 3]),  # from 1, as in MATLAB
        np.array([[2.0], [1.0], [-1.0], [3.0]]),
        np.array(["dog", "cat", "", "owl"]),
        np.array([b"dog", b"cat", b"", b"owl"]),
        np.array([["dog"], ["cat"], [""], ["owl"]]),
        np.array(["dog", "cat", None, "owl"], dtype=object),
        np.array(MARKS),
        np.array(MARKS, dtype=bool),
        np.where(np.array(MARKS).any(axis=1, keepdims=True), np.array(MARKS, float), np.nan),
    ],
    ids=lambda values: f"{values.dtype}{values.shape}",
)
def test_every_spelling_reads_the_same(values: np.ndarray[Any, Any]) -> None:
    labels, names = decode_labels(values, NAMES, "label")
    assert labels.dtype == bool
    assert labels.astype(int).tolist() == MARKS
    assert names == tuple(NAMES)


def test_from_zero_wins_where_both_fit() -> None:
    labels, _ = decode_labels(np.array([1, 2, 1]), NAMES, "label")
    assert labels.argmax(axis=1).tolist() == [1, 2, 1]


def test_numbers_without_names_are_their_own_names_in_order_of_value() -> None:
    labels, names = decode_labels(np.array([10, 2, 10, -1]), None, "label")
    assert names == ("2", "10")
    assert labels.astype(int).tolist() == [[0, 1], [1, 0], [0, 1], [0, 0]]
    assert decode_labels(np.array(["10", "2"]), None, "label")[1] == ("2", "10")
    assert decode_labels(np.array(["b10", "a2", "b2"]), None, "label")[1] == ("a2", "b10", "b2")


def test_several_strings_in_a_row() -> None:
    labels, names = decode_labels(np.array([["sea", "sky"], ["sea", ""], ["", ""]]), None, "label")
    assert names == ("sea", "sky")
    assert labels.astype(int).tolist() == [[1, 1], [1, 0], [0, 0]]


@given(st.lists(st.sets(st.sampled_from(["a", "b", "c", "11", "2"])), max_size=30))
@settings(deadline=None, max_examples=60)
def test_lists_of_names_match_a_plain_loop(rows: list[set[str]]) -> None:
    labels, names = labels_from_names([tuple(row) for row in rows], None, "label")
    assert set(names) == set().union(*rows)
    assert len(labels) == len(rows)
    for row, marks in zip(rows, labels, strict=True):
        assert {name for name, mark in zip(names, marks, strict=True) if mark} == row


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        (np.array([0, 1, 3, 0]), NAMES, "found:    3 in row 2"),
        (np.array([0, 4, 1]), NAMES, "found:    4 in row 1"),
        (np.array([0.5, 1]), None, "found:    0.5 in row 0"),
        (np.array([0, np.inf]), None, "found:    inf in row 1"),
        (np.array([0, -2]), None, "found:    -2 in row 1"),
        (np.array(["cat", "cow"]), NAMES, "found:    'cow' in row 1"),
        (np.array([[0, 1], [2, 0]]), None, "found:    2 in row 1, column 0"),
        (np.array([[0, np.nan], [1, 0]]), None, "found:    nan in row 0, column 1"),
        (np.array([[0, 1], [1, 0]]), NAMES, "expected: 2 class names"),
        (np.zeros((2, 2, 2)), None, "shape \\(2, 2, 2\\)"),
        (np.array([1j]), None, "complex128"),
        (np.array([0]), ["a", "a"], "distinct names"),
        (np.array([0]), ["a", ""], "distinct names"),
        (np.array([b"\xff"]), None, "expected: UTF-8"),
    ],
)
def test_what_is_no_label_is_named(
    values: np.ndarray[Any, Any], names: list[str] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        decode_labels(values, names, "label")


@pytest.mark.parametrize(
    "values",
    [np.array([2, 0]), np.array([1.0]), np.array(["a"]), np.eye(3), np.array([7], np.uint8)],
)
def test_no_labels_reads_as_unlabeled(values: np.ndarray[Any, Any]) -> None:
    rows = np.concatenate([values, no_labels(values, 2)])
    labels, names = decode_labels(rows, None, "label")
    alone, alone_names = decode_labels(values, None, "label")
    assert names == alone_names
    assert (labels[:-2] == alone).all()
    assert not labels[-2:].any()


@pytest.mark.parametrize(
    "rows",
    [
        MARKS,
        [tuple(row) for row in MARKS],
        [np.array(row) for row in MARKS],
        [[float(mark) for mark in row] for row in MARKS],
        [[bool(mark) for mark in row] for row in MARKS],
        [str(row) for row in MARKS],
        ["[0. 1. 0.]", "[1. 0. 0.]", None, "[0. 0. 1.]"],
        [[0, 1, 0], [1, 0, 0], [], [0, 0, 1]],
    ],
    ids=str,
)
def test_lists_of_marks_are_rows_of_a_matrix(rows: list[Any]) -> None:
    labels, names = labels_from_names(rows, None, "label")
    assert labels.astype(int).tolist() == MARKS
    assert names == ("0", "1", "2")
    assert labels_from_names(rows, NAMES, "label")[1] == tuple(NAMES)


@pytest.mark.parametrize("rows", [[["0", "1"], ["1"]], [[0, 1], [1]], [[1, 2], [0, 1]], [[0], [1]]])
def test_other_lists_of_numbers_are_classes(rows: list[Any]) -> None:
    labels, names = labels_from_names(rows, None, "label")
    for row, marks in zip(rows, labels, strict=True):
        assert {name for name, mark in zip(names, marks, strict=True) if mark} == set(map(str, row))


def test_large_whole_numbers_and_truth_values_are_classes() -> None:
    for dtype, large in ((np.int64, 2**60), (np.uint64, 2**63)):
        values = np.array([large + 1, large, large + 1], dtype=dtype)
        labels, names = decode_labels(values, None, "label")
        assert names == (str(large), str(large + 1))
        assert labels.argmax(axis=1).tolist() == [1, 0, 1]
    assert decode_labels(np.array([True, False]), None, "label")[1] == ("False", "True")
    assert decode_labels(np.array([True, True]), None, "label")[1] == ("True",)


def test_strings_of_digits_are_indices_of_other_class_names() -> None:
    for values in (["1", "0", "2"], ["1", "", "2"], ["2", "1", "3"]):
        labels, names = decode_labels(np.array(values), NAMES, "label")
        assert names == tuple(NAMES)
        assert labels.argmax(axis=1).tolist() == [1, 0, 2]
    labels, _ = decode_labels(np.array(["2", "1"]), ["1", "2"], "label")
    assert labels.argmax(axis=1).tolist() == [1, 0]


def test_labels_are_compared_with_class_names_by_their_tidy_form() -> None:
    values = np.array(["red  kite", "dog ", "dog\u200b"])
    labels, names = decode_labels(values, [" red kite", "dog\ufeff"], "label")
    assert names == (" red kite", "dog\ufeff")
    assert labels.argmax(axis=1).tolist() == [0, 1, 1]
    labels, _ = decode_labels(np.array(["dog", "dog "]), ["dog", "dog "], "label")
    assert labels.argmax(axis=1).tolist() == [0, 1]


def spelled(values: list[Any]) -> list[str]:
    warnings = WarningLog(partial=False)
    labels_from_names(values, None, "label", warnings)
    return warnings.sentences


def test_names_that_are_nearly_equal_are_named() -> None:
    assert spelled(["red kite", "red-kite", "Red_Kite"]) == [
        "label: classes whose names differ only in case, width, hyphens or blanks: 'Red_Kite' (1),"
        " 'red kite' (1), 'red-kite' (1): write them alike if they are one class"
    ]
    assert "'ｋite' (1)" in spelled(["kite", "ｋite"])[0]
    assert spelled(["-", "--", "_"]) == []
    assert len(spelled([f"{case}{k}" for k in range(50) for case in "aA"])) == 11


def test_cells_of_several_classes_are_named_once() -> None:
    assert spelled(["a;b", "a;c", "b;c"]) == [
        "label: 'a;b' and 2 more are read as one class each, although their parts repeat,"
        " such as 'a': write several as a list"
    ]
    assert spelled(["kite, dog", "dog"]) == [
        "label: 'kite, dog' is read as one class, although 'dog' is a class: write several as a"
        " list"
    ]
    assert spelled(["salt, pepper", "oil"]) == []

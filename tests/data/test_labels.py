"""Labels: every spelling of the same labels reads the same; what is no label is named."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.data.labels import decode_labels, labels_from_names, no_labels
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
        (np.array([0, -2]), None, "found:    -2.0 in row 1"),
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

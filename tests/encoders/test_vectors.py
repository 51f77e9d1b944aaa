"""Ready vectors: the values come through, and what does not fit is refused."""

import json

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike

from commonspace.data import Features
from commonspace.encoders import Vectors, input_from_config
from commonspace.errors import DataError, SpaceError

VALUES = [[1.5, -2.0, 3.25], [0.0, 4.0, 5.5]]


@pytest.mark.parametrize(
    "items",
    [
        VALUES,
        np.array(VALUES),
        np.array(VALUES, dtype=np.float16),
        torch.tensor(VALUES, requires_grad=True),
        torch.tensor(VALUES, dtype=torch.bfloat16),
        Features(VALUES),
    ],
    ids=["lists", "float64", "float16", "tensor", "bfloat16", "column"],
)
def test_values_come_through_as_float32(items: ArrayLike | torch.Tensor | Features) -> None:
    vectors = Vectors(size=3)(items)
    assert vectors.dtype == torch.float32
    assert not vectors.requires_grad
    assert vectors.tolist() == VALUES


def test_rows_of_missing_entries_are_zero_and_the_column_keeps_its_own() -> None:
    column = Features(np.array([[1, 2], [np.nan, 7]]), present=[True, False])
    assert Vectors(size=2)(column).tolist() == [[1, 2], [0, 0]]
    assert column.values[1, 1] == 7


def test_an_array_that_may_not_be_written_is_not_written_through_the_tensor() -> None:
    values = np.ones((2, 3), dtype=np.float32)
    values.flags.writeable = False
    vectors = Vectors(size=3)(values)
    vectors.zero_()
    assert values.all()


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([[1.0, 2.0]], "expected: 3 numbers in each row\n  found:    2"),
        ([1.0, 2.0, 3.0], r"found:    float64 of shape \(3,\)"),
        ([[1.0, 2.0, np.nan]], "nan in row 0, column 2"),
        ([[1.0, 2.0, 3.0], [1e39, 0.0, 0.0]], "row 1, column 0"),
        ([[1.0, 2.0, 3.0], [1.0]], "do not form a table"),
        ([["a", "b", "c"]], "real numbers"),
        ([], "two-dimensional"),
    ],
    ids=["size", "one dimension", "NaN", "too large", "ragged", "words", "nothing"],
)
def test_what_does_not_fit_is_refused(items: ArrayLike, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vectors(size=3)(items)


def test_a_config_through_json_takes_the_same_vectors() -> None:
    again = input_from_config(json.loads(json.dumps(Vectors(size=3).to_config())))
    assert again(VALUES).tolist() == VALUES
    with pytest.raises(DataError, match="wrong size"):
        again([[1.0]])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "smells"}, "pixels.*vectors.*words"),
        ({}, "found:    None"),
        ({"kind": "vectors"}, "KeyError: 'size'"),
        ({"kind": "pixels", "side": -1}, "`side` must be >= 1"),
        ({"kind": "words", "vocabulary": 3, "maximum_length": 3, "han": "words"}, "TypeError"),
    ],
)
def test_a_config_that_names_no_input_is_refused(config: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        input_from_config(config)


def test_absurd_rows_are_scaled_down_and_others_are_unchanged() -> None:
    values = np.array([[1.0, 2.0], [3e38, -1.5e38], [-1e15, 0.0]], dtype=np.float32)
    result = Vectors(2)(values)
    assert torch.equal(result[[0, 2]], torch.from_numpy(values[[0, 2]]))
    assert result[1].tolist() == pytest.approx([1e15, -5e14])

"""Columns from the arrays of all splits: dtypes, masks, values that are not finite, texts."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.data.columns import Features
from commonspace.data.formats.part_columns import features_of, texts_of
from commonspace.data.formats.parts import Part
from commonspace.data.reading import WarningLog
from commonspace.errors import DataError

IMAGE = np.arange(12, dtype=np.float64).reshape(4, 3)


def part(split: str = "", **arrays: NDArray[Any]) -> Part:
    return Part(split, len(next(iter(arrays.values()))), arrays)


def features(*parts: Part, partial: bool = False) -> tuple[Features, list[str]]:
    warnings = WarningLog(partial=partial)
    return features_of("image", parts, "x.npz", warnings), warnings.sentences


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8", "int64", "bool", ">f4"])
def test_any_real_dtype_becomes_float32(dtype: str) -> None:
    column, _ = features(part(image=(IMAGE % 2).astype(dtype)))
    assert column.values.dtype == np.float32
    assert column.values.tolist() == (IMAGE % 2).tolist()


def test_whole_float32_features_are_not_copied() -> None:
    raw = IMAGE.astype(np.float32)
    assert np.shares_memory(features(part(image=raw))[0].values, raw)


def test_a_row_may_lack_a_modality_by_its_mask() -> None:
    image = IMAGE.copy()
    image[1] = np.nan
    column, _ = features(part(image=image, image_present=np.array([1, 0, 1, 1])))
    assert column.present.tolist() == [True, False, True, True]
    assert column.values[1].tolist() == [0, 0, 0]


def test_a_split_without_the_features_lacks_them() -> None:
    column, _ = features(part("train", image=IMAGE), part("test", text=np.array(["a", "b"])))
    assert column.present.tolist() == [True] * 4 + [False] * 2
    assert column.values.tolist() == [*IMAGE.tolist(), [0, 0, 0], [0, 0, 0]]


def test_features_of_one_size_in_all_splits() -> None:
    with pytest.raises(DataError, match="another form in test") as caught:
        features(part("train", image=IMAGE), part("test", image=IMAGE[:, :2]))
    assert caught.value.expected == "(rows, 3) numbers, as in train"


@pytest.mark.parametrize(("bad", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (1e300, "1e\\+300")])
def test_values_that_are_not_finite_name_file_key_row_and_column(bad: float, shown: str) -> None:
    image = IMAGE.copy()
    image[2, 1] = bad
    with pytest.raises(DataError, match=r"x[.]npz.*'image'") as caught:
        features(part(image=image))
    assert caught.match(f"{shown} in row 2, column 1; rows affected: 1 of 4")
    column, sentences = features(part(image=image), partial=True)
    assert column.present.tolist() == [True, True, False, True]
    assert len(sentences) == 1
    assert "1 row left out of 'image'" in sentences[0]


def test_texts_without_a_letter_are_left_out() -> None:
    column = texts_of("text", [part(text=np.array(["a cat", "", "a dog", " "]))])
    assert column.items == (("a cat",), (), ("a dog",), ())

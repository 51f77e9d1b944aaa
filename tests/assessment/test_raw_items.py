"""Raw items are those of the features, row by row; a note names the encoders that were trained."""

from dataclasses import replace

import numpy as np
import pytest

import commonspace as cs
from commonspace.assessment.raw_items import matched_texts, raw_split, tuning_note
from commonspace.data import Dataset, Features, Texts
from commonspace.data.texts import one_sample_per_text
from commonspace.errors import DataError
from commonspace.methods import LinearProbe


def captions() -> Dataset:
    texts = (("a", "b"), ("c",), ("d", "e"), ())
    return Dataset(
        name="four",
        ids=tuple("wxyz"),
        columns={"image": Features(np.eye(4)), "text": Texts(texts)},
        labels=np.zeros((4, 0), bool),
        class_names=(),
        splits=np.array(["train", "train", "test", "test"]),
    )


def test_texts_are_found_by_id_in_any_order() -> None:
    items = captions()
    moved = items.take(np.array([2, 0, 1]))
    assert matched_texts(items, moved, "text").items == (("a", "b"), ("c",), ("d", "e"), ())


def test_each_text_is_found_where_every_text_is_a_sample() -> None:
    items = captions()
    each = one_sample_per_text(items).take(np.array([3, 0, 1]))
    assert matched_texts(each, items, "text").items == (("d",), ("a",), ("b",))


def test_a_split_has_the_rows_of_its_features() -> None:
    items = captions()
    assert raw_split(items.split("test"), items, "test").ids == ("y", "z")
    expanded = one_sample_per_text(items).split("train")
    assert raw_split(expanded, items, "train").ids == ("w#1", "w#2", "x")


def test_other_samples_are_an_error() -> None:
    items = captions()
    with pytest.raises(DataError, match="are not those of its features"):
        raw_split(items.split("train"), items.take(np.array([1, 0, 2, 3])), "train")


@pytest.mark.parametrize(
    ("record", "note"),
    [
        ({}, ""),
        (
            {"image": {"chosen": "both"}},
            "chosen on validation: image trained and frozen side by side",
        ),
        (
            {"image": {"chosen": "trained"}, "text": {"chosen": "frozen"}},
            "chosen on validation: image trained, text frozen",
        ),
        ({"chosen": "none", "reason": ""}, "chosen on validation: encoders frozen"),
    ],
)
def test_the_note_names_what_validation_chose(
    feature_dataset: Dataset, record: dict[str, object], note: str
) -> None:
    space = LinearProbe().fit(replace(feature_dataset), run=cs.RunConfig())
    space.provenance["fine_tune"] = record
    assert tuning_note(space) == note

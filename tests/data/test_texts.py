"""One sample for each text: nothing is lost, nothing is mixed up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.data import Dataset, Features, Texts
from commonspace.data.texts import one_sample_per_text
from commonspace.errors import DataError

TEXT = st.text(max_size=5)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(TEXT, max_size=4), min_size=1, max_size=8))
def test_each_text_keeps_its_sample(texts: list[list[str]]) -> None:
    n = len(texts)
    data = Dataset(
        name="any",
        ids=tuple(f"s{k}" for k in range(n)),
        columns={
            "image": Features(np.arange(n, dtype=float)[:, None]),
            "text": Texts([tuple(t) for t in texts]),
        },
        labels=np.arange(n)[:, None] % 2 == 0,
        class_names=("even",),
        splits=np.array(["train", "test"])[np.arange(n) % 2],
        fields={"number": list(range(n))},
        provenance={"source": "here"},
    )
    each = one_sample_per_text(data)
    rows = [(k, (text,)) for k, several in enumerate(texts) for text in several]
    empty = [(k, ()) for k, several in enumerate(texts) if not several]
    expected = sorted([*rows, *empty], key=lambda row: row[0])
    column, image = each.columns["text"], each.columns["image"]
    assert isinstance(column, Texts)
    assert isinstance(image, Features)
    assert list(column.items) == [text for _, text in expected]
    assert image.values[:, 0].tolist() == [k for k, _ in expected]
    assert each.fields["number"] == [k for k, _ in expected]
    assert each.fields["sample"] == [f"s{k}" for k, _ in expected]
    assert each.labels[:, 0].tolist() == [k % 2 == 0 for k, _ in expected]
    assert each.splits.tolist() == [["train", "test"][k % 2] for k, _ in expected]
    assert each.provenance == {"source": "here", "multi_caption": "expand"}
    assert [name.split("#")[0] for name in each.ids] == [f"s{k}" for k, _ in expected]
    again = one_sample_per_text(each)
    assert again.ids == each.ids


def test_two_columns_of_texts_are_refused() -> None:
    texts = Texts([("a",)])
    for columns in ({"text": texts, "title": texts}, {"image": Features([[1.0]])}):
        data = Dataset(
            name="odd",
            ids=("a",),
            columns=columns,
            labels=np.ones((1, 1), bool),
            class_names=("c",),
            splits=np.array(["train"]),
        )
        with pytest.raises(DataError, match="one sample for each text"):
            one_sample_per_text(data)

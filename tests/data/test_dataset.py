"""A data set as a value: what must come out of another process as it went in."""

import pickle

import numpy as np

from commonspace.data import Dataset, Features, Texts


def test_it_reaches_another_process_whole() -> None:
    data = Dataset(
        name="two",
        ids=("a", "b"),
        columns={"image": Features(np.eye(2)), "text": Texts([("one",), ()])},
        labels=np.eye(2, dtype=bool),
        class_names=("x", "y"),
        splits=np.array(["train", "test"]),
        provenance={"file": "somewhere"},
    )
    again = pickle.loads(pickle.dumps(data))
    assert again.fingerprint == data.fingerprint
    assert again.provenance == data.provenance
    np.testing.assert_array_equal(again.columns["text"].present, [True, False])

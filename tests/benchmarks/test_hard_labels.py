"""Wrong pairs of the benchmark: what is exchanged, and what stays."""

import numpy as np

import commonspace as cs
from benchmarks.hard_labels import conditioned


def test_a_share_of_the_pairs_is_exchanged_outside_test() -> None:
    draw = np.random.default_rng(0)
    image, text = draw.normal(size=(100, 3)), draw.normal(size=(100, 4))
    data = cs.Dataset.from_arrays(image=image, text=text, labels=np.arange(100) % 2)
    found = conditioned(data, "wrong pairs .4", seed=1)
    before, after = data.columns["text"], found.columns["text"]
    assert isinstance(before, cs.Features)
    assert isinstance(after, cs.Features)
    moved = (before.values != after.values).any(axis=1)
    assert not moved[data.splits == "test"].any()
    assert 0.3 < moved[data.splits == "train"].mean() <= 0.4
    train = data.splits == "train"
    assert {*map(tuple, before.values[train])} == {*map(tuple, after.values[train])}
    assert (found.labels == data.labels).all()
    assert found.columns["image"] is data.columns["image"]

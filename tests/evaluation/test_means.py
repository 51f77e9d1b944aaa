"""Means over queries and by class."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.errors import DataError
from commonspace.evaluation import (
    average_precision,
    mean_by_class,
    mean_over_queries,
    pair_retrieval,
)
from tests.evaluation.oracle import (
    SEEDS,
    draw,
)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, single=st.booleans())
def test_mean_by_class(seed: int, single: bool) -> None:
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(12) < 0.2, np.nan, rng.random(12))
    values[0] = 0.5
    marks = np.eye(4, dtype=bool)[rng.integers(0, 4, 12)] if single else rng.random((12, 4)) < 0.5
    expected = {}
    for column in range(4):
        members = [float(v) for v, row in zip(values, marks, strict=True) if row[column] and v == v]
        if members:
            expected[column] = pytest.approx(sum(members) / len(members), rel=1e-12)
    assert mean_by_class(values, marks) == expected
    if single:
        names = np.array(["d", "b", "c", "a"])
        by_name = mean_by_class(values, names[marks.argmax(axis=1)])
        assert by_name == {str(names[column]): value for column, value in expected.items()}
        assert list(by_name) == sorted(by_name)


def test_the_mean_of_equally_large_classes_is_the_mean_of_all() -> None:
    query, gallery, *_ = draw(1, 40, 60)
    labels, others = np.arange(40) % 4, np.arange(60) % 4
    values = average_precision(query, gallery, labels, others)
    by_class = mean_by_class(values, labels)
    assert np.mean(list(by_class.values())) == pytest.approx(mean_over_queries(values), rel=1e-12)


def test_bad_values_are_named() -> None:
    with pytest.raises(DataError, match="no query has its pair in the gallery"):
        pair_retrieval([[1.0]], [[1.0]], ["a"], ["b"])
    with pytest.raises(DataError, match="pair keys have the wrong form"):
        pair_retrieval([[1.0]], [[1.0]], [[1]], [[1]])
    with pytest.raises(DataError, match="gallery embeddings and pair keys do not match"):
        pair_retrieval([[1.0]], [[1.0]], [1], [1, 2])
    with pytest.raises(DataError, match="values and query labels do not match"):
        mean_by_class([0.5], [1, 2])
    for values in ([math.nan], [], [[0.5]], [math.inf]):
        with pytest.raises(DataError, match="values of the queries have the wrong form"):
            mean_over_queries(values)

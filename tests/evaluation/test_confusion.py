"""The confusion of classes is what a plain loop counts; its rows add up."""

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.errors import DataError
from commonspace.evaluation import class_confusion


def naive(
    query: NDArray[np.float64],
    gallery: NDArray[np.float64],
    asked: NDArray[np.bool_],
    answering: NDArray[np.bool_],
    k: int,
) -> NDArray[np.float64]:
    classes = asked.shape[1]
    table = np.full((classes, classes), np.nan)
    for i in range(classes):
        rows = []
        for q in np.flatnonzero(asked[:, i]):
            order = sorted(range(len(gallery)), key=lambda g: (-float(query[q] @ gallery[g]), g))
            share = np.zeros(classes)
            for g in order[:k]:
                for j in np.flatnonzero(answering[g]):
                    share[j] += 1 / answering[g].sum()
            rows.append(share / min(k, len(gallery)))
        if rows:
            table[i] = np.mean(rows, axis=0)
    return table


@pytest.mark.parametrize(("several", "k"), [(False, 3), (True, 3), (True, 100)])
def test_it_is_what_a_loop_counts(several: bool, k: int) -> None:
    draw = np.random.default_rng(0)
    query, gallery = draw.normal(size=(23, 4)), draw.normal(size=(31, 4))
    if several:
        asked, answering = draw.random((23, 5)) < 0.3, draw.random((31, 5)) < 0.3
        assert (asked.sum(axis=1) == 0).any()  # some without a label on both sides
        assert (answering.sum(axis=1) == 0).any()
    else:
        asked, answering = (np.eye(5, dtype=bool)[draw.integers(0, 4, n)] for n in (23, 31))
    table = class_confusion(query, gallery, asked, answering, k)
    np.testing.assert_allclose(table, naive(query, gallery, asked, answering, k), rtol=1e-12)


def test_rows_add_up_to_one_where_everything_has_a_label() -> None:
    draw = np.random.default_rng(1)
    marks = np.eye(3, dtype=bool)[np.arange(300) % 3]
    vectors = draw.normal(size=(300, 8))
    table = class_confusion(vectors, vectors, marks, marks, k=7)
    np.testing.assert_allclose(table.sum(axis=1), 1)
    separated = class_confusion(marks, marks, marks, marks, k=100)
    np.testing.assert_array_equal(separated, np.eye(3))


def test_one_class_for_each_item_is_not_enough() -> None:
    with pytest.raises(DataError, match="needs multi-hot labels"):
        class_confusion([[1.0]], [[1.0]], [0], [0])

"""Precision-recall and precision-scope curves against loops over all orders of tied items."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.evaluation import (
    precision_recall_curve,
    precision_scope_curve,
)
from tests.evaluation.oracle import (
    SEEDS,
    draw,
    labeled_queries,
    tasks,
)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, points=st.sampled_from([2, 5, 11, 101]))
def test_precision_recall_curve(seed: int, points: int) -> None:
    def reached(grades: list[int], place: int) -> float:
        """The best precision at recall hits / total of at least place / (points - 1)."""
        total = sum(grade > 0 for grade in grades)
        best = [0.0]
        for rank in range(1, len(grades) + 1):
            hits = sum(grade > 0 for grade in grades[:rank])
            if total and hits and hits * (points - 1) >= place * total:
                best.append(hits / rank)
        return max(best)

    for task in tasks(seed):
        curve = precision_recall_curve(*task, points)
        levels = [
            [[reached(grades, place) for grades in rankings] for place in range(points)]
            for _, rankings in labeled_queries(task)
        ]
        for place in range(points):
            values = [level[place] for level in levels]
            assert curve.low[place] == pytest.approx(np.mean([min(v) for v in values]), rel=1e-12)
            assert curve.high[place] == pytest.approx(np.mean([max(v) for v in values]), rel=1e-12)
        assert (curve.low <= curve.precision + 1e-12).all()
        assert (curve.precision <= curve.high + 1e-12).all()
        assert curve.queries == len(levels)
        np.testing.assert_allclose(curve.recall, np.arange(points) / (points - 1))
        assert (np.diff(curve.precision) <= 1e-15).all()
    curve = precision_recall_curve(*draw(seed), points)
    np.testing.assert_array_equal(curve.low, curve.precision)
    np.testing.assert_array_equal(curve.high, curve.precision)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, scopes=st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_precision_scope_curve(seed: int, scopes: list[int]) -> None:
    for task in tasks(seed):
        curve = precision_scope_curve(*task, scopes)
        expected = [
            np.mean(
                [
                    np.mean([sum(grade > 0 for grade in grades[:k]) / k for grades in rankings])
                    for _, rankings in labeled_queries(task)
                ]
            )
            for k in scopes
        ]
        np.testing.assert_allclose(curve.precision, expected, rtol=1e-12)
        assert curve.scope.tolist() == scopes
        assert curve.queries == int(task[2].any(axis=1).sum())

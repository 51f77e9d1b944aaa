"""R-precision, nDCG and pair retrieval against loops over all orders of tied items."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import ndcg_score

from commonspace.errors import SettingError
from commonspace.evaluation import (
    ndcg,
    pair_retrieval,
    precision_recall_curve,
    precision_scope_curve,
    r_precision,
)
from tests.evaluation.oracle import (
    SEEDS,
    draw,
    expected_values,
    orders,
    scores_of,
    tasks,
)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, k=st.one_of(st.none(), st.integers(0, 25)))
def test_ndcg(seed: int, k: int | None) -> None:
    def normalized(grades: list[int]) -> float:
        depth = k or len(grades)
        gains, best = [
            sum((2**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(some[:depth], 1))
            for some in (grades, sorted(grades, reverse=True))
        ]
        return gains / best if best else 0.0

    for task in tasks(seed):
        np.testing.assert_allclose(ndcg(*task, k), expected_values(task, normalized), rtol=1e-12)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, k=st.one_of(st.none(), st.integers(1, 25)))
def test_ndcg_is_that_of_scikit_learn_with_its_ties(seed: int, k: int | None) -> None:
    rng = np.random.default_rng(seed)
    query, gallery = (rng.integers(-1, 2, (rows, 2)).astype(float) for rows in (8, 30))
    left, right = rng.random((8, 4)) < 0.5, rng.random((30, 4)) < 0.4
    left[:, 0], right[0, 0] = True, True
    gains = np.exp2((left[:, None] & right).sum(axis=2)) - 1
    expected = [
        ndcg_score(row[None], scores[None], k=k)
        for row, scores in zip(gains, query @ gallery.T, strict=True)
    ]
    np.testing.assert_allclose(ndcg(query, gallery, left, right, k), expected, rtol=1e-10)


def test_ndcg_prefers_the_item_that_shares_more_classes() -> None:
    query, marks = [[1.0]], [[1, 1, 1]]
    several = [[1, 1, 1], [1, 0, 0]]
    assert ndcg(query, [[2.0], [1.0]], marks, several).tolist() == [1.0]
    (worse,) = ndcg(query, [[1.0], [2.0]], marks, several)
    assert worse == pytest.approx((1 + 7 / math.log2(3)) / (7 + 1 / math.log2(3)))


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_r_precision(seed: int) -> None:
    def precision(grades: list[int]) -> float:
        total = sum(grade > 0 for grade in grades)
        return sum(grade > 0 for grade in grades[:total]) / total if total else 0.0

    for task in tasks(seed):
        np.testing.assert_allclose(r_precision(*task), expected_values(task, precision), rtol=1e-12)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, ties=st.booleans())
def test_pair_retrieval(seed: int, ties: bool) -> None:
    query, gallery, *_ = draw(seed, 4, 6, ties=True) if ties else draw(seed)
    rng = np.random.default_rng(seed)
    mine, theirs = rng.integers(0, 4, len(query)), rng.integers(0, 4, len(gallery))
    theirs[0] = mine[0]
    ranks = [
        [
            next((rank for rank, j in enumerate(order, 1) if theirs[j] == key), math.nan)
            for order in orders(scores)
        ]
        for key, scores in zip(mine, scores_of(query, gallery), strict=True)
    ]
    pairs = pair_retrieval(query, gallery, mine, theirs, ks=[1, 3, 100])
    np.testing.assert_allclose(pairs.ranks, [np.mean(row) for row in ranks], rtol=1e-12)
    paired = [row for row in ranks if not math.isnan(row[0])]
    assert pairs.queries == len(paired)
    for k in (1, 3, 100):
        shares = [np.mean([rank <= k for rank in row]) for row in paired]
        assert pairs.recall[k] == pytest.approx(np.mean(shares), rel=1e-12)
    assert pairs.median_rank == pytest.approx(np.median([np.mean(row) for row in paired]))
    low, high = pairs.median_rank_range
    assert low == np.median([min(row) for row in paired])
    assert high == np.median([max(row) for row in paired])
    assert ties or low == pairs.median_rank == high


def test_pairs_may_be_named_and_every_caption_counts() -> None:
    images, captions = [[1.0, 0.0], [0.0, 1.0]], [[0.1, 0.0], [0.9, 0.1], [0.5, 0.4], [0.0, 0.3]]
    found = pair_retrieval(images, captions, ["a", "b"], ["a", "a", "b", "b"], ks=[1, 2])
    assert found.ranks.tolist() == [1, 1]
    found = pair_retrieval(captions, images, ["a", "a", "b", "b"], ["a", "b"], ks=[1, 2])
    assert found.ranks.tolist() == [1, 1, 2, 1]
    assert found.recall == {1: 0.75, 2: 1.0}


@pytest.mark.parametrize(
    "figure",
    [
        lambda q, g, a, b: precision_recall_curve(q, g, a, b).precision,
        lambda q, g, a, b: precision_scope_curve(q, g, a, b, scopes=[1, 8]).precision,
        ndcg,
        r_precision,
    ],
)
def test_a_perfect_ranking_scores_one_and_the_order_of_the_gallery_does_not_matter(
    figure: Callable[..., NDArray[Any]],
) -> None:
    rng = np.random.default_rng(4)
    labels = np.repeat(np.arange(4), 8)
    perfect = np.eye(4)[labels]
    np.testing.assert_array_equal(figure(perfect, perfect, labels, labels), 1.0)
    gallery, order = rng.standard_normal((32, 4)), rng.permutation(32)
    value = figure(perfect, gallery, labels, labels)
    assert (value < 1).any()
    np.testing.assert_allclose(figure(perfect, gallery[order], labels, labels[order]), value)


def test_bad_settings_are_named() -> None:
    task = [[1.0]], [[1.0], [2.0]], [1], [1, 2]
    with pytest.raises(SettingError, match="at least 2 points"):
        precision_recall_curve(*task, points=1)
    for scopes in ([], [0], [3], [1, 2.0]):
        with pytest.raises(SettingError, match=r"scope must be|whole number"):
            precision_scope_curve(*task, scopes=scopes)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="Recall@0"):
        pair_retrieval(*task, ks=[1, 0])
    with pytest.raises(SettingError, match="`k` must be"):
        ndcg(*task, k=-3)

"""The other figures against loops written from their definitions."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import ndcg_score

from commonspace.errors import DataError, SettingError
from commonspace.evaluation import (
    Ranking,
    average_precision,
    mean_by_class,
    mean_over_queries,
    modality_gap,
    ndcg,
    pair_retrieval,
    precision_recall_curve,
    precision_scope_curve,
    r_precision,
)
from tests.evaluation.oracle import orders, scores_of

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]
SEEDS = st.integers(0, 2**32 - 1)
Task = tuple[Array, Array, Marks, Marks]


def draw(seed: int, n: int = 7, m: int = 19, *, ties: bool = False) -> Task:
    """Samples with several labels; small whole numbers tie often, and every sum is exact."""
    rng = np.random.default_rng(seed)
    if ties:
        query, gallery = (rng.integers(-1, 2, (rows, 2)).astype(float) for rows in (n, m))
    else:
        query, gallery = (rng.standard_normal((rows, 3)) for rows in (n, m))
    left, right = rng.random((n, 5)) < 0.4, rng.random((m, 5)) < 0.3
    left[0, 0] = True  # at least one query has a label
    return query, gallery, left, right


def tasks(seed: int) -> list[Task]:
    """One task without ties, and one whose orders can all be listed."""
    return [draw(seed), draw(seed, 4, 6, ties=True)]


def labeled_queries(task: Task) -> Iterator[tuple[int, list[list[int]]]]:
    """Yield each labeled query with its grades at each rank, for every order of tied items."""
    query, gallery, left, right = task
    for i, scores in enumerate(scores_of(query, gallery)):
        if left[i].any():
            shared = [int((left[i] & right[j]).sum()) for j in range(len(gallery))]
            yield i, [[shared[j] for j in order] for order in orders(scores)]


def expected_values(task: Task, figure: Callable[[list[int]], float]) -> Array:
    """Return the mean of a figure over all orders of tied items, for every query."""
    values = np.full(len(task[0]), np.nan)
    for i, rankings in labeled_queries(task):
        values[i] = np.mean([figure(grades) for grades in rankings])
    return values


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


def test_modality_gap() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((30, 4)), rng.standard_normal((50, 4)) + 1
    centroids = []
    for side in (first, second):
        total = [0.0] * 4
        for row in side.tolist():
            length = math.sqrt(sum(value**2 for value in row))
            total = [t + value / length / len(side) for t, value in zip(total, row, strict=True)]
        centroids.append(total)
    expected = math.dist(*centroids)
    assert modality_gap(first, second) == pytest.approx(expected, rel=1e-12)
    assert modality_gap(second, first) == pytest.approx(expected, rel=1e-12)
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    scale = rng.uniform(0.1, 9, (50, 1))
    assert modality_gap(first @ rotation, second * scale @ rotation) == pytest.approx(expected)
    assert modality_gap(first * 1e-200, second * 1e200) == pytest.approx(expected, rel=1e-12)
    assert modality_gap(first, first) == 0
    with pytest.raises(DataError, match=r"one of the second embeddings has no(.|\n)*row 1 is zero"):
        modality_gap([[1.0]], [[1.0], [0.0]])
    with pytest.raises(DataError, match="first and second embeddings have different sizes"):
        modality_gap([[1.0]], [[1.0, 2.0]])


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


def test_every_figure_comes_out_the_same_in_many_small_blocks() -> None:
    """A block of the size of one tile, ranked row by row, against the whole at once."""
    query, gallery, left, right = draw(2, 90, 70, ties=True)
    whole = Ranking.by_class(query, gallery, left, right, graded=True)
    parts = Ranking(query, gallery, whole.relevance, block=1, workers=3)
    for depth in (5, 70):
        for field in ("grades", "items", "available", "queries"):
            one, many = (
                np.concatenate(ranking.measure(lambda block: getattr(block, field), depth))  # noqa: B023
                for ranking in (whole, parts)
            )
            np.testing.assert_array_equal(one, many)


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

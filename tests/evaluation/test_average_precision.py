"""Average precision against plain loops, all orders of tied items, and scikit-learn."""

import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from commonspace.errors import DataError, SettingError
from commonspace.evaluation import (
    Denominator,
    Ranking,
    average_precision,
    mean_average_precision,
)
from tests.evaluation.oracle import expected_average_precision, mean_over_orders, scores_of

Array = NDArray[np.float64]


def naive_average_precision(
    query: Array,
    gallery: Array,
    query_labels: list[set[int]],
    gallery_labels: list[set[int]],
    k: int | None = None,
    denominator: str = "found",
) -> list[float]:
    """From the definition, in plain Python: the expected value over the order of tied items."""
    return [
        expected_average_precision(
            scores, [bool(classes & other) for other in gallery_labels], k, denominator
        )
        if classes
        else float("nan")
        for scores, classes in zip(scores_of(query, gallery), query_labels, strict=True)
    ]


def problem(
    seed: int, n: int = 9, m: int = 23, d: int = 3, c: int = 4, *, integers: bool = True
) -> tuple[Array, Array, NDArray[np.intp], NDArray[np.intp]]:
    """Small integers give many ties, and every sum is exact."""
    rng = np.random.default_rng(seed)
    if integers:
        query, gallery = (rng.integers(-2, 3, (rows, d)).astype(float) for rows in (n, m))
    else:
        query, gallery = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    return query, gallery, rng.integers(0, c, n), rng.integers(0, c, m)


def sets(labels: NDArray[np.intp]) -> list[set[int]]:
    return [{int(label)} for label in labels]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.one_of(st.none(), st.integers(1, 7)),
    denominator=st.sampled_from(["found", "relevant"]),
)
def test_ties_take_the_mean_over_all_their_orders(
    seed: int, k: int | None, denominator: Denominator
) -> None:
    query, gallery, query_labels, gallery_labels = problem(seed, 5, 6, d=2, c=2)
    expected = []
    for scores, label in zip(scores_of(query, gallery), query_labels, strict=True):
        relevant = [bool(label == other) for other in gallery_labels]

        def precision(order: list[int], relevant: list[bool] = relevant) -> float:
            hits, total = 0, 0.0
            for rank, j in enumerate(order[:k], 1):
                hits += relevant[j]
                total += relevant[j] * hits / rank
            count = hits if denominator == "found" else sum(relevant)
            return total / count if count else 0.0

        expected.append(mean_over_orders(scores, precision))
    got = average_precision(
        query, gallery, query_labels, gallery_labels, k, denominator=denominator
    )
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    naive = naive_average_precision(
        query, gallery, sets(query_labels), sets(gallery_labels), k, denominator
    )
    np.testing.assert_allclose(naive, expected, rtol=1e-12)


@pytest.mark.parametrize("denominator", ["found", "relevant"])
@pytest.mark.parametrize("k", [None, 1, 10, 50])
def test_equal_vectors_score_as_chance_in_any_row_order(
    k: int | None, denominator: Denominator
) -> None:
    labels = np.sort(np.arange(120) % 3)
    shuffled = np.random.default_rng(0).permutation(labels)
    same = np.ones((120, 6))
    first = mean_average_precision(same, same, labels, labels, k, denominator=denominator)
    second = mean_average_precision(same, same, shuffled, shuffled, k, denominator=denominator)
    assert first == pytest.approx(second, rel=1e-12)
    if k is None:  # the mean over random orders, a little above the share of relevant items
        assert 1 / 3 < first < 0.36


def test_a_large_tie_group_is_cut_without_overflow() -> None:
    """20,000 equal items, k inside: the share found within k is close to the share of the class."""
    labels = np.arange(20_000) % 4
    same = np.ones((1, 2)), np.ones((20_000, 2))
    value = mean_average_precision(*same, [0], labels, 5000, denominator="relevant")
    assert value == pytest.approx(0.25 * 0.25, abs=0.001)
    assert mean_average_precision(*same, [0], labels, 5000) == pytest.approx(0.25, abs=0.002)


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 20),
    m=st.integers(1, 40),
    k=st.one_of(st.none(), st.integers(0, 50)),
    denominator=st.sampled_from(["found", "relevant"]),
    integers=st.booleans(),
)
def test_it_equals_the_double_loop(
    seed: int, n: int, m: int, k: int | None, denominator: Denominator, integers: bool
) -> None:
    query, gallery, query_labels, gallery_labels = problem(seed, n, m, integers=integers)
    got = average_precision(
        query, gallery, query_labels, gallery_labels, k, denominator=denominator
    )
    expected = naive_average_precision(
        query, gallery, sets(query_labels), sets(gallery_labels), k, denominator
    )
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    mean = mean_average_precision(
        query, gallery, query_labels, gallery_labels, k, denominator=denominator
    )
    assert mean == pytest.approx(np.mean(expected), rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.1, 0.3, 0.7]),
    k=st.one_of(st.none(), st.integers(1, 30)),
    denominator=st.sampled_from(["found", "relevant"]),
)
def test_several_labels_equal_the_double_loop(
    seed: int, share: float, k: int | None, denominator: Denominator
) -> None:
    query, gallery, *_ = problem(seed)
    rng = np.random.default_rng(seed)
    left, right = rng.random((len(query), 5)) < share, rng.random((len(gallery), 5)) < share
    left[0, 0] = True  # at least one query can be judged
    got = average_precision(query, gallery, left, right, k, denominator=denominator)
    classes = [[set(np.flatnonzero(row).tolist()) for row in side] for side in (left, right)]
    expected = naive_average_precision(query, gallery, classes[0], classes[1], k, denominator)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_equals_scikit_learn_where_nothing_ties(dtype: type) -> None:
    query, gallery, query_labels, gallery_labels = problem(3, 40, 300, 16, integers=False)
    query, gallery = query.astype(dtype), gallery.astype(dtype)
    scores = query.astype(float) @ gallery.astype(float).T
    expected = [
        average_precision_score(gallery_labels == label, row)
        for label, row in zip(query_labels, scores, strict=True)
    ]
    got = average_precision(query, gallery, query_labels, gallery_labels)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_a_known_ranking() -> None:
    query, gallery = np.ones((1, 1)), np.array([[5.0], [4.0], [3.0], [2.0]])
    labels = [0], [0, 1, 1, 0]
    assert mean_average_precision(query, gallery, *labels) == (1 + 2 / 4) / 2
    assert mean_average_precision(query, gallery, *labels, k=3) == 1.0
    assert mean_average_precision(query, gallery, *labels, k=3, denominator="relevant") == 0.5


def test_a_tie_takes_the_mean_of_its_places() -> None:
    query, gallery = np.ones((1, 2)), np.ones((4, 2))
    for place in range(4):
        labels = [int(row == place) for row in range(4)]
        value = mean_average_precision(query, gallery, [1], labels)
        assert value == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, rel=1e-15)


@pytest.mark.parametrize(("d", "m"), [(3, 7), (37, 51), (64, 503), (300, 1001)])
def test_equal_rows_tie_wherever_they_stand(d: int, m: int) -> None:
    """Thirds and roots do not add up exactly; the same row must still score the same."""
    rng = np.random.default_rng(m)
    rows = rng.standard_normal((m, d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    gallery = np.vstack([rows, rows[::-1], rows])
    copies = np.concatenate([np.arange(m), np.arange(m)[::-1], np.arange(m)])
    ranking = Ranking.by_class(rng.standard_normal((33, d)), gallery, [0] * 33, [0] * (3 * m))
    items = np.concatenate(ranking.measure(lambda block: block.items, depth=3 * m))
    ranked = copies[items].reshape(33, m, 3)
    assert (ranked == ranked[:, :, :1]).all()  # the three copies stand together,
    assert (np.diff(items.reshape(33, m, 3), axis=2) > 0).all()  # in the order of the gallery


@pytest.mark.parametrize("block", [1, 100, 5000, 2**21])
@pytest.mark.parametrize("workers", [1, 3])
def test_blocks_and_threads_change_nothing(block: int, workers: int) -> None:
    query, gallery, query_labels, gallery_labels = problem(5, 131, 57, 6, integers=False)
    whole = Ranking.by_class(query, gallery, query_labels, gallery_labels)
    parts = Ranking(query, gallery, whole.relevance, block, workers)
    for depth in (1, 10, 57):
        expected = np.concatenate(whole.measure(lambda b: b.keys, depth))
        np.testing.assert_array_equal(
            np.concatenate(parts.measure(lambda b: b.keys, depth)), expected
        )


@pytest.mark.parametrize("m", [90, 3000])  # short rows are sorted as a whole by NumPy itself
def test_the_first_k_of_a_partial_ranking_are_those_of_the_whole(m: int) -> None:
    query, gallery, query_labels, gallery_labels = problem(6, 30, m, 6)
    ranking = Ranking.by_class(query, gallery, query_labels, gallery_labels)
    whole = np.concatenate(ranking.measure(lambda block: block.items, m))
    for depth in (1, 7, m - 1):
        first = np.concatenate(ranking.measure(lambda block: block.items, depth))
        np.testing.assert_array_equal(first, whole[:, :depth])


def test_scores_closer_than_a_step_tie_and_others_do_not() -> None:
    query = np.ones((1, 1))
    for exponent, ranked in ((-50, [0, 1]), (-42, [1, 0])):
        gallery = np.array([[1.0], [1 + 2.0**exponent]])
        (items,) = Ranking.by_class(query, gallery, [0], [0, 0]).measure(lambda b: b.items, 2)
        assert items.tolist() == [ranked]


def test_what_must_not_matter() -> None:
    query, gallery, query_labels, gallery_labels = problem(7, 40, 60, 8, integers=False)
    value = mean_average_precision(query, gallery, query_labels, gallery_labels)
    rng = np.random.default_rng(0)
    order, other = rng.permutation(40), rng.permutation(60)
    rotation = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    scale = rng.uniform(0.1, 9, (40, 1))
    names = np.array(["cat", "dog", "cow", "hen"])
    for changed in (
        (query[order], gallery, query_labels[order], gallery_labels),
        (query, gallery[other], query_labels, gallery_labels[other]),
        (query @ rotation, gallery @ rotation, query_labels, gallery_labels),
        (query * scale, gallery, query_labels, gallery_labels),
        (query * 1e200, gallery * 1e250, query_labels, gallery_labels),
        (query * 1e-200, gallery * 1e-150, query_labels, gallery_labels),
        (np.repeat(query, 3, axis=0), gallery, np.repeat(query_labels, 3), gallery_labels),
        (query, gallery, names[query_labels], names[gallery_labels]),
        (query, gallery, names[query_labels].astype(object), names[gallery_labels].tolist()),
        (query, gallery, np.eye(4)[query_labels], np.eye(4, dtype=bool)[gallery_labels]),
        (query, gallery, query_labels.astype(float), gallery_labels.astype(np.uint8)),
        (
            torch.tensor(query, requires_grad=True),
            torch.tensor(gallery),
            query_labels,
            gallery_labels,
        ),
    ):
        assert mean_average_precision(*changed) == pytest.approx(value, rel=1e-13)
    for k in (0, 60, 61):
        assert mean_average_precision(query, gallery, query_labels, gallery_labels, k) == value


def test_a_bfloat16_tensor_is_taken_as_it_is() -> None:
    query, gallery, query_labels, gallery_labels = problem(8)
    half, other = (torch.tensor(side, dtype=torch.bfloat16) for side in (query, gallery))
    value = mean_average_precision(query, gallery, query_labels, gallery_labels)
    assert mean_average_precision(half, other, torch.tensor(query_labels), gallery_labels) == value


def test_unlabelled_and_unanswerable_queries() -> None:
    query, gallery = np.ones((3, 1)), np.ones((2, 1))
    marks = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]]), np.array([[0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(average_precision(query, gallery, *marks), [0.75, np.nan, 0.0])
    assert mean_average_precision(query, gallery, *marks) == 0.375
    with pytest.raises(DataError, match="no query has a label"):
        mean_average_precision(query, gallery, np.zeros((3, 2)), np.ones((2, 2)))


def test_minus_one_is_no_class() -> None:
    draw = np.random.default_rng(4)
    query, gallery = draw.normal(size=(9, 3)), draw.normal(size=(14, 3))
    numbers = draw.integers(-1, 3, 9), draw.integers(-1, 3, 14)
    assert all((side == -1).any() for side in numbers)
    marks = [side[:, None] == np.arange(3) for side in numbers]
    np.testing.assert_array_equal(
        average_precision(query, gallery, *numbers), average_precision(query, gallery, *marks)
    )
    with pytest.raises(DataError, match="no query has a label"):
        mean_average_precision(query, gallery, np.full(9, -1), numbers[1])


def test_memory_stays_with_the_block() -> None:
    rng = np.random.default_rng(0)
    query, gallery = (rng.standard_normal((4000, 8)).astype(np.float32) for _ in range(2))
    labels = rng.integers(0, 10, 4000)
    ranking = Ranking.by_class(query, gallery, labels, labels)
    ranking = Ranking(query, gallery, ranking.relevance, block=2**18, workers=2)
    tracemalloc.start()
    ranking.measure(lambda block: block.relevant.sum(), 4000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20  # the matrix of scores alone would take 122 MiB


GOOD = ([[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]], [1], [1, 2])


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, [[1.0, float("nan")]], r"query embeddings hold .* finite(.|\n)*nan in row 0, column 1"),
        (1, [[1.0, 0.0], [float("inf"), 1.0]], r"gallery embeddings hold(.|\n)*inf in row 1"),
        (1, [[1.0], [2.0]], "have different sizes"),
        (1, np.zeros((0, 2)), "gallery embeddings have the wrong form"),
        (0, [1.0, 2.0], "query embeddings have the wrong form"),
        (0, [["a", "b"]], "query embeddings have the wrong form"),
        (0, [[1.0, 2.0], [1.0]], "different lengths"),
        (0, [[1j, 2]], "query embeddings have the wrong form"),
        (2, [1, 1], r"query embeddings and labels do not match(.|\n)*expected: 1 labels"),
        (3, [1], "gallery embeddings and labels do not match"),
        (3, ["a", "b"], r"cannot be compared(.|\n)*strings on both sides"),
        (3, [[1, 0], [0, 1]], "in different forms"),
        (2, [1.5], "not whole numbers"),
        (2, [float("nan")], "not whole numbers"),
        (2, [[3]], "ravel a single column"),
        (2, [None], "query labels have the wrong form"),
    ],
)
def test_bad_input_is_named(place: int, value: object, message: str) -> None:
    arguments: list[Any] = [*GOOD]
    arguments[place] = value
    with pytest.raises(DataError, match=message):
        mean_average_precision(*arguments)


@pytest.mark.parametrize("k", [-1, 1.0, "all", True, 2.5])
def test_a_bad_k_is_named(k: object) -> None:
    with pytest.raises(SettingError, match="`k` must be a whole number"):
        mean_average_precision(*GOOD, k=k)  # type: ignore[arg-type]


def test_a_bad_denominator_is_named() -> None:
    with pytest.raises(SettingError, match="`denominator` must be"):
        mean_average_precision(*GOOD, denominator="all")  # type: ignore[arg-type]


def test_ties_of_equal_relevance_need_no_expectation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rows in which tied items differ in relevance are averaged over their orders."""
    gallery = np.array([[4.0], [4.0], [2.0], [2.0], [1.0]])
    labels = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 0], [1, 1, 0, 0, 1]])
    averaged: list[int] = []
    module = sys.modules["commonspace.evaluation.average_precision"]
    whole = module._expected_average_precision

    def counted(block: Any, rows: Any, *rest: Any) -> Any:  # noqa: ANN401
        averaged.extend(block.queries[rows].tolist())
        return whole(block, rows, *rest)

    monkeypatch.setattr(module, "_expected_average_precision", counted)
    for row, marks in enumerate(labels):
        found = average_precision([[1.0]], gallery, [1], marks)
        wanted = expected_average_precision(
            gallery[:, 0].tolist(), (marks == 1).tolist(), None, "found"
        )
        assert found[0] == pytest.approx(wanted)
        assert bool(averaged) == (row == 1)
        averaged.clear()
